//! Taken once: against a model, over random sequences of calls, deaths and calls again.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::webhooks::accept::{Accepted, Arrival, Batch, Towards};

pub(super) fn arrival(bed: &Bed, event: &str) -> Arrival {
    let source = bed.source("stripe");
    let ends = bed.read(|tx| rows::destinations_of(tx, source.id));
    Arrival {
        uid: bed.webhooks.incidents.entropy.uid(T0),
        source: source.id,
        project: source.project,
        received_at: T0,
        event_id: event.to_owned(),
        content: None,
        event_type: "invoice.paid".to_owned(),
        order_key: None,
        content_type: "application/json".to_owned(),
        body_bytes: 2,
        address: "192.0.2.1".to_owned(),
        secret: Some(0),
        signed_at: None,
        payload: vec![1, 2, 3],
        to: ends.iter().map(|end| Towards { destination: end.id, in_order: false }).collect(),
    }
}

pub(super) fn accept(bed: &Bed, arrival: &Arrival) -> Accepted {
    accept_all(bed, std::slice::from_ref(arrival)).remove(0)
}

/// All of them in one commit.
fn accept_all(bed: &Bed, arrivals: &[Arrival]) -> Vec<Accepted> {
    let arrivals = arrivals.to_vec();
    bed.write(move |webhooks, tx| Ok(take(webhooks, tx, &arrivals)?)).unwrap()
}

fn take(
    webhooks: &Webhooks,
    tx: &WriteTx<'_>,
    arrivals: &[Arrival],
) -> Result<Vec<Accepted>, crate::store::Error> {
    let mut batch = Batch::default();
    let accepted: Result<Vec<_>, _> =
        arrivals.iter().map(|arrival| batch.accept(tx, &webhooks.incidents, arrival)).collect();
    batch.finish(tx)?;
    accepted
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// The provider sends these, in one commit.
    Send(Vec<u8>),
    /// The newest request of an event ends so at one destination.
    End(u8, usize, DeliveryStatus),
    /// Somebody deals with what is dead of it there.
    Settle(u8, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (event, end) = (0_u8..3, 0_usize..2);
    let status = prop_oneof![Just(DeliveryStatus::Completed), Just(DeliveryStatus::DeadLetter)];
    let step = prop_oneof![
        3 => prop::collection::vec(event.clone(), 1..4).prop_map(Step::Send),
        4 => (event.clone(), end.clone(), status).prop_map(|(event, end, status)| Step::End(event, end, status)),
        1 => (event, end).prop_map(|(event, end)| Step::Settle(event, end)),
    ];
    prop::collection::vec(step, 1..30)
}

/// How the newest request of an event is at each destination; `None`: it was not sent there.
type Ends = [Option<(DeliveryStatus, bool)>; 2];

#[derive(Default)]
struct Model {
    events: BTreeMap<u8, Ends>,
    requests: i64,
    duplicates: i64,
}

impl Model {
    fn send(&mut self, event: u8) -> Accepted {
        let fresh = Some((DeliveryStatus::Pending, false));
        let Some(ends) = self.events.get_mut(&event) else {
            self.events.insert(event, [fresh, fresh]);
            self.requests += 1;
            return Accepted::New;
        };
        let is_open = ends.iter().flatten().any(|(status, _)| status.is_open());
        let dead = ends.map(|end| end == Some((DeliveryStatus::DeadLetter, false)));
        if is_open || !dead.contains(&true) {
            self.duplicates += 1;
            return Accepted::Duplicate;
        }
        *ends = dead.map(|dead| fresh.filter(|_| dead));
        self.requests += 1;
        Accepted::Again
    }
}

/// Applies a step to the newest delivery of an event at a destination; answers whether there is one that it is for.
fn end(tx: &WriteTx<'_>, event: u8, end: i64, sql: &str) -> Result<usize, crate::store::Error> {
    tx.execute(
        &format!(
            "UPDATE webhook_deliveries SET {sql} AND destination_id = ?2 AND request_id = (
                 SELECT request_id FROM processed_webhook_events WHERE event_id = ?1)"
        ),
        crate::store::params![event.to_string(), end],
    )
}

fn run(bed: &Bed, template: &Arrival, steps: &[Step]) -> (Model, Vec<i64>) {
    let (template, steps, webhooks) = (template.clone(), steps.to_vec(), bed.webhooks.clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    let undone = bed.store.write_now("model", move |tx| -> Result<(), crate::store::Error> {
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Send(events) => {
                    let arrivals: Vec<Arrival> = events
                        .iter()
                        .map(|event| Arrival {
                            uid: webhooks.incidents.entropy.uid(T0),
                            event_id: event.to_string(),
                            ..template.clone()
                        })
                        .collect();
                    let wanted: Vec<Accepted> = events.iter().map(|event| model.send(*event)).collect();
                    assert_eq!(take(&webhooks, tx, &arrivals)?, wanted, "{steps:?}");
                }
                Step::End(event, at, status) => {
                    let sql = format!("status = '{status}' WHERE status = 'pending'");
                    let ended = end(tx, *event, template.to[*at].destination.0, &sql)?;
                    let known = model.events.get_mut(event).and_then(|ends| ends[*at].as_mut());
                    let known = known.filter(|end| end.0.is_open());
                    assert_eq!(ended, usize::from(known.is_some()));
                    if let Some(known) = known {
                        known.0 = *status;
                    }
                }
                Step::Settle(event, at) => {
                    let sql = "settled_at = 1 WHERE status = 'dead_letter' AND settled_at IS NULL";
                    end(tx, *event, template.to[*at].destination.0, sql)?;
                    let known = model.events.get_mut(event).and_then(|ends| ends[*at].as_mut());
                    if let Some(known) = known.filter(|end| end.0 == DeliveryStatus::DeadLetter) {
                        known.1 = true;
                    }
                }
            }
        }
        let counts = [
            "SELECT count(*) FROM webhook_requests",
            "SELECT count(*) FROM webhook_payloads",
            "SELECT accepted FROM webhook_source_states",
            "SELECT duplicates FROM webhook_source_states",
            "SELECT ifnull(sum(repeats), 0) FROM webhook_requests",
            "SELECT ifnull(sum(duplicates), 0) FROM webhook_source_points",
            "SELECT count(*) FROM processed_webhook_events",
            "SELECT count(*) FROM (
                 SELECT 1 FROM webhook_deliveries JOIN webhook_requests ON webhook_requests.id = request_id
                 WHERE status = 'pending' GROUP BY event_id, destination_id HAVING count(*) > 1)",
        ]
        .map(|sql| tx.one(sql, [], |row| row.get::<_, i64>(0)).unwrap());
        sender.send((model, counts.to_vec())).unwrap();
        // The next sequence begins with an empty store.
        Err(crate::store::Error::Refused("undone".into()))
    });
    assert!(undone.is_err());
    receiver.recv().unwrap()
}

#[test]
fn an_event_is_taken_once_unless_it_died() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let template = arrival(&bed, "");
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 128, ..Config::default() });
    runner
        .run(&steps(), |steps| {
            let (model, counts) = run(&bed, &template, &steps);
            let (requests, duplicates) = (model.requests, model.duplicates);
            let events = i64::try_from(model.events.len()).unwrap();
            let wanted = vec![requests, requests, requests, duplicates, duplicates, duplicates, events, 0];
            prop_assert_eq!(counts, wanted);
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_died_is_dealt_with_and_delivered_anew_where_it_is_dead() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    assert_eq!(accept(&bed, &arrival(&bed, "evt_1")), Accepted::New);
    bed.write(|_, tx| {
        tx.execute("UPDATE webhook_deliveries SET status = 'completed' WHERE destination_id = 1", [])?;
        tx.execute("UPDATE webhook_deliveries SET status = 'dead_letter' WHERE destination_id = 2", [])?;
        Ok(())
    })
    .unwrap();
    let worker = bed.destination("worker").id;
    let died = crate::incidents::Signal {
        project: Some(SHOP),
        service: None,
        key: worker.signal_key("dead"),
        source: crate::incidents::Source::Webhook,
        severity: crate::base::Severity::High,
        summary: "it died".to_owned(),
        detail: json!({}),
        first_bad_at: T0,
        observed_at: T0,
        kind: crate::incidents::SignalKind::Occurrence,
    };
    bed.write(move |webhooks, tx| Ok(webhooks.incidents.raise(tx, T0, &died).map(drop)?)).unwrap();
    assert_eq!(accept(&bed, &arrival(&bed, "evt_1")), Accepted::Again);
    assert_eq!(bed.number("SELECT count(*) FROM incidents WHERE state <> 'resolved'"), 0);
    let told = bed.read(|tx| {
        tx.all(
            "SELECT request_id, destination_id, status, settled_by FROM webhook_deliveries ORDER BY id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, Option<String>>(3)?)),
        )
    });
    let again = Some("sent again by the provider".to_owned());
    let wanted: Vec<(i64, i64, String, Option<String>)> = vec![
        (1, 1, "completed".to_owned(), None),
        (1, 2, "dead_letter".to_owned(), again),
        (2, 2, "pending".to_owned(), None),
    ];
    assert_eq!(told, wanted);
    assert_eq!(bed.number("SELECT after FROM webhook_requests WHERE id = 2"), 1);
    assert_eq!(accept(&bed, &arrival(&bed, "evt_1")), Accepted::Duplicate);
}

/// Kept by somebody, and sent again under an id that nobody signed.
#[test]
fn what_was_said_before_is_known_under_any_id_unless_it_died() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let said = |event: &str, content: &str| Arrival {
        content: Some(format!("content:{content}")),
        ..arrival(&bed, event)
    };
    assert_eq!(accept(&bed, &said("d-1", "aa")), Accepted::New);
    for id in ["d-1", "forged", "forged again"] {
        assert_eq!(accept(&bed, &said(id, "aa")), Accepted::Duplicate, "{id}");
    }
    assert_eq!(accept(&bed, &said("d-1", "bb")), Accepted::Duplicate, "the provider's id counts as ever");
    assert_eq!(accept(&bed, &said("d-2", "bb")), Accepted::New);
    assert_eq!(bed.number("SELECT repeats FROM webhook_requests WHERE id = 1"), 4);

    let end = |status: &'static str| {
        let sql = format!("UPDATE webhook_deliveries SET status = '{status}' WHERE status = 'pending'");
        bed.write(move |_, tx| Ok(tx.execute(&sql, []).map(drop)?)).unwrap();
    };
    end("completed");
    bed.write(|_, tx| {
        tx.execute("UPDATE webhook_deliveries SET status = 'dead_letter' WHERE request_id = 1", [])?;
        Ok(())
    })
    .unwrap();
    assert_eq!(
        accept(&bed, &said("d-1", "bb")),
        Accepted::Duplicate,
        "what arrived does not live on as what died"
    );
    assert_eq!(accept(&bed, &said("d-1", "aa")), Accepted::Again, "sent again by a person at the provider");
    assert_eq!(accept(&bed, &said("d-1", "aa")), Accepted::Duplicate);
    assert_eq!(accept(&bed, &said("forged", "aa")), Accepted::Duplicate);
    assert_eq!(bed.number("SELECT count(*) FROM webhook_requests"), 3);
}

#[test]
fn events_of_one_key_wait_for_each_other_only_where_order_is_kept() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let ordered = |event: &str, key: Option<&str>| {
        let mut arrival = arrival(&bed, event);
        arrival.order_key = key.map(str::to_owned);
        arrival.to[1].in_order = true;
        arrival
    };
    let events =
        [ordered("1", Some("a")), ordered("2", Some("a")), ordered("3", Some("b")), ordered("4", None)];
    accept_all(&bed, &events);
    let waiting = "SELECT group_concat(event_id) FROM webhook_deliveries JOIN webhook_requests
                   ON webhook_requests.id = request_id WHERE due_at IS NULL";
    let waiting = || bed.read(|tx| tx.one(waiting, [], |row| row.get::<_, Option<String>>(0)));
    assert_eq!(waiting().as_deref(), Some("2"));
    bed.write(|_, tx| {
        tx.execute("UPDATE webhook_deliveries SET status = 'completed', due_at = NULL", [])?;
        Ok(())
    })
    .unwrap();
    accept(&bed, &ordered("5", Some("a")));
    let due = "SELECT count(*) FROM webhook_deliveries WHERE due_at IS NOT NULL";
    assert_eq!(bed.number(due), 2, "nothing is before it any more");
}

#[test]
fn what_was_removed_meanwhile_takes_nothing() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let event = arrival(&bed, "evt_1");
    let (source, app) = (bed.source("stripe").id, bed.destination("app").id);
    let by = || By::tocsin(T0 + Duration::from_secs(1));
    bed.write(move |webhooks, tx| webhooks.remove_destination(tx, &by(), app, Owner::Page)).unwrap();
    assert_eq!(accept(&bed, &event), Accepted::New);
    assert_eq!(bed.number("SELECT sum(destination_id) FROM webhook_deliveries"), 2, "the worker's alone");
    bed.write(move |webhooks, tx| webhooks.remove_source(tx, &by(), source, Owner::Page)).unwrap();
    let late = Arrival { event_id: "evt_2".to_owned(), ..event };
    assert_eq!(accept(&bed, &late), Accepted::Gone);
    assert_eq!(bed.number("SELECT count(*) FROM webhook_requests"), 1);
}
