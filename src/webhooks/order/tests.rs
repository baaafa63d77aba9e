//! Random sequences of what can happen to deliveries of some keys, against what must hold whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::accounts::{By, projects};
use crate::base::seal::Sealer;
use crate::base::{Entropy, Timestamp, Uid};
use crate::incidents::{Incidents, Policy};
use crate::store::{Error, Options, Record as _, Store, WriteTx};
use crate::webhooks::alarms::Subject;
use crate::webhooks::claim::{Space, Want, claim, look};
use crate::webhooks::delivery::{Cause, Claimed};
use crate::webhooks::laid::{Event, Laid, SHOP};
use crate::webhooks::outcome::{Attempt, End, Outcome, OutcomeRecord, Tried};
use crate::webhooks::recover::recover;
use crate::webhooks::verdict::{Reason, Verdict};
use crate::webhooks::{DeliveryId, DestinationId, Payload, Webhooks, replay_one};

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);
const KEYS: [&str; 2] = ["cus_1", "cus_2"];
const BOOT: Uid = Uid::from_bytes([1; 16]);

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive(usize),
    Claim(u32),
    Complete(usize),
    Fail(usize),
    Die(usize),
    GiveBack(usize),
    /// Of all deliveries, this one; whatever became of it.
    Replay(usize),
    /// The process ends with everything under way.
    Restart,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..KEYS.len()).prop_map(Step::Arrive),
        4 => (1u32..4).prop_map(Step::Claim),
        3 => any::<usize>().prop_map(Step::Complete),
        2 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Die),
        1 => any::<usize>().prop_map(Step::GiveBack),
        2 => any::<usize>().prop_map(Step::Replay),
        1 => Just(Step::Restart),
        2 => (1u64..60).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

struct World {
    webhooks: Webhooks,
    laid: Laid,
    subject: Arc<Subject>,
    now: Timestamp,
    boot: u8,
    under_way: Vec<Claimed>,
    all: Vec<DeliveryId>,
    /// Ids in the order in which the app heard of them for the first time, by key.
    first_seen: BTreeMap<String, Vec<DeliveryId>>,
}

impl World {
    fn boot(&self) -> Uid {
        Uid::from_bytes([self.boot; 16])
    }

    fn step(&mut self, tx: &WriteTx<'_>, source: crate::webhooks::SourceId, step: Step) -> Result<(), Error> {
        let destination = self.subject.destination;
        match step {
            Step::Arrive(key) => {
                let payload = Payload { method: "POST".to_owned(), ..Payload::default() };
                self.laid.now = self.now;
                let event = Event {
                    source,
                    destination,
                    order_key: Some(KEYS[key]),
                    payload: &payload,
                    body_bytes: None,
                };
                self.all.push(self.laid.event(tx, &event)?);
            }
            Step::Claim(most) => {
                let space = Space { bytes: 1_000, is_empty: true };
                let claimed = claim(tx, self.now, self.boot(), &[Want { destination, most }], space)?.claimed;
                for claimed in &claimed {
                    let seen = self.first_seen.entry(claimed.order_key.clone().unwrap()).or_default();
                    if !seen.contains(&claimed.id) {
                        seen.push(claimed.id);
                    }
                }
                self.under_way.extend(claimed);
            }
            Step::Complete(at) => self.end(tx, at, Some(Verdict::Completed))?,
            Step::Fail(at) => {
                let again = Verdict::Again { at: self.now + Duration::from_secs(20), reason: Reason::Failed };
                self.end(tx, at, Some(again))?;
            }
            Step::Die(at) => self.end(tx, at, Some(Verdict::Dead { reason: Reason::Failed }))?,
            Step::GiveBack(at) => self.end(tx, at, None)?,
            Step::Replay(at) => {
                if let Some(id) = at.checked_rem(self.all.len()).map(|at| self.all[at]) {
                    // Refused where it waits or is under way.
                    let by = By::tocsin(self.now);
                    tx.attempt(|tx| replay_one::replay(tx, &self.webhooks.incidents, &by, id)).ok();
                }
            }
            Step::Restart => {
                self.boot += 1;
                self.under_way.clear();
                while recover(tx, self.now, self.boot(), 3)? > 0 {}
            }
            Step::Wait(seconds) => self.now = self.now + Duration::from_secs(seconds),
        }
        Ok(())
    }

    fn end(&mut self, tx: &WriteTx<'_>, at: usize, verdict: Option<Verdict>) -> Result<(), Error> {
        let Some(at) = at.checked_rem(self.under_way.len()) else { return Ok(()) };
        let claimed = self.under_way.remove(at);
        let end = match verdict {
            None => End::GivenBack,
            Some(verdict) => End::Tried(Box::new(Tried {
                subject: Arc::clone(&self.subject),
                attempt: Attempt {
                    cause: Cause::First,
                    started_at: self.now,
                    duration: Duration::ZERO,
                    status: Some(200),
                    error: None,
                    answer: None,
                },
                verdict,
                breaker: None,
            })),
        };
        let outcome = Outcome { claimed, at: self.now, end };
        let record = OutcomeRecord::new(self.webhooks.clone(), self.boot());
        record.record(tx, &[outcome], &mut ()).map(|_| ())
    }

    /// Of each key one has the turn as long as any is open, and never two; who has it was there first, unless one was
    /// begun anew.
    fn check(&self, tx: &WriteTx<'_>) -> Result<(), TestCaseError> {
        for key in KEYS {
            let of_key = |condition: &str| -> i64 {
                let sql = format!(
                    "SELECT count(*) FROM webhook_deliveries WHERE destination_id = ?1 AND order_key = ?2 AND {condition}"
                );
                let params = crate::store::params![self.subject.destination.0, key];
                tx.one(&sql, params, |row| row.get(0)).unwrap()
            };
            let open = of_key("status IN ('pending', 'processing', 'failed')");
            let active = of_key("(due_at IS NOT NULL OR status = 'processing')");
            prop_assert_eq!(active, open.min(1), "of {}", key);
        }
        let mine = self.under_way.len();
        let sql =
            "SELECT count(*) FROM webhook_deliveries WHERE destination_id = ?1 AND status = 'processing'";
        let leased: i64 = tx.one(sql, [self.subject.destination.0], |row| row.get(0)).unwrap();
        prop_assert_eq!(usize::try_from(leased).unwrap(), mine);
        for seen in self.first_seen.values() {
            prop_assert!(seen.is_sorted(), "{:?}", seen);
        }
        Ok(())
    }
}

#[test]
fn one_of_a_key_has_the_turn_and_the_order_is_kept_whatever_happens() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let by = By::tocsin(NOON);
    store.write_now("project", move |tx| projects::ensure_default(tx, &by)).unwrap();
    let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(7) });
    let webhooks = Webhooks { incidents, sealer: Sealer::new(&[7; 32]) };
    let mut runner = TestRunner::new(Config { cases: 60, ..Config::default() });
    let case = std::cell::Cell::new(0);
    let run = |steps: Vec<Step>| {
        case.set(case.get() + 1);
        let (webhooks, name) = (webhooks.clone(), format!("case-{}", case.get()));
        let played = store.write_now("play", move |tx| Ok::<_, Error>(play(tx, webhooks, &name, &steps)));
        played.map_err(|error| TestCaseError::fail(error.to_string()))?
    };
    runner.run(&steps(), run).unwrap();
    store.stop();
}

fn play(tx: &WriteTx<'_>, webhooks: Webhooks, name: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let laid = Laid { entropy: Entropy::seeded(name.len() as u64), sealer: Sealer::new(&[7; 32]), now: NOON };
    let fail = |error: Error| TestCaseError::fail(error.to_string());
    let laid = Laid { entropy: Entropy::system().unwrap(), ..laid };
    let source = laid.source(tx, name, r#"{"provider":"generic","scheme":"none"}"#).map_err(fail)?;
    let definition = r#"{"url":"http://127.0.0.1/","in_order":true}"#;
    let destination = laid.destination(tx, (source, "file"), name, definition).map_err(fail)?;
    let mut world = World {
        webhooks,
        laid,
        subject: Arc::new(subject(destination)),
        now: NOON,
        boot: 1,
        under_way: Vec::new(),
        all: Vec::new(),
        first_seen: BTreeMap::new(),
    };
    assert_eq!(world.boot(), BOOT);
    for step in steps {
        world.step(tx, source, *step).map_err(fail)?;
        world.check(tx)?;
    }
    // What is left is delivered by time alone.
    for _ in 0..200 {
        world.step(tx, source, Step::Wait(60)).map_err(fail)?;
        world.step(tx, source, Step::Claim(4)).map_err(fail)?;
        while !world.under_way.is_empty() {
            world.step(tx, source, Step::Complete(0)).map_err(fail)?;
        }
        if look(tx).map_err(fail)?.iter().all(|(id, _)| *id != destination) {
            let open: i64 = tx
                .one(
                    "SELECT count(*) FROM webhook_deliveries
                     WHERE destination_id = ?1 AND status NOT IN ('completed', 'dead_letter')",
                    [destination.0],
                    |row| row.get(0),
                )
                .map_err(fail)?;
            prop_assert_eq!(open, 0);
            return Ok(());
        }
    }
    Err(TestCaseError::fail("it never ends"))
}

fn subject(destination: DestinationId) -> Subject {
    Subject {
        destination,
        uid: BOOT,
        key: "app".to_owned(),
        name: "App".to_owned(),
        source_name: "Stripe".to_owned(),
        project: SHOP,
        severity: crate::base::Severity::High,
        service: None,
        runbook: None,
        environment: None,
    }
}
