mod machines;
mod people;
mod plans;

use std::time::Duration;

use super::audit::Filter;
use super::projects::{NewProject, Project};
use super::users::{NewUser, User};
use super::*;
use crate::base::{Entropy, Timestamp};
use crate::store::{Options, ReadTx, Store, WriteTx};

const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

struct Fixture {
    store: Store,
    entropy: Entropy,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        Self { store, entropy: Entropy::seeded(1), _folder: folder }
    }

    /// Runs a change of the command line at noon.
    fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, &By, &Entropy) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.change_at(NOON, work)
    }

    fn change_at<T: Send + 'static>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&WriteTx<'_>, &By, &Entropy) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let entropy = self.entropy.clone();
        self.store.write_now("test", move |tx| work(tx, &By::command_line(now), &entropy))
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> T {
        self.store.read_now(work).unwrap()
    }

    fn user(&self, email: &str, role: Role) -> User {
        let new = NewUser { email: email.parse().unwrap(), role, password: None };
        self.change(move |tx, by, entropy| users::create(tx, by, entropy, &new)).unwrap()
    }

    fn project(&self, name: &str) -> Project {
        let new = NewProject { name: name.to_owned(), slug: None };
        self.change(move |tx, by, _| projects::create(tx, by, &new)).unwrap()
    }

    /// The actions of the audit log, oldest first.
    fn audited(&self) -> Vec<String> {
        let lines = self.read(|tx| audit::list(tx, &Filter::default(), None, 1000));
        lines.into_iter().rev().map(|line| line.action).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.store.stop();
    }
}

#[test]
fn every_change_stands_in_the_audit_log_with_its_author() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com", Role::Owner);
    let actor = Actor::User { id: ada.id, email: ada.email.clone(), role: ada.role, projects: Vec::new() };
    let by = By { actor, now: NOON, address: "192.0.2.1".parse().ok() };
    let new = NewProject { name: "Shop".to_owned(), slug: None };
    let shop = fixture.store.write_now("test", move |tx| projects::create(tx, &by, &new)).unwrap();
    let lines = fixture.read(|tx| audit::list(tx, &Filter::default(), None, 10));
    let last = &lines[0];
    assert_eq!((last.actor.as_str(), last.action.as_str()), ("ada@example.com", "project.create"));
    assert_eq!((last.subject.as_str(), last.project_id), ("shop", Some(shop.id)));
    assert_eq!(last.address.as_deref(), Some("192.0.2.1"));
    assert_eq!(last.detail["name"], "Shop");
    assert_eq!((lines[1].actor.as_str(), lines[1].action.as_str()), ("command line", "user.create"));
    assert_eq!(fixture.read(|tx| audit::list(tx, &Filter::default(), Some(last.id), 10)).len(), 1);
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com", Role::Owner);
    let before = fixture.audited();
    let refused = fixture.change(move |tx, by, _| users::remove(tx, by, ada.id));
    assert!(matches!(refused, Err(Error::LastOwner)));
    assert_eq!(fixture.audited(), before);
}

#[test]
fn the_audit_log_is_purged_in_bounded_steps_oldest_first() {
    let fixture = Fixture::new();
    for n in 0..5 {
        let new = NewProject { name: format!("p{n}"), slug: None };
        let at = NOON + Duration::from_secs(n);
        fixture.change_at(at, move |tx, by, _| projects::create(tx, by, &new)).unwrap();
    }
    let before = NOON + Duration::from_secs(3);
    let step = || fixture.change(move |tx, _, _| audit::purge(tx, before, 2)).unwrap();
    assert_eq!([step(), step(), step()], [2, 1, 0]);
    assert_eq!(fixture.read(|tx| audit::list(tx, &Filter::default(), None, 10)).len(), 2);
}
