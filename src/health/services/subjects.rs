//! What planned work covers: what people and files name, as keys of signals. What names nothing is refused, for work that
//! covers nothing is found out by the alarm that it should have kept quiet.

use super::queries;
use crate::accounts::Visible;
use crate::base::ProjectId;
use crate::health::own;
use crate::heartbeats::{self, HeartbeatId};
use crate::probes::{self, ProbeId};
use crate::store::{self, ReadTx};

/// Why something is not covered. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Unnamed {
    #[error("there is no {what} “{name}” here{cure}")]
    Missing { what: &'static str, name: String, cure: &'static str },
    #[error(
        "“{0}” names nothing: name a probe by its key, a heartbeat as in shop/nightly, a service as in service:payment, or the beginning of keys and a star, such as probe:*"
    )]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What keys begin with.
const KINDS: [&str; 8] = ["heartbeat", "issue", "new_issues", "probe", "rate", "self", "service", "slow"];
const AS_HEARTBEAT: &str = "; a heartbeat is named with its project, as in shop/nightly";

/// Who names something, and where: only what they may see, of this project if it is given.
struct Within<'a> {
    tx: &'a ReadTx<'a>,
    visible: &'a Visible,
    project: Option<ProjectId>,
}

/// Keys of signals for a name: `api` a probe, `shop/nightly` a heartbeat, `service:payment` a service with all of its
/// members; a key such as `rate:1`, or its beginning and `*`, as it is.
///
/// # Errors
/// [`Unnamed`], where there is no such thing that the caller may see.
pub fn keys_of(
    tx: &ReadTx<'_>,
    visible: &Visible,
    project: Option<ProjectId>,
    name: &str,
) -> Result<Vec<String>, Unnamed> {
    let (name, within) = (name.trim(), Within { tx, visible, project });
    if let Some(beginning) = name.strip_suffix('*') {
        return if begins_a_key(beginning) { Ok(one(name)) } else { Err(Unnamed::Unknown(name.to_owned())) };
    }
    match name.split_once(':') {
        None if name.contains('/') => within.heartbeat(name),
        None => within.probe(name),
        Some(("probe", id)) => within.probe_of(name, id),
        Some(("heartbeat", id)) => within.heartbeat_of(name, id.strip_suffix(":odd").unwrap_or(id)),
        Some(("service", key)) => within.service(key),
        Some(("issue", id)) => within.issue(name, id),
        Some(("rate" | "slow" | "new_issues", id)) => within.of_project(name, id),
        Some(("self", _)) if own::keys().any(|key| key == name) => Ok(one(name)),
        Some(_) => Err(Unnamed::Unknown(name.to_owned())),
    }
}

fn one(key: &str) -> Vec<String> {
    vec![key.to_owned()]
}

fn begins_a_key(beginning: &str) -> bool {
    match beginning.split_once(':') {
        Some((kind, rest)) => KINDS.contains(&kind) && rest.bytes().all(|b| b.is_ascii_digit() || b == b':'),
        None => KINDS.iter().any(|kind| kind.starts_with(beginning)),
    }
}

fn missing(what: &'static str, name: &str, cure: &'static str) -> Unnamed {
    Unnamed::Missing { what, name: name.to_owned(), cure }
}

impl Within<'_> {
    fn has(&self, project: ProjectId) -> bool {
        self.visible.contains(project) && self.project.is_none_or(|own| own == project)
    }

    fn probe(&self, name: &str) -> Result<Vec<String>, Unnamed> {
        let found = probes::outline::find(self.tx, self.visible, name)?.filter(|it| self.has(it.project));
        let found = found.ok_or_else(|| missing("probe", name, AS_HEARTBEAT))?;
        Ok(vec![found.id.signal_key()])
    }

    fn probe_of(&self, key: &str, id: &str) -> Result<Vec<String>, Unnamed> {
        let found = match id.parse() {
            Ok(id) => probes::outline::find_by_id(self.tx, self.visible, ProbeId(id))?,
            Err(_) => None,
        };
        found.filter(|it| self.has(it.project)).ok_or_else(|| missing("probe", key, ""))?;
        Ok(one(key))
    }

    fn heartbeat(&self, name: &str) -> Result<Vec<String>, Unnamed> {
        let found = heartbeats::queries::find_named(self.tx, self.visible, name)?;
        let found = found.filter(|it| self.has(it.project));
        Ok(vec![found.ok_or_else(|| missing("heartbeat", name, ""))?.id.signal_key()])
    }

    fn heartbeat_of(&self, key: &str, id: &str) -> Result<Vec<String>, Unnamed> {
        let found = match id.parse() {
            Ok(id) => heartbeats::queries::find(self.tx, HeartbeatId(id))?,
            Err(_) => None,
        };
        found.filter(|it| self.has(it.project)).ok_or_else(|| missing("heartbeat", key, ""))?;
        Ok(one(key))
    }

    /// By its key or by the one of its signals, with all of its members.
    fn service(&self, named: &str) -> Result<Vec<String>, Unnamed> {
        let is_named =
            |key: &str, signal: &str| key == named || signal.strip_prefix("service:") == Some(named);
        let mut all = queries::list(self.tx, self.visible)?.into_iter();
        let found = all.find(|it| self.has(it.project) && is_named(&it.key, &it.id.signal_key()));
        let found = found.ok_or_else(|| missing("service", named, ""))?;
        let members = found.members.into_iter().map(|member| member.member);
        Ok(std::iter::once(found.id.signal_key()).chain(members).collect())
    }

    fn issue(&self, key: &str, id: &str) -> Result<Vec<String>, Unnamed> {
        let found = match id.split_once(':').and_then(|(of, id)| Some((of.parse().ok()?, id.parse().ok()?))) {
            Some((of, id)) => {
                let sql = "SELECT project_id FROM issues WHERE project_id = ?1 AND id = ?2";
                self.tx.first(sql, [of, id], |row| row.get(0).map(ProjectId))?
            }
            None::<(i64, i64)> => None,
        };
        found.filter(|of| self.has(*of)).ok_or_else(|| missing("issue", key, ""))?;
        Ok(one(key))
    }

    fn of_project(&self, key: &str, id: &str) -> Result<Vec<String>, Unnamed> {
        let found = match id.parse::<i64>() {
            Ok(of) => self
                .tx
                .first("SELECT id FROM projects WHERE id = ?1", [of], |row| row.get(0).map(ProjectId))?,
            Err(_) => None,
        };
        found.filter(|of| self.has(*of)).ok_or_else(|| missing("project with the key", key, ""))?;
        Ok(one(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_key_stands_before_a_star() {
        for beginning in ["", "p", "probe", "probe:", "probe:1", "issue:1:", "self:"] {
            assert!(begins_a_key(beginning), "{beginning}");
        }
        for beginning in ["prob:", "x", "probe:api", "service:payment", "shop/", "rate:1:x"] {
            assert!(!begins_a_key(beginning), "{beginning}");
        }
    }
}
