//! Sources, destinations and what came, on a store in a temporary folder.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::accounts::{Actor, By, Role, projects, users::UserId};
use crate::base::seal::Sealer;
use crate::base::{Entropy, Owner, ProjectId, Secret, Timestamp};
use crate::incidents::{Incidents, Policy};
use crate::store::{Options, ReadTx, Store, WriteTx};

mod accepting;
mod cleaning;
mod doors;
mod laying;
mod lists;
mod replaying;
mod saving;
mod watching;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHOP: ProjectId = ProjectId(1);
const BLOG: ProjectId = ProjectId(2);

/// A store with two projects, and what changes sources.
struct Bed {
    store: Store,
    webhooks: Webhooks,
    _folder: tempfile::TempDir,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.store.stop();
    }
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) });
        let webhooks = Webhooks { incidents, sealer: Sealer::new(&[7; 32]) };
        let bed = Self { store, webhooks, _folder: folder };
        bed.write(|_, tx| {
            for name in ["shop", "blog"] {
                let new = projects::NewProject { name: name.to_owned(), slug: None };
                projects::create(tx, &By::tocsin(T0), &new)?;
            }
            Ok(())
        })
        .unwrap();
        bed
    }

    /// In one transaction, which stays only where nothing was refused.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Webhooks, &WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let webhooks = self.webhooks.clone();
        self.store.write_now("test", move |tx| work(&webhooks, tx))
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, crate::store::Error>) -> T {
        self.store.read_now(work).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.read(|tx| tx.one(sql, [], |row| row.get(0)))
    }

    fn save_source(&self, draft: &SourceDraft) -> Result<save::Change, Error> {
        let draft = draft.clone();
        self.write(move |webhooks, tx| webhooks.save_source(tx, &By::tocsin(T0), &draft))
            .map(|(_, change)| change)
    }

    fn save_destination(&self, draft: &DestinationDraft) -> Result<save::Change, Error> {
        let draft = draft.clone();
        self.write(move |webhooks, tx| webhooks.save_destination(tx, &By::tocsin(T0), &draft))
            .map(|(_, change)| change)
    }

    fn source(&self, key: &str) -> Source {
        self.read(|tx| rows::find_source_by_key(tx, key)).unwrap()
    }

    fn destination(&self, key: &str) -> Destination {
        self.read(|tx| rows::find_destination_by_key(tx, key)).unwrap()
    }

    /// A source `stripe` with these destinations.
    fn with_destinations(keys: &[&str]) -> Self {
        let bed = Self::new();
        bed.save_source(&source("stripe")).unwrap();
        for key in keys {
            bed.save_destination(&destination(key, bed.source("stripe").id)).unwrap();
        }
        bed
    }
}

fn source(key: &str) -> SourceDraft {
    SourceDraft {
        key: key.to_owned(),
        name: format!("The {key}"),
        project: SHOP,
        definition: serde_json::from_value(json!({"provider": "stripe"})).unwrap(),
        secrets: Some(vec![Secret::new("whsec_one")]),
        owner: Owner::Page,
    }
}

fn destination(key: &str, source: SourceId) -> DestinationDraft {
    let url = format!("https://{key}.example/webhooks");
    DestinationDraft {
        key: key.to_owned(),
        name: format!("The {key}"),
        source,
        definition: serde_json::from_value(json!({"url": url})).unwrap(),
        secrets: secrets::Secrets::default(),
        owner: Owner::Page,
    }
}

fn member_of(project: ProjectId) -> By {
    let actor = Actor::User {
        id: UserId(1),
        email: "ann@example.org".parse().unwrap(),
        role: Role::Member,
        projects: vec![project],
    };
    By { actor, now: T0, address: None }
}
