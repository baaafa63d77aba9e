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

#[test]
fn firing_keys_come_page_by_page() {
    Bed::shared().try_out(|tx, incidents| {
        open(tx, incidents, "rate:0", Severity::High);
        tx.execute(
            "WITH RECURSIVE n (n) AS (SELECT 10000 UNION ALL SELECT n + 1 FROM n WHERE n < 11000)
             INSERT INTO witnesses (incident_id, key, source, kind, severity, summary, state, live, first_bad_at,
                                    detected_at, last_bad_at)
             SELECT 1, 'rate:' || n, 'error_rate', 'condition', 'high', '', 'firing', 1, 0, 0, 0 FROM n",
            [],
        )
        .unwrap();
        let first = queries::firing_keys(tx, Source::ErrorRate, "").unwrap();
        assert_eq!((first.len(), first[0].as_str()), (1000, "rate:0"));
        let next = windows::next_page(&first).unwrap();
        let second = queries::firing_keys(tx, Source::ErrorRate, &next).unwrap();
        assert_eq!(second, ["rate:10999", "rate:11000"]);
        assert_eq!(windows::next_page(&second), None);
    });
}

/// A bundle that stands for `count` first messages, each of an incident of its own.
fn add_bundle(tx: &WriteTx<'_>, incidents: &Incidents, channel: ChannelId, count: i64) {
    let items: [i64; 0] = [];
    let bundle = NewDelivery {
        project: None,
        incident: None,
        cause: Cause::Incident,
        purpose: Purpose::Bundle,
        severity: Severity::High,
        channel: Some(channel),
        recipient: None,
        content: json!({"reason": "no_channel", "items": items, "tried": items}),
        quantity: count,
    };
    let bundle = incidents.enqueue(tx, T0, &bundle).unwrap().unwrap();
    tx.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
         INSERT INTO deliveries (uid, cause, purpose, severity, content, state, bundle_id, created_at)
         SELECT randomblob(16), 'incident', 'opened', 'high', '{}', 'bundled', ?2, 0 FROM n",
        params![count, bundle.0],
    )
    .unwrap();
}

#[test]
fn of_a_failed_bundle_nothing_is_forgotten_however_much_it_stands_for() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "slack");
        add_bundle(tx, incidents, first, 10_500);
        let next = add_channel(tx, incidents, T0, "mail");
        let claimed = claim(tx, incidents, T0).remove(0);
        incidents.record_failed(tx, T0, claimed.id, &attempt(T0), refused("too long")).unwrap();
        let passed_on = claim(tx, incidents, T0).remove(0);
        assert_eq!((passed_on.channel, passed_on.quantity), (next, 10_500));
        // There is no third channel: all of it waits, and the number stays right.
        incidents.record_failed(tx, T0, passed_on.id, &attempt(T0), refused("too long")).unwrap();
        let waiting = "SELECT sum(quantity) FROM deliveries WHERE state = 'waiting'";
        assert_eq!(tx.one(waiting, [], |row| row.get::<_, i64>(0)).unwrap(), 10_500);
    });
}

#[test]
fn the_nearest_of_many_incidents_is_joined() {
    Bed::shared().try_out(|tx, incidents| {
        let far = Signal { first_bad_at: T0 - Duration::from_secs(299), ..firing("rate:1", Severity::High) };
        incidents.raise(tx, T0, &far).unwrap();
        let copy = "INSERT INTO incidents (uid, project_id, severity, state, summary, impact_started_at, detected_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
             SELECT randomblob(16), project_id, severity, state, summary, impact_started_at + i, detected_at
             FROM incidents, n";
        assert_eq!(tx.execute(copy, []).unwrap(), 80);
        let nearest = count(tx, "SELECT max(id) FROM incidents");
        let signal = at(firing("slow:1", Severity::High), T0);
        let recorded = incidents.raise(tx, T0, &signal).unwrap();
        assert_eq!(recorded.incident, Some(IncidentId(nearest)));
    });
}

#[test]
fn messages_of_several_projects_are_paged_as_one_list() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        for n in 0..9 {
            let project = Some(ProjectId([1, 2, 2][n % 3]));
            let began = T0 - Duration::from_hours(u64::try_from(n).unwrap());
            let signal = firing(&format!("rate:{n}"), Severity::High);
            incidents.raise(tx, T0, &Signal { project, first_bad_at: began, ..signal }).unwrap();
        }
        let alien = Signal { project: None, ..firing("rate:own", Severity::High) };
        incidents.raise(tx, T0, &alien).unwrap();
        let claimed = claim(tx, incidents, T0).remove(0);
        incidents.record_delivered(tx, T0, claimed.id, &attempt(T0), RECEIPT).unwrap();
        let pages = |projects: &[ProjectId], state: Option<DeliveryState>| {
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let page = PageOf { before, limit: 4 };
                let page = messages::list(tx, Scope::Projects(projects), state.as_slice(), page).unwrap();
                found.extend(page.items.iter().map(|delivery| delivery.row));
                before = page.next;
                if before.is_none() {
                    return found;
                }
            }
        };
        let both = [ProjectId(1), ProjectId(2)];
        assert_eq!(pages(&both, None), (1..=9).rev().collect::<Vec<_>>());
        assert_eq!(
            pages(&both, Some(DeliveryState::Pending)).len()
                + pages(&both, Some(DeliveryState::Delivered)).len(),
            9
        );
        assert_eq!(pages(&both[..1], None), [7, 4, 1]);
        assert_eq!(pages(&[], None), Vec::<i64>::new());
    });
}
