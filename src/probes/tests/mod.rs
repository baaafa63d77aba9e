//! Probes on a store in a temporary folder.

use std::sync::Arc;

use crate::accounts::{Actor, By, Role, projects, users::UserId};
use crate::base::seal::Sealer;
use crate::base::{Entropy, ProjectId, Secret, Timestamp};
use crate::incidents::{Incidents, Policy};
use crate::store::{Options, Store, WriteTx};

use super::*;

mod lists;
mod saving;

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHOP: ProjectId = ProjectId(1);
const BLOG: ProjectId = ProjectId(2);

/// A store with two projects, and what changes probes.
struct Bed {
    store: Store,
    probes: Probes,
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
        let probes = Probes { incidents, sealer: Sealer::new(&[7; 32]) };
        let bed = Self { store, probes, _folder: folder };
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
        work: impl FnOnce(&Probes, &WriteTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let probes = self.probes.clone();
        self.store.write_now("test", move |tx| work(&probes, tx))
    }

    fn save(&self, draft: &Draft) -> Result<Change, Error> {
        let draft = draft.clone();
        self.write(move |probes, tx| probes.save(tx, &By::tocsin(T0), &draft))
    }

    fn read<T>(&self, work: impl FnOnce(&crate::store::ReadTx<'_>) -> Result<T, crate::store::Error>) -> T {
        self.store.read_now(work).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.read(|tx| tx.one(sql, [], |row| row.get(0)))
    }
}

fn target(json: serde_json::Value) -> Target {
    serde_json::from_value(json).unwrap()
}

fn draft(key: &str) -> Draft {
    let url = format!("https://{key}.example/health");
    Draft {
        key: key.to_owned(),
        name: format!("The {key}"),
        project: SHOP,
        definition: Definition::of(target(serde_json::json!({"kind": "http", "url": url}))),
        secrets: Secrets::default(),
        parents: Vec::new(),
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

fn secret(name: &str, text: &str) -> Secrets {
    Secrets([(name.to_owned(), Secret::new(text))].into())
}
