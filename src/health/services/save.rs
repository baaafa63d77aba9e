//! Making, changing and removing services.

use std::collections::BTreeSet;

use serde_json::json;

use super::rule::Needs;
use super::{
    Draft, Error, MEMBERS_MAX, NAME_CHARS_MAX, SERVICES, SERVICES_MAX, Service, ServiceId, Services,
    Settings, members, queries, retention,
};
use crate::accounts::audit::{self, Change as Audited};
use crate::accounts::{By, Visible, projects};
use crate::base::Uid;
use crate::base::annotations::{WORD_CHARS_MAX, are_labels, is_runbook};
use crate::base::owned::{Change, Owner, check_key};
use crate::base::text::line;
use crate::incidents::CloseReason;
use crate::store::{self, ReadTx, WriteTx, params};

impl Services {
    /// Makes the service of this key what the draft says, or makes it. A file takes over what the page made.
    ///
    /// # Errors
    /// The first thing that is wrong, by its field; [`Error::OwnedByFile`] for a change on the page of what a file owns.
    pub fn save(&self, tx: &WriteTx<'_>, by: &By, draft: &Draft) -> Result<(ServiceId, Change), Error> {
        check(draft)?;
        let visible = by.actor.visible();
        let project = projects::find(tx, draft.project)?.filter(|project| visible.contains(project.id));
        project.filter(|project| project.archived_at.is_none()).ok_or(Error::UnknownProject)?;
        let known = queries::find(tx, &Visible::All, &draft.key)?;
        if let Some(known) = &known {
            if !visible.contains(known.project) {
                return Err(Error::KeyTaken(draft.key.clone()));
            }
            may_change(known, draft.owner)?;
        }
        let members = resolve_all(tx, &visible, draft)?;
        let position = position(tx, draft, known.as_ref())?;
        if known.as_ref().is_some_and(|known| is_same(known, draft, &members, position)) {
            let id = known.map_or(ServiceId(0), |known| known.id);
            return Ok((id, Change::Unchanged));
        }
        let former: BTreeSet<String> =
            known.iter().flat_map(|known| &known.members).map(|one| one.member.clone()).collect();
        let (id, change) = if let Some(known) = &known {
            (known.id, Change::Updated)
        } else {
            check_room(tx)?;
            let uid = self.incidents.entropy.uid(by.now);
            (insert(tx, by, uid, draft)?, Change::Created)
        };
        update(tx, by, id, (draft, position))?;
        set_members(tx, id, &members)?;
        self.regroup(tx, by, former.into_iter().chain(members))?;
        let action = if change == Change::Created { "service.create" } else { "service.change" };
        note(tx, by, action, draft)?;
        tx.touch(SERVICES);
        Ok((id, change))
    }

    /// Removes a service; its members stay, and ring for themselves again. `owner` is who removes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OwnedByFile`].
    pub fn remove(&self, tx: &WriteTx<'_>, by: &By, key: &str, owner: Owner) -> Result<(), Error> {
        let known = queries::find(tx, &by.actor.visible(), key)?.ok_or(Error::NotFound)?;
        may_change(&known, owner)?;
        let signal = known.id.signal_key();
        self.incidents.close_key(tx, by.now, &signal, CloseReason::SubjectRemoved, &by.actor.to_string())?;
        retention::leave(tx, known.id)?;
        self.regroup(tx, by, known.members.into_iter().map(|one| one.member))?;
        let (subject, project) = (known.key.as_str(), Some(known.project));
        audit::append(tx, by, &Audited { action: "service.remove", subject, project, detail: json!({}) })?;
        tx.touch(SERVICES);
        Ok(())
    }

    /// Says of each member whether a service rings for it: where one needs only some of its kind, and none needs it.
    fn regroup(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        members: impl IntoIterator<Item = String>,
    ) -> Result<(), Error> {
        for member in members.into_iter().collect::<BTreeSet<_>>() {
            let grouped = tx.one(
                "SELECT count(*) > 0 AND total(s.needs = 'all') = 0
                 FROM service_members m JOIN services s ON s.id = m.service_id WHERE m.member = ?1",
                [&member],
                |row| row.get::<_, bool>(0),
            )?;
            self.set_grouped(tx, by, &member, grouped)?;
        }
        Ok(())
    }
}

fn check(draft: &Draft) -> Result<(), Error> {
    check_key(&draft.key)?;
    line("name", &draft.name, NAME_CHARS_MAX)?;
    if draft.members.len() > MEMBERS_MAX {
        return Err(Error::TooManyMembers);
    }
    if let Needs::Quorum(least) = draft.needs
        && !(1..=draft.members.len()).contains(&usize::try_from(least).unwrap_or(usize::MAX))
    {
        return Err(Error::BadQuorum(draft.members.len()));
    }
    check_settings(&draft.settings)
}

fn check_settings(settings: &Settings) -> Result<(), Error> {
    let Settings { severity: _, environment, labels, runbook } = settings;
    if let Some(environment) = environment {
        line("environment", environment, WORD_CHARS_MAX)?;
    }
    if !are_labels(labels) {
        return Err(Error::BadLabels);
    }
    if runbook.as_ref().is_some_and(|runbook| !is_runbook(runbook)) {
        return Err(Error::BadRunbook);
    }
    Ok(())
}

fn may_change(known: &Service, by: Owner) -> Result<(), Error> {
    if known.owner.yields_to(by) { Ok(()) } else { Err(Error::OwnedByFile(known.key.clone())) }
}

fn check_room(tx: &ReadTx<'_>) -> Result<(), Error> {
    let count: i64 = tx.one("SELECT count(*) FROM services", [], |row| row.get(0))?;
    if count >= SERVICES_MAX { Err(Error::TooMany) } else { Ok(()) }
}

/// In the order of the draft, each once.
fn resolve_all(tx: &ReadTx<'_>, visible: &Visible, draft: &Draft) -> Result<Vec<String>, Error> {
    let mut found: Vec<String> = Vec::with_capacity(draft.members.len());
    for name in &draft.members {
        let member = members::resolve(tx, visible, draft.project, name)?;
        if !found.contains(&member) {
            found.push(member);
        }
    }
    Ok(found)
}

fn position(tx: &ReadTx<'_>, draft: &Draft, known: Option<&Service>) -> Result<u32, store::Error> {
    match (draft.position, known) {
        (Some(position), _) => Ok(position),
        (None, Some(known)) => Ok(known.position),
        (None, None) => tx.one("SELECT ifnull(max(position), 0) + 1 FROM services", [], |row| row.get(0)),
    }
}

fn is_same(known: &Service, draft: &Draft, members: &[String], position: u32) -> bool {
    let Service { project, name, needs, critical, settings, owner, .. } = known;
    (project, name, needs, critical, settings, owner, known.position)
        == (
            &draft.project,
            &draft.name,
            &draft.needs,
            &draft.critical,
            &draft.settings,
            &draft.owner,
            position,
        )
        && known.members.iter().map(|one| &one.member).eq(members)
}

fn insert(tx: &WriteTx<'_>, by: &By, uid: Uid, draft: &Draft) -> Result<ServiceId, store::Error> {
    let id = tx.insert(
        "INSERT INTO services (uid, project_id, key, name, needs, critical, position, owner, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, 'all', 0, 0, ?5, ?6, ?6)",
        params![
            uid.as_bytes(),
            draft.project.0,
            draft.key,
            draft.name,
            draft.owner.as_str(),
            by.now.as_micros()
        ],
    )?;
    Ok(ServiceId(id))
}

fn update(
    tx: &WriteTx<'_>,
    by: &By,
    id: ServiceId,
    (draft, position): (&Draft, u32),
) -> Result<(), store::Error> {
    let quorum = match draft.needs {
        Needs::Quorum(least) => Some(least),
        Needs::All | Needs::Any => None,
    };
    tx.execute(
        "UPDATE services SET project_id = ?2, name = ?3, needs = ?4, quorum = ?5, critical = ?6, settings = ?7,
                position = ?8, owner = ?9, updated_at = ?10, version = version + 1
         WHERE id = ?1",
        params![
            id.0,
            draft.project.0,
            draft.name,
            draft.needs.as_str(),
            quorum,
            draft.critical,
            json!(draft.settings).to_string(),
            position,
            draft.owner.as_str(),
            by.now.as_micros(),
        ],
    )?;
    Ok(())
}

fn set_members(tx: &WriteTx<'_>, id: ServiceId, members: &[String]) -> Result<(), store::Error> {
    tx.execute("DELETE FROM service_members WHERE service_id = ?1", [id.0])?;
    for (position, member) in (0_i64..).zip(members) {
        tx.execute(
            "INSERT INTO service_members (service_id, member, position) VALUES (?1, ?2, ?3)",
            params![id.0, member, position],
        )?;
    }
    Ok(())
}

fn note(tx: &WriteTx<'_>, by: &By, action: &'static str, draft: &Draft) -> Result<(), Error> {
    let detail = json!({
        "needs": draft.needs, "critical": draft.critical, "members": draft.members, "owner": draft.owner,
    });
    let (subject, project) = (draft.key.as_str(), Some(draft.project));
    Ok(audit::append(tx, by, &Audited { action, subject, project, detail })?)
}
