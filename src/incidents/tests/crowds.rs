//! Many witnesses under one silence, many messages for one channel.

use super::*;

/// An incident of its own per key.
fn open_many(tx: &WriteTx<'_>, incidents: &Incidents, number: u64, severity: Severity) -> Vec<IncidentId> {
    let open = |n: u64| {
        let mut signal = firing(&format!("rate:{n}"), severity);
        signal.first_bad_at = T0 - Duration::from_hours(n);
        incidents.raise(tx, T0, &signal).unwrap().incident.unwrap()
    };
    (0..number).map(open).collect()
}

fn count(tx: &WriteTx<'_>, sql: &str) -> i64 {
    tx.one(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_silence_over_more_witnesses_than_a_page_holds_covers_all_and_ends() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open_many(tx, incidents, 1_200, Severity::High);
        incidents.silence(tx, T0, &silence_of("rate:*")).unwrap();
        let silent = "SELECT count(*) FROM incidents WHERE silenced = 1";
        assert_eq!(count(tx, silent), 1_200);
        assert!(incidents.expire(tx, minutes(30), 100).unwrap().more, "a page per run");
        assert_eq!(count(tx, silent), 200);
        assert!(!incidents.expire(tx, minutes(30), 100).unwrap().more);
        assert_eq!(count(tx, silent), 0);
        assert_eq!(count(tx, "SELECT count(*) FROM silences WHERE ended_at IS NULL"), 0);
        assert_eq!(incidents.expire(tx, minutes(30), 100).unwrap(), Expired::default());
    });
}

#[test]
fn alarms_that_wait_in_a_bundle_ring_by_that_bundle() {
    Bed::shared().try_out(|tx, incidents| {
        let dead = add_channel(tx, incidents, T0, "mail");
        open_many(tx, incidents, 8, Severity::Critical);
        for minute in [0, 5, 10, 40, 70, 100] {
            incidents.expire(tx, minutes(minute), 100).unwrap();
            incidents.bundle_due(tx, minutes(minute), dead).unwrap();
        }
        assert_eq!(messages(tx).len(), 9, "eight first messages and one bundle");
        let sent = claim(tx, incidents, minutes(100));
        assert_eq!((sent.len(), sent[0].quantity), (1, 8));
    });
}

#[test]
fn a_bundled_ring_is_taken_back_with_its_incident() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        let alarms = open_many(tx, incidents, 8, Severity::Critical);
        incidents.bundle_due(tx, T0, channel).unwrap();
        deliver_all(tx, incidents, T0);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(incidents.bundle_due(tx, minutes(5), channel).unwrap(), 8);
        let (first, others) = alarms.split_first().unwrap();
        incidents.acknowledge(tx, minutes(6), *first, BY).unwrap();
        let bundle =
            "SELECT content FROM deliveries WHERE purpose = 'bundle' AND state = 'pending' AND quantity = 7";
        let content: String = tx.one(bundle, [], |row| row.get(0)).unwrap();
        let content: Value = serde_json::from_str(&content).unwrap();
        assert!(content["items"].as_array().unwrap().iter().all(|item| item["incident"] != first.0));
        for incident in others {
            incidents.acknowledge(tx, minutes(6), *incident, BY).unwrap();
        }
        let rings =
            "SELECT count(*) FROM deliveries WHERE purpose IN ('ring_again', 'bundle') AND state = 'pending'";
        assert_eq!(count(tx, rings), 0, "a bundle of nothing is not sent");
    });
}

#[test]
fn a_bundle_takes_what_an_incident_had_to_say_before() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        let opened = open_many(tx, incidents, 7, Severity::High);
        tx.execute("UPDATE deliveries SET next_attempt_at = ?1", [minutes(30).as_micros()]).unwrap();
        for incident in opened {
            incidents.resolve(tx, minutes(1), incident, BY).unwrap();
        }
        assert_eq!(incidents.bundle_due(tx, minutes(1), channel).unwrap(), 14);
        assert_eq!(count(tx, "SELECT count(*) FROM deliveries WHERE state = 'pending'"), 1);
    });
}

#[test]
fn a_bundle_leaves_out_what_follows_a_message_that_is_being_sent() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        let opened = open_many(tx, incidents, 7, Severity::High);
        assert_eq!(claim(tx, incidents, T0).len(), 1);
        incidents.resolve(tx, T0, opened[0], BY).unwrap();
        assert_eq!(incidents.bundle_due(tx, T0, channel).unwrap(), 6);
    });
}
