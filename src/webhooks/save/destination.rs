//! Destinations made, changed and removed, and their secrets.

use serde_json::{Value, json};

use super::{Change, Webhooks, destination_seen_by, note, owned_by_page, source_seen_by, written};
use crate::accounts::{By, projects};
use crate::base::Owner;
use crate::base::owned::check_key;
use crate::base::text::line;
use crate::store::{self, ReadTx, WriteTx, params};
use crate::webhooks::check::{NAME_CHARS_MAX, names};
use crate::webhooks::destination::{Definition, Sign};
use crate::webhooks::secrets::{Missing, SECRET_BYTES_MAX, SIGNING, Secrets};
use crate::webhooks::{
    DESTINATIONS_MAX, DESTINATIONS_OF_SOURCE_MAX, Destination, DestinationId, Error, Source, SourceId,
    WEBHOOK_DELIVERIES, WEBHOOKS, removed, rows,
};

/// What somebody wants a destination to be.
#[derive(Clone, Debug)]
pub struct DestinationDraft {
    /// A draft with the key of a destination changes that one.
    pub key: String,
    pub name: String,
    pub source: SourceId,
    pub definition: Definition,
    /// Those that are not given are kept; those that the definition does not name are forgotten.
    pub secrets: Secrets,
    pub owner: Owner,
}

impl Webhooks {
    /// Makes the destination of this key what the draft says, or makes it. A file takes over what the page made.
    ///
    /// # Errors
    /// The first thing that is wrong, by its field; [`Error::OwnedByFile`]; [`Error::KeyTaken`] where the caller may not
    /// know of the destination of this key; [`Error::Settled`] where it is one of another source;
    /// [`Error::SecretMoves`], [`Error::SecretTold`]; [`Error::TooManyDestinations`].
    pub fn save_destination(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        draft: &DestinationDraft,
    ) -> Result<(DestinationId, Change), Error> {
        let found = rows::find_destination_by_key(tx, &draft.key)?;
        let visible = by.actor.visible();
        if let Some(found) = found.as_ref().filter(|found| !visible.contains(found.project)) {
            return Err(Error::KeyTaken(found.key.clone()));
        }
        if draft.owner == Owner::Page {
            found.as_ref().map_or(Ok(()), |found| owned_by_page(found.owner, &found.key))?;
        }
        check_key(&draft.key)?;
        line("name", &draft.name, NAME_CHARS_MAX)?;
        draft.definition.check(draft.owner)?;
        let source = source_seen_by(tx, by, draft.source)?;
        if projects::is_archived(tx, source.project)? {
            return Err(Error::UnknownProject);
        }
        let secrets = self.secrets_of(found.as_ref(), draft)?;
        check_signing(&source, draft, &secrets)?;
        match found {
            None => Ok((self.insert_destination(tx, by, (&source, draft), &secrets)?, Change::Created)),
            Some(found) => Ok((found.id, self.update_destination(tx, by, (&found, draft), &secrets)?)),
        }
    }

    /// As [`Webhooks::save_destination`], for one that is not there yet.
    ///
    /// # Errors
    /// As [`Webhooks::save_destination`]; [`Error::KeyTaken`].
    pub fn create_destination(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        draft: &DestinationDraft,
    ) -> Result<DestinationId, Error> {
        if rows::find_destination_by_key(tx, &draft.key)?.is_some() {
            return Err(Error::KeyTaken(draft.key.clone()));
        }
        self.save_destination(tx, by, draft).map(|(id, _)| id)
    }

    /// Removes a destination: what waits for it is not sent. `owner` is who removes: the page cannot remove what a file
    /// owns.
    ///
    /// # Errors
    /// [`Error::NoDestination`], [`Error::OwnedByFile`].
    pub fn remove_destination(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        id: DestinationId,
        owner: Owner,
    ) -> Result<(), Error> {
        let found = destination_seen_by(tx, by, id)?;
        if owner == Owner::Page {
            owned_by_page(found.owner, &found.key)?;
        }
        self.end_destination(tx, by.now, id)?;
        removed::leave_destination(tx, id)?;
        tx.touch(WEBHOOKS);
        tx.touch(WEBHOOK_DELIVERIES);
        note(tx, by, "webhook_destination.remove", (found.project, &found.key), Value::Null)
    }

    /// The secrets of a draft: those that were given, and of the stored ones those that are still asked for.
    ///
    /// # Errors
    /// [`Error::SecretMoves`] where a stored one would go to another place; [`Error::SecretTooLong`],
    /// [`Error::Sealing`], [`Error::Invalid`] where one is missing.
    fn secrets_of(&self, found: Option<&Destination>, draft: &DestinationDraft) -> Result<Secrets, Error> {
        let wanted = names(&draft.definition);
        let is_given = wanted.iter().all(|name| draft.secrets.0.contains_key(name));
        let kept = match found {
            Some(found) if !is_given => self.open_destination(found)?,
            Some(_) | None => Secrets::default(),
        };
        let moves = found.is_some_and(|found| moves(found, draft));
        let mut merged = Secrets::default();
        for name in wanted {
            let given = draft.secrets.0.get(&name);
            if given.is_none() && moves && draft.owner == Owner::Page && kept.0.contains_key(&name) {
                return Err(Error::SecretMoves(name));
            }
            let secret = given.or_else(|| kept.0.get(&name)).ok_or_else(|| missing(&name))?;
            if secret.expose().len() > SECRET_BYTES_MAX {
                return Err(Error::SecretTooLong);
            }
            merged.0.insert(name, secret.clone());
        }
        Ok(merged)
    }

    fn insert_destination(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        (source, draft): (&Source, &DestinationDraft),
        secrets: &Secrets,
    ) -> Result<DestinationId, Error> {
        let of_source = rows::destinations_of(tx, source.id)?.len();
        if of_source >= DESTINATIONS_OF_SOURCE_MAX || count(tx)? >= DESTINATIONS_MAX {
            return Err(Error::TooManyDestinations);
        }
        let uid = self.incidents.entropy.uid(by.now);
        let id = tx.insert(
            "INSERT INTO webhook_destinations (uid, source_id, project_id, key, name, definition, sealed, owner,
                                               created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
            params![
                uid.as_bytes(),
                source.id.0,
                source.project.0,
                draft.key,
                draft.name.trim(),
                written(&draft.definition)?,
                self.seal_destination(&draft.key, secrets, &Destination::context(uid))?,
                draft.owner.as_str(),
                by.now.as_micros()
            ],
        )?;
        tx.execute("INSERT INTO webhook_destination_states (destination_id) VALUES (?1)", [id])?;
        tx.touch(WEBHOOKS);
        note(tx, by, "webhook_destination.create", (source.project, &draft.key), detail(draft))?;
        Ok(DestinationId(id))
    }

    fn update_destination(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        (found, draft): (&Destination, &DestinationDraft),
        secrets: &Secrets,
    ) -> Result<Change, Error> {
        if found.source != draft.source {
            return Err(Error::Settled(found.key.clone()));
        }
        let name = draft.name.trim();
        let same_secrets = self.open_destination(found).is_ok_and(|known| known.same(secrets));
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
            self.seal_destination(&found.key, secrets, &Destination::context(found.uid))?
        };
        tx.execute(
            "UPDATE webhook_destinations SET name = ?2, definition = ?3, sealed = ?4, owner = ?5, updated_at = ?6,
                    version = version + 1
             WHERE id = ?1",
            params![
                found.id.0,
                name,
                written(&draft.definition)?,
                sealed,
                draft.owner.as_str(),
                by.now.as_micros()
            ],
        )?;
        tx.touch(WEBHOOKS);
        tx.touch(WEBHOOK_DELIVERIES);
        note(tx, by, "webhook_destination.update", (found.project, &found.key), detail(draft))?;
        Ok(Change::Updated)
    }

    fn seal_destination(
        &self,
        key: &str,
        secrets: &Secrets,
        context: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        if secrets.0.is_empty() {
            return Ok(None);
        }
        self.seal(key, &secrets.written(), context).map(Some)
    }
}

fn detail(draft: &DestinationDraft) -> Value {
    json!({"name": draft.name.trim(), "to": draft.definition.place(), "owner": draft.owner})
}

fn missing(name: &str) -> Error {
    if name == SIGNING {
        let reason = "the destination signs with a secret of its own: enter it as the secret “signing”";
        return Error::Invalid(crate::webhooks::check::Invalid::new("sign", reason));
    }
    let reason = Missing(name.to_owned()).to_string();
    Error::Invalid(crate::webhooks::check::Invalid::new("headers", reason))
}

/// Whether what it signs with can be used, and is told to nobody for whom it was not entered.
fn check_signing(source: &Source, draft: &DestinationDraft, secrets: &Secrets) -> Result<(), Error> {
    let definition = &source.definition;
    match draft.definition.sign {
        Sign::AsSource if draft.owner == Owner::Page && definition.sends_its_secret() => {
            Err(Error::SecretTold(source.key.clone()))
        }
        Sign::Off | Sign::AsSource => Ok(()),
        Sign::Own => match secrets.0.get(SIGNING) {
            Some(secret) => Ok(definition.check_secret(secret)?),
            None => Ok(()),
        },
    }
}

/// Whether a stored secret would be told to somebody for whom it was not stored: it stays with the host that it was
/// entered for. What a file says is not for the page to change, so that its secrets go with what it says alone.
fn moves(found: &Destination, draft: &DestinationDraft) -> bool {
    match (found.owner, draft.owner) {
        (Owner::File, Owner::Page) => found.definition != draft.definition,
        (Owner::File, Owner::File) | (Owner::Page, Owner::Page | Owner::File) => {
            found.definition.place() != draft.definition.place()
        }
    }
}

fn count(tx: &ReadTx<'_>) -> Result<u32, store::Error> {
    tx.one("SELECT count(*) FROM webhook_destinations", [], |row| row.get(0))
}
