use std::time::Duration;

use super::super::message::Message;
use super::*;
use crate::base::{Entropy, Severity, Uid};
use crate::incidents::channels::{ChannelKind, ChannelOwner, NewChannel};
use crate::incidents::deliveries::{Attempt, Receipt};
use crate::incidents::put_off::Unreached;
use crate::incidents::{Incidents, Policy, Signal, SignalKind, Source};
use crate::store::{Options, Store, WriteTx};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

fn signal(name: &str, severity: Severity, kind: SignalKind, at: Timestamp) -> Signal {
    Signal {
        project: None,
        service: None,
        key: name.to_lowercase(),
        source: Source::Probe,
        severity,
        summary: format!("{name} is down"),
        detail: serde_json::json!({ "subject": name, "target": format!("GET {name}") }),
        first_bad_at: at,
        observed_at: at,
        kind,
    }
}

fn hook(incidents: &Incidents) -> NewChannel {
    NewChannel {
        uid: incidents.entropy.uid(T0),
        name: "hook".to_owned(),
        kind: ChannelKind::Webhook,
        settings: serde_json::json!({ "url": "https://example.org/hook" }),
        sealed: None,
        owner: ChannelOwner::Page,
    }
}

/// Sends what is due, and answers subject, headline and what it is about.
fn send_all(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<[String; 3]> {
    let maker = LinkMaker { base_url: Url::parse("https://tocsin.example.com").unwrap(), key: [8; 32] };
    let mut told = Vec::new();
    loop {
        let claimed = incidents.claim_due(tx, now, Uid::from_bytes([1; 16]), 10).unwrap();
        if claimed.is_empty() {
            return told;
        }
        for one in claimed {
            let facts = facts(tx, now, &one, "hook", (&maker, &Sealer::new(&[7; 32]))).unwrap();
            let message = Message::new(&facts, now);
            told.push([message.subject, message.headline, message.lines[0].text.clone()]);
            let attempt = Attempt { started_at: now, duration: Duration::ZERO, detail: String::new() };
            let receipt = Receipt { remote_id: None, unreached: &Unreached::NONE, again_at: now };
            incidents.record_delivered(tx, now, one.id, &attempt, receipt).unwrap();
        }
    }
}

fn said(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> [String; 3] {
    let mut told = send_all(tx, incidents, now);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

#[test]
fn every_message_names_what_is_wrong_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let told = store.write_now("test", |tx| {
        let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
        incidents.create_channel(tx, T0, &hook(&incidents))?;
        let raise = |name, severity, kind, at| incidents.raise(tx, at, &signal(name, severity, kind, at));
        raise("Search", Severity::High, SignalKind::Firing, T0)?;
        let first = said(tx, &incidents, T0);
        assert_eq!(first[1], "High: Search is down");
        raise("Checkout", Severity::Critical, SignalKind::Firing, T0)?;
        let raised = said(tx, &incidents, T0);
        assert_eq!(
            raised,
            ["[tocsin] tocsin: Search is down", "Now critical: Checkout is down", &raised[2]],
            "the subject stays: mail programs thread by it"
        );
        raise("Checkout", Severity::Critical, SignalKind::Ok, minutes(1))?;
        incidents.expire(tx, minutes(2), 10)?;
        let well = said(tx, &incidents, minutes(2));
        assert_eq!(well[0], "[tocsin] tocsin: Search is down");
        assert_eq!(well[1], "Checkout is well again; still: Search is down");
        assert!(well[2].starts_with("Search is down"), "{well:?}");
        incidents.close_key(tx, minutes(7), "search", CloseReason::SubjectRemoved, "ann@example.org")?;
        let removed = said(tx, &incidents, minutes(7));
        assert_eq!(removed[1], "No longer watched after 7 min: Search is down");
        Ok::<_, crate::incidents::Error>(())
    });
    told.unwrap();
    store.stop();
}

#[test]
fn what_was_gathered_is_told_as_it_is_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let told = store.write_now("test", |tx| {
        let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
        incidents.create_channel(tx, T0, &hook(&incidents))?;
        let raise = |name, severity, kind, at| incidents.raise(tx, at, &signal(name, severity, kind, at));
        raise("Search", Severity::High, SignalKind::Firing, T0)?;
        said(tx, &incidents, T0);
        for name in ["Cart", "Orders", "Login"] {
            raise(name, Severity::High, SignalKind::Firing, T0)?;
        }
        // Nobody looks at it any more, and it is told nonetheless.
        incidents.close_key(tx, T0, "cart", CloseReason::SubjectRemoved, "ann@example.org")?;
        let joined = said(tx, &incidents, minutes(1));
        assert_eq!(joined[1], "Also seen: Orders, and 2 more");
        Ok::<_, crate::incidents::Error>(())
    });
    told.unwrap();
    store.stop();
}
