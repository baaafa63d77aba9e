//! Making, changing and removing probes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::definition::Definition;
use super::pause::seen_by;
use super::status::Status;
use super::{
    Error, Kind, Owner, PROBES, Probe, ProbeId, STATES, Secrets, parents, removed, ring, rows, secrets,
};
use crate::accounts::audit::{self, Change as Audited};
use crate::accounts::{By, projects};
use crate::base::annotations::{WORD_CHARS_MAX, are_labels, is_runbook};
use crate::base::owned::check_key;
use crate::base::seal::Sealer;
use crate::base::text::line;
use crate::base::{ProjectId, Secret, Uid};
use crate::incidents::{CloseReason, Incidents};
use crate::store::{self, ReadTx, WriteTx, params};

/// What makes and changes probes. Its methods work in the caller's transaction; whoever calls asked for permission.
#[derive(Clone, Debug)]
pub struct Probes {
    pub incidents: Arc<Incidents>,
    pub sealer: Sealer,
}

/// What somebody wants a probe to be.
#[derive(Clone, Debug)]
pub struct Draft {
    /// By which it is found: a draft with the key of a probe changes that one.
    pub key: String,
    pub name: String,
    pub project: ProjectId,
    pub definition: Definition,
    /// Those that are not given are kept; those that the target does not name are forgotten.
    pub secrets: Secrets,
    /// Keys of what it depends on; all of them, but for those that the caller may not know of: these stay.
    pub parents: Vec<String>,
    pub owner: Owner,
}

/// What became of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created(ProbeId),
    Updated(ProbeId),
    Unchanged(ProbeId),
}

/// At 30 seconds each that is 333 a second, twice what was measured.
pub const PROBES_MAX: u32 = 10_000;
/// A private key is about 2 KiB; a token less.
pub const SECRET_BYTES_MAX: usize = 8 * 1024;
const NAME_CHARS_MAX: usize = 100;

impl Change {
    pub const fn id(self) -> ProbeId {
        match self {
            Self::Created(id) | Self::Updated(id) | Self::Unchanged(id) => id,
        }
    }
}

impl Probes {
    /// Makes the probe of this key what the draft says, or makes it. A file takes over what the page made.
    ///
    /// # Errors
    /// The first thing that is wrong, by its field; [`Error::OwnedByFile`] for a change on the page of what a file owns;
    /// [`Error::KeyTaken`] where the caller may not know of the probe of this key; [`Error::TooMany`].
    pub fn save(&self, tx: &WriteTx<'_>, by: &By, draft: &Draft) -> Result<Change, Error> {
        let visible = by.actor.visible();
        let found = rows::find_known(tx, &visible, &draft.key)?;
        if let Some(found) = found.as_ref().filter(|found| !visible.contains(found.project)) {
            return Err(Error::KeyTaken(found.key.clone()));
        }
        if draft.owner == Owner::Page {
            found.as_ref().map_or(Ok(()), |found| owned_by_page(&found.key, found.owner))?;
        }
        check(draft)?;
        let project = projects::find(tx, draft.project)?.filter(|project| visible.contains(project.id));
        project.filter(|project| project.archived_at.is_none()).ok_or(Error::UnknownProject)?;
        let mut parents = parents::find(tx, &draft.parents, &visible)?;
        if let Some(found) = &found {
            parents.extend(parents::unseen(tx, found.id, &visible)?);
        }
        if parents.len() > parents::PARENTS_MAX {
            return Err(Error::TooManyParents);
        }
        let secrets = self.secrets_of(found.as_ref(), draft)?;
        draft.definition.clone().check(&secrets)?;
        let change = match found {
            None => Change::Created(self.insert(tx, by, draft, &secrets)?),
            Some(found) => self.update(tx, by, (&found, draft), &secrets)?,
        };
        let id = change.id();
        let related = parents::set(tx, id, &parents, &visible)?;
        let change = match change {
            Change::Unchanged(id) if related => {
                bump(tx, by, id)?;
                Change::Updated(id)
            }
            change => change,
        };
        self.follow_up(tx, by, change, draft)
    }

    /// As [`Probes::save`], for a probe that is not there yet.
    ///
    /// # Errors
    /// As [`Probes::save`]; [`Error::KeyTaken`].
    pub fn create(&self, tx: &WriteTx<'_>, by: &By, draft: &Draft) -> Result<ProbeId, Error> {
        if rows::find_known(tx, &by.actor.visible(), &draft.key)?.is_some() {
            return Err(Error::KeyTaken(draft.key.clone()));
        }
        self.save(tx, by, draft).map(Change::id)
    }

    /// Removes a probe with all that it saw. Its incident ends, saying why. `owner` is who removes: the page cannot
    /// remove what a file owns.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OwnedByFile`].
    pub fn remove(&self, tx: &WriteTx<'_>, by: &By, id: ProbeId, owner: Owner) -> Result<(), Error> {
        let probe = seen_by(tx, by, id)?;
        if owner == Owner::Page {
            owned_by_page(&probe.key, probe.owner)?;
        }
        ring::end(tx, &self.incidents, by.now, id, CloseReason::SubjectRemoved)?;
        removed::leave(tx, id)?;
        tx.touch(PROBES);
        tx.touch(STATES);
        note(tx, by, "probe.remove", (&probe.key, probe.project), Value::Null)
    }

    /// The secrets of a probe.
    ///
    /// # Errors
    /// [`Error::Sealing`] where they were sealed with another key.
    pub fn open(&self, probe: &Probe) -> Result<Secrets, Error> {
        let Some(sealed) = &probe.sealed else { return Ok(Secrets::default()) };
        let opened = self.sealer.open(sealed, &Probe::context(probe.uid)).map_err(|_| Error::Sealing)?;
        let named: BTreeMap<String, Secret> =
            serde_json::from_str(opened.expose()).map_err(|_| Error::Sealing)?;
        Ok(Secrets(named))
    }

    fn seal(&self, uid: Uid, secrets: &Secrets) -> Result<Option<Vec<u8>>, Error> {
        if secrets.0.is_empty() {
            return Ok(None);
        }
        let named: BTreeMap<&str, &str> =
            secrets.0.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
        let text = Secret::new(serde_json::to_string(&named).map_err(|_| Error::Sealing)?);
        let sealed = self.sealer.seal(&self.incidents.entropy, &text, &Probe::context(uid));
        sealed.map(Some).map_err(|_| Error::Sealing)
    }

    /// The secrets of a draft: those that were given, and of the stored ones those that the target still asks for.
    ///
    /// # Errors
    /// [`Error::SecretMoves`] where a stored one would go to another place; [`Error::SecretTooLong`],
    /// [`Error::Sealing`].
    pub fn secrets_of(&self, found: Option<&Probe>, draft: &Draft) -> Result<Secrets, Error> {
        let kept = match found {
            Some(found) => self.open(found)?,
            None => Secrets::default(),
        };
        let target = &draft.definition.target;
        let moves = found.is_some_and(|found| moves(found, draft));
        let mut merged = Secrets::default();
        for name in secrets::names(target) {
            let given = draft.secrets.0.get(&name);
            if given.is_none() && moves && draft.owner == Owner::Page && kept.0.contains_key(&name) {
                return Err(Error::SecretMoves(name));
            }
            let Some(secret) = given.or_else(|| kept.0.get(&name)) else { continue };
            if secret.expose().len() > SECRET_BYTES_MAX {
                return Err(Error::SecretTooLong(name));
            }
            merged.0.insert(name, secret.clone());
        }
        Ok(merged)
    }

    fn insert(&self, tx: &WriteTx<'_>, by: &By, draft: &Draft, secrets: &Secrets) -> Result<ProbeId, Error> {
        if count(tx)? >= PROBES_MAX {
            return Err(Error::TooMany);
        }
        let uid = self.incidents.entropy.uid(by.now);
        let name = line("name", &draft.name, NAME_CHARS_MAX)?;
        let id = tx.insert(
            "INSERT INTO probes (uid, project_id, key, name, kind, definition, sealed, owner, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
            params![
                uid.as_bytes(),
                draft.project.0,
                draft.key,
                name,
                draft.definition.kind().as_str(),
                written(&draft.definition)?,
                self.seal(uid, secrets)?,
                draft.owner.as_str(),
                by.now.as_micros()
            ],
        )?;
        let status = Status::Unknown;
        let is_pushed = draft.definition.kind() == Kind::Push;
        let unseen = if is_pushed { "waiting for its first report" } else { "not asked yet" };
        tx.execute(
            "INSERT INTO probe_states (probe_id, project_id, status, rank, name, since, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![id, draft.project.0, status.as_str(), status.rank(), name, by.now.as_micros(), unseen],
        )?;
        Ok(ProbeId(id))
    }

    fn update(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        (found, draft): (&Probe, &Draft),
        secrets: &Secrets,
    ) -> Result<Change, Error> {
        let name = line("name", &draft.name, NAME_CHARS_MAX)?;
        let same_secrets = same(&self.open(found)?, secrets);
        let is_same = found.name == name
            && found.project == draft.project
            && found.definition == draft.definition
            && found.owner == draft.owner
            && same_secrets;
        if is_same {
            return Ok(Change::Unchanged(found.id));
        }
        let sealed = if same_secrets { found.sealed.clone() } else { self.seal(found.uid, secrets)? };
        tx.execute(
            "UPDATE probes SET project_id = ?2, name = ?3, kind = ?4, definition = ?5, sealed = ?6, owner = ?7,
                    push_hash = iif(?4 = 'push', push_hash, NULL), grouped = iif(project_id = ?2, grouped, 0)
             WHERE id = ?1",
            params![
                found.id.0,
                draft.project.0,
                name,
                draft.definition.kind().as_str(),
                written(&draft.definition)?,
                sealed,
                draft.owner.as_str()
            ],
        )?;
        bump(tx, by, found.id)?;
        tx.execute(
            "UPDATE probe_states SET project_id = ?2, name = ?3 WHERE probe_id = ?1",
            params![found.id.0, draft.project.0, name],
        )?;
        if found.project != draft.project {
            // Its incident and its services belong to the other project; what still holds opens one here.
            ring::end(tx, &self.incidents, by.now, found.id, CloseReason::SubjectRemoved)?;
        }
        Ok(Change::Updated(found.id))
    }

    fn follow_up(&self, tx: &WriteTx<'_>, by: &By, change: Change, draft: &Draft) -> Result<Change, Error> {
        let action = match change {
            Change::Created(_) => "probe.create",
            Change::Updated(_) => "probe.update",
            Change::Unchanged(_) => return Ok(change),
        };
        let probe = rows::find(tx, change.id())?.ok_or(Error::NotFound)?;
        let detail = json!({"name": probe.name, "kind": probe.definition.kind(), "owner": draft.owner});
        note(tx, by, action, (&probe.key, probe.project), detail)?;
        ring::level(tx, &self.incidents, by.now, probe.id)?;
        tx.touch(PROBES);
        tx.touch(STATES);
        Ok(change)
    }
}

/// Whether a stored secret would be told to somebody for whom it was not stored.
///
/// It stays with the host that it was entered for: whoever may change a probe of the page may let it ask another path
/// there, and is trusted to. What a file says is not theirs to change, so that its secrets go with its target alone: an
/// address of the same host that shows what it was sent would give them away.
fn moves(found: &Probe, draft: &Draft) -> bool {
    let (stored, wanted) = (&found.definition.target, &draft.definition.target);
    match (found.owner, draft.owner) {
        (Owner::File, Owner::Page) => stored != wanted,
        (Owner::File, Owner::File) | (Owner::Page, Owner::Page | Owner::File) => {
            stored.place() != wanted.place()
        }
    }
}

/// Writes the line of the audit log.
pub(super) fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    (key, project): (&str, ProjectId),
    detail: Value,
) -> Result<(), Error> {
    let change = Audited { action, subject: key, project: Some(project), detail };
    Ok(audit::append(tx, by, &change)?)
}

fn bump(tx: &WriteTx<'_>, by: &By, id: ProbeId) -> Result<(), store::Error> {
    tx.execute(
        "UPDATE probes SET version = version + 1, updated_at = ?2 WHERE id = ?1",
        params![id.0, by.now.as_micros()],
    )?;
    Ok(())
}

fn owned_by_page(key: &str, owner: Owner) -> Result<(), Error> {
    match owner {
        Owner::Page => Ok(()),
        Owner::File => Err(Error::OwnedByFile(key.to_owned())),
    }
}

fn count(tx: &ReadTx<'_>) -> Result<u32, store::Error> {
    tx.one("SELECT count(*) FROM probes", [], |row| row.get(0))
}

fn written(definition: &Definition) -> Result<String, Error> {
    let written = serde_json::to_string(definition);
    written.map_err(|error| Error::Store(store::Error::Refused(error.to_string().into())))
}

fn same(one: &Secrets, other: &Secrets) -> bool {
    one.0.len() == other.0.len()
        && one
            .0
            .iter()
            .zip(&other.0)
            .all(|((name, secret), (other_name, other))| name == other_name && secret.matches(other.expose()))
}

/// What can be said without looking at anything stored.
fn check(draft: &Draft) -> Result<(), Error> {
    check_key(&draft.key)?;
    line("name", &draft.name, NAME_CHARS_MAX)?;
    let Definition { labels, runbook, environment, .. } = &draft.definition;
    if !are_labels(labels) {
        return Err(Error::BadLabels);
    }
    if let Some(environment) = environment {
        line("environment", environment, WORD_CHARS_MAX)?;
    }
    if runbook.as_ref().is_some_and(|runbook| !is_runbook(runbook)) {
        return Err(Error::BadRunbook);
    }
    Ok(())
}
