//! Making, changing, holding and removing sources and destinations.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::secrets::{Secrets, SourceSecrets};
use super::{Destination, DestinationId, Error, Source, SourceId, rows};
use crate::accounts::By;
use crate::accounts::audit::{self, Change as Audited};
pub use crate::base::owned::Change;
use crate::base::seal::Sealer;
use crate::base::{Owner, ProjectId, Secret, Timestamp};
use crate::incidents::{CloseReason, Incidents};
use crate::store::{self, WriteTx};

mod destination;
mod hold;
mod source;

pub use destination::DestinationDraft;
pub use source::SourceDraft;

/// What makes and changes sources and destinations. Its methods work in the caller's transaction; whoever calls asked
/// for permission.
#[derive(Clone, Debug)]
pub struct Webhooks {
    pub incidents: Arc<Incidents>,
    pub sealer: Sealer,
}

impl Webhooks {
    /// The secrets of a source.
    ///
    /// # Errors
    /// [`Error::Sealing`] where they were sealed with another key.
    pub fn open_source(&self, source: &Source) -> Result<SourceSecrets, Error> {
        let Some(sealed) = &source.sealed else { return Ok(SourceSecrets::default()) };
        let opened = self.sealer.open(sealed, &Source::context(source.uid)).ok();
        opened.and_then(|text| SourceSecrets::read(&text)).ok_or_else(|| Error::Sealing(source.key.clone()))
    }

    /// The secrets of a destination.
    ///
    /// # Errors
    /// [`Error::Sealing`] where they were sealed with another key.
    pub fn open_destination(&self, destination: &Destination) -> Result<Secrets, Error> {
        let Some(sealed) = &destination.sealed else { return Ok(Secrets::default()) };
        let opened = self.sealer.open(sealed, &Destination::context(destination.uid)).ok();
        let sealing = || Error::Sealing(destination.key.clone());
        opened.and_then(|text| Secrets::read(&text)).ok_or_else(sealing)
    }

    fn seal(&self, key: &str, text: &Secret, context: &str) -> Result<Vec<u8>, Error> {
        let sealed = self.sealer.seal(&self.incidents.entropy, text, context);
        sealed.map_err(|_| Error::Sealing(key.to_owned()))
    }

    /// Ends what rings for a destination.
    fn end_destination(&self, tx: &WriteTx<'_>, now: Timestamp, id: DestinationId) -> Result<(), Error> {
        for key in id.signal_keys() {
            self.incidents.close_key(tx, now, &key, CloseReason::SubjectRemoved, "tocsin")?;
        }
        Ok(())
    }
}

/// The source, if the caller may know of it.
fn source_seen_by(tx: &WriteTx<'_>, by: &By, id: SourceId) -> Result<Source, Error> {
    let found = rows::find_source(tx, id)?.filter(|source| by.actor.visible().contains(source.project));
    found.ok_or(Error::NoSource)
}

/// The destination, if the caller may know of it.
fn destination_seen_by(tx: &WriteTx<'_>, by: &By, id: DestinationId) -> Result<Destination, Error> {
    let found = rows::find_destination(tx, id)?;
    found.filter(|found| by.actor.visible().contains(found.project)).ok_or(Error::NoDestination)
}

fn owned_by_page(owner: Owner, key: &str) -> Result<(), Error> {
    match owner {
        Owner::Page => Ok(()),
        Owner::File => Err(Error::OwnedByFile(key.to_owned())),
    }
}

/// Writes the line of the audit log.
fn note(
    tx: &WriteTx<'_>,
    by: &By,
    action: &'static str,
    (project, key): (ProjectId, &str),
    detail: Value,
) -> Result<(), Error> {
    Ok(audit::append(tx, by, &Audited { action, subject: key, project: Some(project), detail })?)
}

fn written(definition: &impl Serialize) -> Result<String, Error> {
    let written = serde_json::to_string(definition);
    written.map_err(|error| Error::Store(store::Error::Refused(error.to_string().into())))
}
