//! Sources made, changed and removed, and their secrets.

use serde_json::{Value, json};

use super::{Change, Webhooks, note, owned_by_page, source_seen_by, written};
use crate::accounts::{By, projects};
use crate::base::owned::{BadKey, check_key};
use crate::base::text::line;
use crate::base::{Owner, ProjectId, Secret};
use crate::incidents::CloseReason;
use crate::store::{self, ReadTx, WriteTx, params};
use crate::webhooks::check::NAME_CHARS_MAX;
use crate::webhooks::destination::Sign;
use crate::webhooks::secrets::{Dated, SECRET_BYTES_MAX, SOURCE_SECRETS_MAX, SourceSecrets};
use crate::webhooks::source::Definition;
use crate::webhooks::{Error, SOURCES_MAX, Source, SourceId, WEBHOOKS, removed, rows};

/// Words that stand in the place of a source's key in the addresses of pages, such as `/webhooks/requests`.
const RESERVED: [&str; 3] = ["dead", "replays", "requests"];

/// What somebody wants a source to be.
#[derive(Clone, Debug)]
pub struct SourceDraft {
    /// Its address. A draft with the key of a source changes that one.
    pub key: String,
    pub name: String,
    pub project: ProjectId,
    pub definition: Definition,
    /// All of them, the newest first; `None`: as they are.
    pub secrets: Option<Vec<Secret>>,
    pub owner: Owner,
}

impl Webhooks {
    /// Makes the source of this key what the draft says, or makes it. A file takes over what the page made. Without a
    /// secret it refuses every call until it has one, unless its scheme asks for none.
    ///
    /// # Errors
    /// The first thing that is wrong, by its field; [`Error::OwnedByFile`] for a change on the page of what a file owns;
    /// [`Error::KeyTaken`] where the caller may not know of the source of this key; [`Error::Settled`] where it is one
    /// of another project; [`Error::SecretTold`]; [`Error::TooManySources`].
    pub fn save_source(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        draft: &SourceDraft,
    ) -> Result<(SourceId, Change), Error> {
        let found = rows::find_source_by_key(tx, &draft.key)?;
        let visible = by.actor.visible();
        if let Some(found) = found.as_ref().filter(|found| !visible.contains(found.project)) {
            return Err(Error::KeyTaken(found.key.clone()));
        }
        if draft.owner == Owner::Page {
            found.as_ref().map_or(Ok(()), |found| owned_by_page(found.owner, &found.key))?;
        }
        check_key(&draft.key)?;
        if RESERVED.contains(&draft.key.as_str()) {
            return Err(BadKey::Reserved(draft.key.clone()).into());
        }
        line("name", &draft.name, NAME_CHARS_MAX)?;
        draft.definition.check()?;
        let project = projects::find(tx, draft.project)?.filter(|project| visible.contains(project.id));
        project.filter(|project| project.archived_at.is_none()).ok_or(Error::UnknownProject)?;
        match found {
            None => Ok((self.insert_source(tx, by, draft)?, Change::Created)),
            Some(found) => Ok((found.id, self.update_source(tx, by, &found, draft)?)),
        }
    }

    /// As [`Webhooks::save_source`], for one that is not there yet.
    ///
    /// # Errors
    /// As [`Webhooks::save_source`]; [`Error::KeyTaken`].
    pub fn create_source(&self, tx: &WriteTx<'_>, by: &By, draft: &SourceDraft) -> Result<SourceId, Error> {
        if rows::find_source_by_key(tx, &draft.key)?.is_some() {
            return Err(Error::KeyTaken(draft.key.clone()));
        }
        self.save_source(tx, by, draft).map(|(id, _)| id)
    }

    /// Adds a secret, the newest from now on: it verifies beside the others and signs alone.
    ///
    /// # Errors
    /// [`Error::NoSource`], [`Error::OwnedByFile`], [`Error::TooManySecrets`], [`Error::SecretTwice`], or why the scheme
    /// cannot use it.
    pub fn add_secret(&self, tx: &WriteTx<'_>, by: &By, id: SourceId, secret: &Secret) -> Result<(), Error> {
        let source = source_seen_by(tx, by, id)?;
        owned_by_page(source.owner, &source.key)?;
        let mut secrets = self.open_source(&source)?;
        if secrets.0.iter().any(|known| known.secret.matches(secret.expose())) {
            return Err(Error::SecretTwice(source.key));
        }
        secrets.0.insert(0, Dated { secret: secret.clone(), added_at: by.now });
        check_secrets(&source.definition, &secrets)?;
        self.set_secrets(tx, by, &source, &secrets)?;
        note(tx, by, "webhook_source.add_secret", (source.project, &source.key), Value::Null)
    }

    /// Removes a secret by its place, 0 the newest: what it signed is refused from now on.
    ///
    /// # Errors
    /// [`Error::NoSource`], [`Error::OwnedByFile`], [`Error::NoSecret`]; [`Error::LastSecret`] where none would be left.
    pub fn remove_secret(&self, tx: &WriteTx<'_>, by: &By, id: SourceId, place: usize) -> Result<(), Error> {
        let source = source_seen_by(tx, by, id)?;
        owned_by_page(source.owner, &source.key)?;
        let mut secrets = self.open_source(&source)?;
        if place >= secrets.0.len() {
            return Err(Error::NoSecret);
        }
        secrets.0.remove(place);
        if secrets.0.is_empty() && source.definition.needs_secret() {
            return Err(Error::LastSecret(source.key));
        }
        self.set_secrets(tx, by, &source, &secrets)?;
        note(tx, by, "webhook_source.remove_secret", (source.project, &source.key), Value::Null)
    }

    /// Removes a source with its destinations: it takes no calls from now on, and what waits is not sent. `owner` is who
    /// removes: the page cannot remove what a file owns.
    ///
    /// # Errors
    /// [`Error::NoSource`]; [`Error::OwnedByFile`] also where a destination is a file's.
    pub fn remove_source(&self, tx: &WriteTx<'_>, by: &By, id: SourceId, owner: Owner) -> Result<(), Error> {
        let source = source_seen_by(tx, by, id)?;
        let destinations = rows::destinations_of(tx, id)?;
        if owner == Owner::Page {
            owned_by_page(source.owner, &source.key)?;
            destinations
                .iter()
                .try_for_each(|destination| owned_by_page(destination.owner, &destination.key))?;
        }
        for destination in destinations {
            self.remove_destination(tx, by, destination.id, owner)?;
        }
        for key in id.signal_keys() {
            self.incidents.close_key(tx, by.now, &key, CloseReason::SubjectRemoved, "tocsin")?;
        }
        removed::leave_source(tx, id)?;
        tx.touch(WEBHOOKS);
        note(tx, by, "webhook_source.remove", (source.project, &source.key), Value::Null)
    }

    fn insert_source(&self, tx: &WriteTx<'_>, by: &By, draft: &SourceDraft) -> Result<SourceId, Error> {
        if count(tx)? >= SOURCES_MAX {
            return Err(Error::TooManySources);
        }
        let wanted = draft.secrets.as_deref().unwrap_or_default();
        let secrets = SourceSecrets::default().replaced(wanted, by.now);
        check_secrets(&draft.definition, &secrets)?;
        let uid = self.incidents.entropy.uid(by.now);
        let sealed = self.seal_source(&draft.key, &secrets, &Source::context(uid))?;
        let id = tx.insert(
            "INSERT INTO webhook_sources (uid, project_id, key, name, provider, definition, sealed, owner, created_at,
                                          updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
            params![
                uid.as_bytes(),
                draft.project.0,
                draft.key,
                draft.name.trim(),
                draft.definition.provider,
                written(&draft.definition)?,
                sealed,
                draft.owner.as_str(),
                by.now.as_micros()
            ],
        )?;
        tx.execute("INSERT INTO webhook_source_states (source_id) VALUES (?1)", [id])?;
        tx.touch(WEBHOOKS);
        note(tx, by, "webhook_source.create", (draft.project, &draft.key), detail(draft))?;
        Ok(SourceId(id))
    }

    fn update_source(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        found: &Source,
        draft: &SourceDraft,
    ) -> Result<Change, Error> {
        if found.project != draft.project {
            return Err(Error::Settled(found.key.clone()));
        }
        let kept = match &draft.secrets {
            // What cannot be opened is no reason to keep new ones out.
            Some(_) => self.open_source(found).unwrap_or_default(),
            None => self.open_source(found)?,
        };
        let secrets =
            draft.secrets.as_ref().map_or_else(|| kept.clone(), |wanted| kept.replaced(wanted, by.now));
        check_secrets(&draft.definition, &secrets)?;
        check_told(tx, found.id, draft)?;
        let (name, same_secrets) = (draft.name.trim(), kept.same(&secrets));
        let is_same = found.name == name
            && found.definition == draft.definition
            && found.owner == draft.owner
            && same_secrets;
        if is_same {
            return Ok(Change::Unchanged);
        }
        let sealed = if same_secrets {
            found.sealed.clone()
        } else {
            self.seal_source(&found.key, &secrets, &Source::context(found.uid))?
        };
        tx.execute(
            "UPDATE webhook_sources SET name = ?2, provider = ?3, definition = ?4, sealed = ?5, owner = ?6,
                    updated_at = ?7, version = version + 1
             WHERE id = ?1",
            params![
                found.id.0,
                name,
                draft.definition.provider,
                written(&draft.definition)?,
                sealed,
                draft.owner.as_str(),
                by.now.as_micros()
            ],
        )?;
        tx.touch(WEBHOOKS);
        note(tx, by, "webhook_source.update", (found.project, &found.key), detail(draft))?;
        Ok(Change::Updated)
    }

    fn set_secrets(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        source: &Source,
        secrets: &SourceSecrets,
    ) -> Result<(), Error> {
        let sealed = self.seal_source(&source.key, secrets, &Source::context(source.uid))?;
        tx.execute(
            "UPDATE webhook_sources SET sealed = ?2, updated_at = ?3, version = version + 1 WHERE id = ?1",
            params![source.id.0, sealed, by.now.as_micros()],
        )?;
        tx.touch(WEBHOOKS);
        Ok(())
    }

    fn seal_source(
        &self,
        key: &str,
        secrets: &SourceSecrets,
        context: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        if secrets.0.is_empty() {
            return Ok(None);
        }
        self.seal(key, &secrets.written(), context).map(Some)
    }
}

fn detail(draft: &SourceDraft) -> Value {
    json!({"name": draft.name.trim(), "provider": draft.definition.provider, "owner": draft.owner})
}

fn check_secrets(definition: &Definition, secrets: &SourceSecrets) -> Result<(), Error> {
    if secrets.0.len() > SOURCE_SECRETS_MAX {
        return Err(Error::TooManySecrets);
    }
    for dated in &secrets.0 {
        if dated.secret.expose().len() > SECRET_BYTES_MAX {
            return Err(Error::SecretTooLong);
        }
        definition.check_secret(&dated.secret)?;
    }
    Ok(())
}

/// A scheme that sends its secret must not begin to tell it to a destination of the page.
fn check_told(tx: &ReadTx<'_>, id: SourceId, draft: &SourceDraft) -> Result<(), Error> {
    if !draft.definition.sends_its_secret() {
        return Ok(());
    }
    let is_told = |owner, sign| owner == Owner::Page && sign == Sign::AsSource;
    let told = rows::destinations_of(tx, id)?.into_iter().find(|one| is_told(one.owner, one.definition.sign));
    told.map_or(Ok(()), |_| Err(Error::SecretTold(draft.key.clone())))
}

fn count(tx: &ReadTx<'_>) -> Result<u32, store::Error> {
    tx.one("SELECT count(*) FROM webhook_sources", [], |row| row.get(0))
}
