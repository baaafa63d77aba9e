use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::channels::{Channel, ChannelHealth, ChannelKind, ChannelOwner, ChannelState, NewChannel};
use super::deliveries::{Attempt, Claimed};
use super::queries::{PageOf, Scope, StateFilter};
use super::rules::{RuleChange, RuleKind, RuleScope};
use super::silences::NewSilence;
use super::*;
use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::store::{Options, Store, WriteTx, params};

pub(super) const INCIDENT_PROJECTS: [i64; 2] = [1, 2];
const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const BY: &str = "ann@example.org";

/// A store on disk with two projects. Everything a test does to it is one transaction that is taken back, so that
/// one store serves all.
pub(super) struct Bed {
    store: Store,
    _folder: tempfile::TempDir,
}

/// The transaction of a finished test is to be taken back.
enum Undo {
    Finished,
    Store(store::Error),
}

impl From<store::Error> for Undo {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Bed {
    pub(super) fn shared() -> &'static Self {
        static BED: OnceLock<Bed> = OnceLock::new();
        BED.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
            let projects = |tx: &WriteTx<'_>| -> Result<(), store::Error> {
                for id in INCIDENT_PROJECTS {
                    tx.execute(
                        "INSERT INTO projects (id, slug, name, created_at) VALUES (?1, ?2, ?2, 0)",
                        params![id, format!("project-{id}")],
                    )?;
                }
                Ok(())
            };
            store.write_now("projects", projects).unwrap();
            Bed { store, _folder: folder }
        })
    }

    pub(super) fn try_out(&self, work: impl FnOnce(&WriteTx<'_>, &Incidents) + Send + 'static) {
        let failure: std::sync::Arc<Mutex<Option<String>>> = std::sync::Arc::default();
        let seen = std::sync::Arc::clone(&failure);
        let result: Result<(), Undo> = self.store.write_now("test", move |tx| {
            let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
            let run = std::panic::AssertUnwindSafe(|| work(tx, &incidents));
            if let Err(panic) = std::panic::catch_unwind(run) {
                let text = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = text.or_else(|| Some(String::new()));
            }
            Err(Undo::Finished)
        });
        match result {
            Err(Undo::Finished) => {}
            Err(Undo::Store(error)) => panic!("{error}"),
            Ok(()) => panic!("the test's transaction was kept"),
        }
        let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(failure.is_none(), "{}", failure.unwrap_or_default());
    }
}

pub(super) fn add_channel(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, name: &str) -> ChannelId {
    incidents.create_channel(tx, now, &new_channel(incidents, name)).unwrap()
}

fn new_channel(incidents: &Incidents, name: &str) -> NewChannel {
    NewChannel {
        uid: incidents.entropy.uid(T0),
        name: name.to_owned(),
        kind: ChannelKind::Webhook,
        settings: json!({"url": "https://example.org/hook"}),
        sealed: None,
        owner: ChannelOwner::Page,
    }
}

fn firing(key: &str, severity: Severity) -> Signal {
    Signal {
        project: Some(ProjectId(1)),
        service: None,
        key: key.to_owned(),
        source: Source::ErrorRate,
        severity,
        summary: format!("{key} is bad"),
        detail: json!({"errors": 12}),
        first_bad_at: T0 - Duration::from_secs(90),
        observed_at: T0,
        kind: SignalKind::Firing,
    }
}

fn at(mut signal: Signal, now: Timestamp) -> Signal {
    signal.first_bad_at = now;
    signal.observed_at = now;
    signal
}

fn open(tx: &WriteTx<'_>, incidents: &Incidents, key: &str, severity: Severity) -> IncidentId {
    incidents.raise(tx, T0, &firing(key, severity)).unwrap().incident.unwrap()
}

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

/// Purpose, channel and state of every message, in the order written.
fn messages(tx: &WriteTx<'_>) -> Vec<(String, Option<i64>, String)> {
    tx.all("SELECT purpose, channel_id, state FROM deliveries ORDER BY id", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .unwrap()
}

fn purposes(tx: &WriteTx<'_>) -> Vec<String> {
    messages(tx).into_iter().map(|(purpose, _, _)| purpose).collect()
}

fn boot() -> Uid {
    Uid::from_bytes([1; 16])
}

fn claim(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<Claimed> {
    incidents.claim_due(tx, now, boot(), 100).unwrap()
}

fn attempt(now: Timestamp) -> Attempt {
    Attempt { started_at: now, duration: Duration::from_millis(20), detail: "200 OK".to_owned() }
}

/// Sends everything that is due, and answers the purposes in order.
fn deliver_all(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<Purpose> {
    let mut sent = Vec::new();
    loop {
        let claimed = claim(tx, incidents, now);
        if claimed.is_empty() {
            return sent;
        }
        for message in claimed {
            incidents.record_delivered(tx, now, message.id, &attempt(now), Some("ts-1")).unwrap();
            sent.push(message.purpose);
        }
    }
}

#[test]
fn one_outage_seen_by_three_watchers_is_one_incident_in_one_thread() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        for (key, source) in [("issue:1:7", Source::Errors), ("slow:1", Source::SlowMetrics)] {
            let signal = Signal { source, ..firing(key, Severity::High) };
            let recorded = incidents.raise(tx, T0, &signal).unwrap();
            assert_eq!(recorded.incident, Some(incident));
        }
        assert_eq!(purposes(tx), ["opened", "witness", "witness"]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.keys, ["rate:1", "issue:1:7", "slow:1"]);
        assert_eq!(view.impact_started_at, T0 - Duration::from_secs(90));
        assert!(view.witnesses.iter().all(|witness| witness.detected_at == T0));
        assert_eq!(deliver_all(tx, incidents, T0), [Purpose::Opened, Purpose::Witness, Purpose::Witness]);
    });
}

#[test]
fn an_earlier_witness_dates_the_impact_back() {
    Bed::shared().try_out(|tx, incidents| {
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let earlier = T0 - Duration::from_mins(4);
        let signal = Signal { first_bad_at: earlier, ..firing("slow:1", Severity::Low) };
        incidents.raise(tx, T0, &signal).unwrap();
        assert_eq!(queries::find_by_number(tx, incident).unwrap().unwrap().impact_started_at, earlier);
    });
}

#[test]
fn an_unanswered_critical_incident_climbs_the_channels_until_acknowledged() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        let rang = |now| {
            let before = messages(tx).len();
            incidents.expire(tx, now, 100).unwrap();
            let written: Vec<_> = messages(tx)
                .split_off(before)
                .into_iter()
                .map(|(purpose, channel, _)| (purpose, channel))
                .collect();
            deliver_all(tx, incidents, now);
            written
        };
        deliver_all(tx, incidents, T0);
        let ring = |channel: ChannelId| ("ring_again".to_owned(), Some(channel.0));
        assert_eq!(rang(minutes(4)), []);
        assert_eq!(rang(minutes(5)), [ring(first)]);
        assert_eq!(rang(minutes(10)), [ring(first), ("opened".to_owned(), Some(second.0))]);
        assert_eq!(rang(minutes(39)), []);
        assert_eq!(rang(minutes(40)), [ring(first), ring(second)]);
        assert_eq!(incidents.acknowledge(tx, minutes(41), incident, BY).unwrap(), Acknowledged::Now);
        let again = incidents.acknowledge(tx, minutes(42), incident, "bob@example.org").unwrap();
        assert_eq!(again, Acknowledged::Already(BY.to_owned()));
        assert_eq!(rang(minutes(200)), []);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.acknowledged_at, Some(minutes(41)));
        assert_eq!(view.next_ring_at, None);
    });
}

#[test]
fn what_was_never_sent_is_hurried_instead_of_piled_up() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::Critical);
        let message = claim(tx, incidents, T0).remove(0);
        incidents.record_retry(tx, message.id, &attempt(T0), minutes(60), "connection refused").unwrap();
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        assert_eq!(claim(tx, incidents, minutes(5)).len(), 1);
    });
}

#[test]
fn an_acknowledgement_covers_only_the_severity_it_was_given_for() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        incidents.acknowledge(tx, T0, incident, BY).unwrap();
        incidents.raise(tx, T0, &firing("rate:1", Severity::Critical)).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.severity), ("open", Severity::Critical));
        assert_eq!(view.next_ring_at, Some(minutes(5)));
        assert_eq!(purposes(tx), ["opened", "raised"]);
    });
}

#[test]
fn flapping_within_the_hold_is_one_incident_and_recovery_hangs_on_the_thread() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "slack");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        deliver_all(tx, incidents, T0);
        let ok = |secs| {
            let now = T0 + Duration::from_secs(secs);
            let signal = Signal { kind: SignalKind::Ok, ..firing("rate:1", Severity::High) };
            incidents.raise(tx, now, &at(signal, now)).unwrap();
            now
        };
        for flap in 0..5 {
            ok(100 * flap + 10);
            let now = T0 + Duration::from_secs(100 * flap + 60);
            incidents.expire(tx, now, 100).unwrap();
            incidents.raise(tx, now, &at(firing("rate:1", Severity::High), now)).unwrap();
        }
        assert_eq!(purposes(tx), ["opened"]);
        let well = ok(1_000);
        incidents.expire(tx, well + Duration::from_mins(1), 100).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.recovered_at), ("resolved", Some(well)));
        let recovered = claim(tx, incidents, minutes(60)).remove(0);
        assert_eq!((recovered.purpose, recovered.thread.as_deref()), (Purpose::Recovered, Some("ts-1")));
    });
}

#[test]
fn an_occurrence_is_over_when_quiet_or_resolved_and_the_next_one_opens_anew() {
    Bed::shared().try_out(|tx, incidents| {
        let occurrence = || Signal { kind: SignalKind::Occurrence, ..firing("issue:1:1", Severity::High) };
        let first = incidents.raise(tx, T0, &occurrence()).unwrap().incident;
        assert!(incidents.touch(tx, "issue:1:1", minutes(29), 4).unwrap());
        assert_eq!(incidents.expire(tx, minutes(58), 100).unwrap().witnesses_over, 0);
        // No run of the task in between: time alone has ended it.
        assert!(!incidents.touch(tx, "issue:1:1", minutes(59), 1).unwrap());
        let second = incidents.raise(tx, minutes(59), &at(occurrence(), minutes(59))).unwrap();
        assert_eq!(second.decision, Decision::Opened { silence: None });
        assert_ne!(second.incident, first);
        let closed =
            incidents.close_key(tx, minutes(60), "issue:1:1", CloseReason::SubjectResolved, BY).unwrap();
        assert_eq!(closed, second.incident);
        let view = queries::find_by_number(tx, second.incident.unwrap()).unwrap().unwrap();
        assert_eq!(view.resolve_reason.as_deref(), Some("subject_resolved"));
        assert!(
            incidents
                .close_key(tx, minutes(60), "issue:1:1", CloseReason::SubjectIgnored, BY)
                .unwrap()
                .is_none()
        );
    });
}

#[test]
fn a_silenced_incident_is_told_when_its_silence_ends() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let silence = NewSilence {
            project: Some(ProjectId(1)),
            key: Some("rate:*".to_owned()),
            reason: "moving house".to_owned(),
            created_by: BY.to_owned(),
            starts_at: T0,
            ends_at: minutes(30),
        };
        incidents.silence(tx, T0, &silence).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        assert_eq!(messages(tx), []);
        incidents.expire(tx, minutes(29), 100).unwrap();
        assert_eq!(messages(tx), []);
        incidents.expire(tx, minutes(30), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.silenced, view.next_ring_at), (false, Some(minutes(35))));
        incidents.expire(tx, minutes(30), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
    });
}

#[test]
fn a_silence_of_the_future_stops_the_rings_when_it_begins() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        let silence = NewSilence {
            project: None,
            key: None,
            reason: "night".to_owned(),
            created_by: BY.to_owned(),
            starts_at: minutes(1),
            ends_at: minutes(600),
        };
        incidents.silence(tx, T0, &silence).unwrap();
        assert!(!queries::find_by_number(tx, incident).unwrap().unwrap().silenced);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        assert!(queries::find_by_number(tx, incident).unwrap().unwrap().silenced);
        let backwards = NewSilence { ends_at: T0, ..silence };
        assert!(matches!(incidents.silence(tx, T0, &backwards), Err(Error::Invalid(_))));
    });
}

#[test]
fn without_a_channel_messages_wait_and_a_new_channel_hears_of_them_once() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..30 {
            let signal =
                Signal { project: Some(ProjectId(1)), ..firing(&format!("issue:1:{n}"), Severity::High) };
            let now = T0 + Duration::from_mins(10 * n);
            incidents.raise(tx, now, &at(signal, now)).unwrap();
        }
        assert!(messages(tx).iter().all(|(_, channel, state)| channel.is_none() && state == "waiting"));
        let channel = add_channel(tx, incidents, minutes(400), "mail");
        let sent = claim(tx, incidents, minutes(400));
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].purpose, sent[0].quantity), (Purpose::Bundle, 30));
        assert_eq!(sent[0].content["items"].as_array().map(Vec::len), Some(bundle::LISTED_MAX));
        incidents.record_delivered(tx, minutes(401), sent[0].id, &attempt(minutes(400)), None).unwrap();
        let view = queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap();
        assert_eq!(view.first_sent_at, Some(minutes(400)));
        assert_eq!(view.first_delivered_at, Some(minutes(401)));
        // The channel knows of them now, so it hears of a recovery.
        incidents.resolve(tx, minutes(402), IncidentId(1), BY).unwrap();
        assert_eq!(
            messages(tx).last().unwrap(),
            &("recovered".to_owned(), Some(channel.0), "pending".to_owned())
        );
    });
}

#[test]
fn beyond_the_bound_the_oldest_waiting_messages_are_folded_and_counted() {
    Bed::shared().try_out(|tx, incidents| {
        let (max, more) = (outbox::WAITING_MAX, 25);
        for n in 0..max + more {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(u64::try_from(n).unwrap());
            incidents.raise(tx, T0, &signal).unwrap();
        }
        let (waiting, quantity) = tx
            .one("SELECT count(*), sum(quantity) FROM deliveries WHERE state = 'waiting'", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .unwrap();
        assert_eq!((waiting, quantity), (max, max + more));
        add_channel(tx, incidents, T0, "mail");
        let sent = claim(tx, incidents, T0);
        assert_eq!((sent.len(), sent[0].quantity), (1, max + more));
    });
}

#[test]
fn a_message_that_fails_for_good_goes_to_the_next_channel_and_the_timeline_says_so() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let claimed = claim(tx, incidents, T0).remove(0);
        let fallback =
            incidents.record_failed(tx, T0, claimed.id, &attempt(T0), "535 wrong password").unwrap();
        assert_eq!(fallback, Fallback::Channel(second));
        incidents.break_channel(tx, T0, first, "535 wrong password").unwrap();
        let copy = claim(tx, incidents, T0).remove(0);
        assert_eq!((copy.channel, copy.purpose), (second, Purpose::Opened));
        let fallback = incidents.record_failed(tx, T0, copy.id, &attempt(T0), "404").unwrap();
        assert_eq!(fallback, Fallback::OthersKnow);
        incidents.break_channel(tx, T0, second, "404").unwrap();
        let uid = queries::find_by_number(tx, incident).unwrap().unwrap().id;
        let page = queries::find_page(tx, Scope::All, uid).unwrap().unwrap();
        let failed: Vec<_> = page
            .timeline
            .iter()
            .filter(|event| event.kind == "delivery_failed")
            .map(|event| event.detail["fallback"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(failed, ["channel", "others_know"]);
        assert_eq!(page.deliveries[0].proof[0].outcome, "permanent");
    });
}

#[test]
fn when_every_channel_is_broken_messages_wait_and_the_repaired_one_hears_of_them() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        incidents.break_channel(tx, T0, first, "535").unwrap();
        let states: Vec<_> = messages(tx).into_iter().map(|(_, channel, state)| (channel, state)).collect();
        assert_eq!(states, [(Some(first.0), "failed".to_owned()), (None, "waiting".to_owned())]);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened", "opened"]);
        assert!(queries::find_by_number(tx, incident).unwrap().unwrap().next_ring_at.is_some());
        incidents.resume_channel(tx, minutes(6), first).unwrap();
        assert_eq!(claim(tx, incidents, minutes(6)).remove(0).purpose, Purpose::Bundle);
    });
}

#[test]
fn removing_a_channel_passes_its_messages_on() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        for n in 1..300_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        incidents.remove_channel(tx, T0, first).unwrap();
        while incidents.expire(tx, T0, 50).unwrap().more {}
        let told = messages(tx)
            .into_iter()
            .filter(|(purpose, channel, state)| {
                purpose == "opened" && *channel == Some(second.0) && state == "pending"
            })
            .count();
        assert_eq!(told, 300);
        assert_eq!(
            messages(tx).last().unwrap(),
            &("opened".to_owned(), Some(second.0), "pending".to_owned())
        );
        assert_eq!(claim(tx, incidents, T0).len(), 1);
    });
}

#[test]
fn a_burst_on_one_channel_becomes_one_counted_message() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "slack");
        for n in 0..12_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        assert_eq!(incidents.bundle_due(tx, T0, channel).unwrap(), 12);
        assert_eq!(incidents.bundle_due(tx, T0, channel).unwrap(), 0);
        let sent = claim(tx, incidents, T0);
        assert_eq!((sent.len(), sent[0].quantity), (1, 12));
        let bundled = messages(tx).iter().filter(|(_, _, state)| state == "bundled").count();
        assert_eq!(bundled, 12);
        // A bundle that fails takes what it stands for with it.
        let other = add_channel(tx, incidents, T0, "mail");
        let fallback = incidents.record_failed(tx, T0, sent[0].id, &attempt(T0), "410").unwrap();
        assert_eq!(fallback, Fallback::Channel(other));
        deliver_all(tx, incidents, minutes(1));
        let told = tx
            .one("SELECT count(*) FROM incidents WHERE first_delivered_at IS NOT NULL", [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap();
        assert_eq!(told, 12);
    });
}

#[test]
fn a_lease_holds_for_its_boot_only_and_runs_out() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(claim(tx, incidents, T0).len(), 1);
        assert_eq!(claim(tx, incidents, minutes(1)).len(), 0);
        let next_boot = Uid::from_bytes([2; 16]);
        let claimed = incidents.claim_due(tx, minutes(1), next_boot, 10).unwrap();
        assert_eq!(claimed[0].attempt, 2);
        assert_eq!(incidents.claim_due(tx, minutes(2), next_boot, 10).unwrap().len(), 0);
        assert_eq!(incidents.claim_due(tx, minutes(3), next_boot, 10).unwrap().len(), 1);
    });
}

#[test]
fn a_channel_sends_one_message_at_a_time_in_order_and_waits_while_paced_or_open() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "slack");
        open(tx, incidents, "rate:1", Severity::High);
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        let first = claim(tx, incidents, T0);
        assert_eq!(first.len(), 1);
        assert!(claim(tx, incidents, T0).is_empty(), "one in flight");
        incidents.record_retry(tx, first[0].id, &attempt(T0), minutes(3), "503").unwrap();
        assert!(claim(tx, incidents, minutes(1)).is_empty(), "the thread waits for its first message");
        for health in [
            ChannelHealth { paced_until: Some(minutes(10)), ..ChannelHealth::default() },
            ChannelHealth { open_until: Some(minutes(10)), ..ChannelHealth::default() },
        ] {
            channels::record_health(tx, channel, &health).unwrap();
            assert!(claim(tx, incidents, minutes(9)).is_empty());
            assert_eq!(deliveries::next_due_at(tx).unwrap(), Some(minutes(10)));
        }
        assert_eq!(deliver_all(tx, incidents, minutes(10)), [Purpose::Opened, Purpose::Witness]);
        assert_eq!(deliveries::next_due_at(tx).unwrap(), None);
    });
}

#[test]
fn a_test_message_reaches_a_broken_channel_and_falls_back_nowhere() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        incidents.break_channel(tx, T0, channel, "535").unwrap();
        let message = NewDelivery {
            project: None,
            incident: None,
            cause: Cause::Test,
            purpose: Purpose::Test,
            severity: Severity::Low,
            channel: Some(channel),
            recipient: None,
            content: json!({}),
            quantity: 1,
        };
        let id = incidents.enqueue(tx, T0, &message).unwrap().unwrap();
        incidents.expire(tx, T0, 100).unwrap();
        assert!(claim(tx, incidents, T0).is_empty());
        let claimed = incidents.claim_one(tx, T0, boot(), id).unwrap();
        let fallback = incidents.record_failed(tx, T0, claimed.id, &attempt(T0), "535").unwrap();
        assert_eq!(fallback, Fallback::OnlyHere);
        assert!(matches!(incidents.claim_one(tx, T0, boot(), id), Err(Error::NotFound(_))));
    });
}

#[test]
fn a_split_witness_rings_for_itself() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        incidents.raise(tx, T0, &firing("slow:1", Severity::Critical)).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        let [rate, slow] = [0, 1].map(|at| WitnessId(view.witnesses[at].number));
        let own = incidents.split(tx, minutes(1), slow, BY).unwrap();
        assert_ne!(own, incident);
        assert_eq!(queries::find_live(tx, "slow:1").unwrap(), Some(own));
        assert_eq!(queries::find_by_number(tx, incident).unwrap().unwrap().keys, ["rate:1"]);
        let split = queries::find_by_number(tx, own).unwrap().unwrap();
        assert_eq!((split.severity, split.next_ring_at), (Severity::Critical, Some(minutes(6))));
        assert_eq!(purposes(tx), ["opened", "raised", "opened"]);
        assert!(matches!(incidents.split(tx, minutes(1), rate, BY), Err(Error::LastWitness)));
        incidents.resolve(tx, minutes(2), own, BY).unwrap();
        assert!(matches!(incidents.split(tx, minutes(2), slow, BY), Err(Error::Over)));
        assert!(matches!(incidents.acknowledge(tx, minutes(2), own, BY), Err(Error::Over)));
    });
}

#[test]
fn a_first_day_gives_one_digest() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        for n in 0..70 {
            let signal = firing(&format!("issue:1:{n}"), Severity::High);
            incidents.add_to_digest(tx, T0, minutes(60), &signal).unwrap();
        }
        assert_eq!(incidents.expire(tx, minutes(59), 100).unwrap().digests, 0);
        assert_eq!(incidents.expire(tx, minutes(60), 100).unwrap().digests, 1);
        assert_eq!(incidents.expire(tx, minutes(61), 100).unwrap().digests, 0);
        let digest = claim(tx, incidents, minutes(61)).remove(0);
        assert_eq!((digest.cause, digest.purpose, digest.quantity), (Cause::Report, Purpose::Digest, 70));
        assert_eq!(digest.content["items"].as_array().map(Vec::len), Some(50));
    });
}

#[test]
fn the_channels_of_the_environment_follow_it_and_are_not_changed_elsewhere() {
    Bed::shared().try_out(|tx, incidents| {
        let named =
            |name: &str| NewChannel { owner: ChannelOwner::Environment, ..new_channel(incidents, name) };
        add_channel(tx, incidents, T0, "by hand");
        incidents.upsert_environment(tx, T0, &[named("mail"), named("slack")]).unwrap();
        let names = |tx: &WriteTx<'_>| -> Vec<String> {
            channels::list(tx).unwrap().into_iter().map(|channel| channel.name).collect()
        };
        assert_eq!(names(tx), ["by hand", "mail", "slack"]);
        let mail = channels::list(tx).unwrap()[1].id;
        assert!(matches!(incidents.remove_channel(tx, T0, mail), Err(Error::OwnedElsewhere("environment"))));
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        assert_eq!(names(tx), ["by hand", "mail"]);
        assert_eq!(channels::list(tx).unwrap()[1].id, mail);
        assert!(matches!(
            incidents.create_channel(tx, T0, &new_channel(incidents, "mail")),
            Err(Error::NameTaken)
        ));
        channels::move_to(tx, mail, 0).unwrap();
        assert_eq!(names(tx), ["mail", "by hand"]);
        incidents.pause_channel(tx, T0, mail, "holiday").unwrap();
        let Channel { state, state_reason, .. } = channels::find(tx, mail).unwrap().unwrap();
        assert_eq!((state, state_reason.as_deref()), (ChannelState::Paused, Some("holiday")));
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        assert_eq!(channels::find(tx, mail).unwrap().unwrap().state, ChannelState::Paused);
        incidents.break_channel(tx, T0, mail, "535").unwrap();
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        assert_eq!(channels::find(tx, mail).unwrap().unwrap().state, ChannelState::Ready);
    });
}

#[test]
fn a_project_rule_goes_before_the_one_of_every_project_before_the_built_in() {
    Bed::shared().try_out(|tx, _| {
        let kind = RuleKind::ErrorRate;
        let bound = |threshold| RuleChange {
            enabled: true,
            severity: Severity::High,
            threshold: Some(threshold),
            window: Some(Duration::from_mins(5)),
            params: rules::RuleParams::default(),
        };
        let found = |project: i64| {
            let set = rules::effective(tx, Some(ProjectId(project))).unwrap();
            (set.get(kind).scope, set.get(kind).threshold)
        };
        assert_eq!(found(1), (RuleScope::BuiltIn, Some(10.0)));
        rules::change(tx, T0, None, kind, &bound(20.0)).unwrap();
        rules::change(tx, T0, Some(ProjectId(1)), kind, &bound(30.0)).unwrap();
        rules::change(tx, T0, Some(ProjectId(1)), kind, &bound(31.0)).unwrap();
        assert_eq!(found(1), (RuleScope::Project, Some(31.0)));
        assert_eq!(found(2), (RuleScope::EveryProject, Some(20.0)));
        rules::reset(tx, Some(ProjectId(1)), kind).unwrap();
        assert_eq!(found(1), (RuleScope::EveryProject, Some(20.0)));
    });
}

#[test]
fn witnesses_beyond_the_listed_are_counted_and_still_end() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let keys: Vec<_> = (0..130).map(|n| format!("issue:1:{n}")).collect();
        for key in &keys {
            let signal = Signal { kind: SignalKind::Occurrence, ..firing(key, Severity::High) };
            incidents.raise(tx, T0, &signal).unwrap();
        }
        let view = queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap();
        assert_eq!((view.witnesses.len(), view.witness_count), (100, 130));
        assert_eq!(messages(tx).len(), 100);
        for key in &keys {
            incidents.close_key(tx, minutes(1), key, CloseReason::SubjectIgnored, BY).unwrap();
        }
        assert_eq!(queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap().state, "resolved");
    });
}

#[test]
fn the_page_of_an_incident_has_the_promised_names() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        deliver_all(tx, incidents, minutes(1));
        let uid = queries::find_by_number(tx, incident).unwrap().unwrap().id;
        let page = queries::find_page(tx, Scope::Projects(&[ProjectId(1)]), uid).unwrap().unwrap();
        let page = serde_json::to_value(page).unwrap();
        let has = |value: &Value, names: &str| {
            for name in names.split(' ') {
                assert!(value.get(name).is_some(), "{name} in {value}");
            }
        };
        has(
            &page,
            "id keys severity state summary project witnesses impact_started_at detected_at first_sent_at \
             first_delivered_at acknowledged_at acknowledged_by recovered_at resolved_at",
        );
        has(&page["witnesses"][0], "key source severity first_bad_at detected_at state");
        has(
            &page["deliveries"][0],
            "id incident_id cause channel state attempts next_attempt_at delivered_at last_error proof",
        );
        assert_eq!(page["deliveries"][0]["channel"], "mail");
        assert_eq!(page["deliveries"][0]["incident_id"], page["id"]);
        assert!(queries::find_page(tx, Scope::Projects(&[ProjectId(2)]), uid).unwrap().is_none());
    });
}

#[test]
fn lists_are_paged_scoped_and_filtered() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..25_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.project = Some(ProjectId(if n % 5 == 0 { 2 } else { 1 }));
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        for id in 1..=10 {
            incidents.resolve(tx, T0, IncidentId(id), BY).unwrap();
        }
        let numbers = |scope, filter| {
            let mut numbers = Vec::new();
            let mut before = None;
            loop {
                let page = queries::list(tx, scope, filter, PageOf { before, limit: 4 }).unwrap();
                numbers.extend(page.items.iter().map(|view| view.number));
                before = page.next;
                if before.is_none() {
                    return numbers;
                }
            }
        };
        let resolved = StateFilter::Only(IncidentState::Resolved);
        assert_eq!(numbers(Scope::All, StateFilter::Any), (1..=25).rev().collect::<Vec<_>>());
        assert_eq!(numbers(Scope::All, StateFilter::Unresolved), (11..=25).rev().collect::<Vec<_>>());
        assert_eq!(numbers(Scope::All, resolved), (1..=10).rev().collect::<Vec<_>>());
        let second = [ProjectId(2)];
        assert_eq!(numbers(Scope::Projects(&second), StateFilter::Any), [21, 16, 11, 6, 1]);
        assert_eq!(numbers(Scope::Projects(&second), StateFilter::Unresolved), [21, 16, 11]);
        let both = [ProjectId(1), ProjectId(2)];
        assert_eq!(numbers(Scope::Projects(&both), resolved), (1..=10).rev().collect::<Vec<_>>());
        let counts = queries::count(tx, Scope::All).unwrap();
        assert_eq!((counts.open, counts.worst, counts.waiting), (15, Some(Severity::High), 25));
        let waiting =
            messages::list(tx, Scope::Projects(&second), Some("waiting"), PageOf { before: None, limit: 2 });
        let waiting = waiting.unwrap();
        assert_eq!((waiting.items.len(), waiting.next.is_some()), (2, true));
        assert_eq!(messages::find_oldest_undelivered(tx).unwrap(), None);
    });
}

#[test]
fn old_resolved_incidents_are_removed_with_all_they_hold() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let old = open(tx, incidents, "rate:1", Severity::High);
        incidents.resolve(tx, minutes(1), old, BY).unwrap();
        let mut signal = at(firing("rate:1", Severity::High), minutes(2));
        signal.project = Some(ProjectId(2));
        incidents.raise(tx, minutes(2), &signal).unwrap();
        assert_eq!(incidents.purge(tx, minutes(2), 10).unwrap(), 1);
        assert_eq!(incidents.purge(tx, minutes(90), 10).unwrap(), 0);
        let left = |table: &str| {
            tx.one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((left("incidents"), left("witnesses"), left("deliveries")), (1, 1, 1));
    });
}

fn fill_with_ten_thousand_incidents(tx: &WriteTx<'_>) {
    tx.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
         INSERT INTO incidents (uid, project_id, severity, state, summary, impact_started_at, detected_at, resolved_at)
         SELECT randomblob(16), 1 + n % 2, 'high', iif(n % 100 = 0, 'open', 'resolved'), 'x', n, n, n FROM n",
        [],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO witnesses (incident_id, key, source, kind, severity, summary, state, live, first_bad_at,
                                detected_at, last_bad_at)
         SELECT id, 'key:' || id, 'errors', 'occurrence', 'high', 'x', 'firing', state <> 'resolved', id, id, id
         FROM incidents",
        [],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO deliveries (uid, incident_id, cause, purpose, severity, content, state, created_at)
         SELECT randomblob(16), id, 'incident', 'opened', 'high', '{}', 'delivered', id FROM incidents",
        [],
    )
    .unwrap();
}

/// What the statements ask that run often or on large tables, and the index that answers.
const PLANS: [(&str, &str); 12] = [
    ("SELECT id FROM witnesses WHERE key = 'key:7' AND live = 1", "witnesses_live"),
    (
        "SELECT id FROM incidents WHERE state <> 'resolved' AND project_id IS 1
         AND impact_started_at BETWEEN 1 AND 500",
        "incidents_unresolved",
    ),
    (
        "SELECT id FROM incidents WHERE state <> 'resolved' AND service = 'stripe'
         AND impact_started_at BETWEEN 1 AND 500",
        "incidents_by_service",
    ),
    ("SELECT id FROM incidents WHERE next_ring_at IS NOT NULL AND next_ring_at <= 7", "incidents_ringing"),
    (
        "SELECT id FROM incidents WHERE state = 'resolved' AND resolved_at < 7 ORDER BY resolved_at",
        "incidents_by_end",
    ),
    (
        "SELECT id FROM witnesses WHERE live = 1 AND state = 'holding' AND ok_since <= 7 ORDER BY ok_since",
        "witnesses_holding",
    ),
    (
        "SELECT id FROM witnesses WHERE live = 1 AND kind = 'occurrence' AND state = 'firing'
         AND last_bad_at <= 7 ORDER BY last_bad_at",
        "witnesses_quiet",
    ),
    (
        "SELECT id FROM deliveries WHERE state = 'pending' AND channel_id = 1 AND next_attempt_at <= 7
         ORDER BY next_attempt_at, id LIMIT 1",
        "deliveries_due",
    ),
    ("SELECT id FROM deliveries WHERE state = 'sending' AND lease_until <= 7", "deliveries_by_state"),
    ("SELECT channel_id FROM deliveries WHERE incident_id = 7 AND purpose = 'opened'", "deliveries_first"),
    ("UPDATE deliveries SET bundle_id = 8 WHERE bundle_id = 7", "deliveries_by_bundle"),
    ("SELECT id FROM deliveries WHERE state = 'waiting' AND id < 9 ORDER BY id DESC", "deliveries_by_state"),
];

#[test]
fn questions_are_answered_from_indexes_with_ten_thousand_incidents() {
    Bed::shared().try_out(|tx, _| {
        fill_with_ten_thousand_incidents(tx);
        for (sql, index) in PLANS {
            let plan = tx
                .all(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get::<_, String>(3))
                .unwrap()
                .join("; ");
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
        let started = std::time::Instant::now();
        let page = PageOf { before: None, limit: 50 };
        for filter in [StateFilter::Any, StateFilter::Unresolved, StateFilter::Only(IncidentState::Resolved)]
        {
            for scope in [Scope::All, Scope::Projects(&[ProjectId(1), ProjectId(2)])] {
                assert_eq!(queries::list(tx, scope, filter, page).unwrap().items.len(), 50);
            }
        }
        queries::count(tx, Scope::All).unwrap();
        println!("six lists and one count: {:?}", started.elapsed());
    });
}

/// The figure for the report: `cargo nextest run --run-ignored only --no-capture what_a_signal_costs`.
#[test]
#[ignore = "prints a measurement"]
fn what_a_signal_costs() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let rounds = 2_000_u64;
        let per = |name: &str, work: &dyn Fn(u64)| {
            let started = std::time::Instant::now();
            (0..rounds).for_each(work);
            println!("{name}: {:?}", started.elapsed() / 2_000);
        };
        let far = |n: u64| Signal {
            first_bad_at: T0 - Duration::from_hours(n),
            kind: SignalKind::Occurrence,
            ..firing(&format!("issue:1:{n}"), Severity::Critical)
        };
        per("open with one channel", &|n| {
            incidents.raise(tx, T0, &far(n)).unwrap();
        });
        per("continue", &|n| {
            incidents.raise(tx, T0, &far(n)).unwrap();
        });
        per("touch", &|n| {
            assert!(incidents.touch(tx, &format!("issue:1:{n}"), T0, 1).unwrap());
        });
        let started = std::time::Instant::now();
        let report = incidents.expire(tx, minutes(5), 2_000).unwrap();
        println!("ring again: {:?} each, {report:?}", started.elapsed() / 2_000);
        let started = std::time::Instant::now();
        assert_eq!(incidents.bundle_due(tx, minutes(5), ChannelId(1)).unwrap(), 1_000);
        println!("bundle 1,000: {:?}", started.elapsed());
        let started = std::time::Instant::now();
        assert_eq!(claim(tx, incidents, minutes(5)).len(), 1);
        println!("claim among 1,000 due: {:?}", started.elapsed());
    });
}
