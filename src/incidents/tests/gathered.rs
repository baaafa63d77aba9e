//! What joins an incident without ringing is told together.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Purpose, state, how many it stands for, the witness that it names, and those it gathered.
type Row = (String, String, i64, Option<i64>, Option<String>);

fn rows(tx: &WriteTx<'_>) -> Vec<Row> {
    let sql = "SELECT purpose, state, quantity, content ->> '$.witness', content ->> '$.gathered'
               FROM deliveries ORDER BY id";
    tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).unwrap()
}

fn row(purpose: &str, state: &str, quantity: i64, witness: Option<i64>, gathered: &[i64]) -> Row {
    let gathered = (!gathered.is_empty()).then(|| json!(gathered).to_string());
    (purpose.to_owned(), state.to_owned(), quantity, witness, gathered)
}

/// An incident that was told, and `count` more signs of it, a second apart.
fn joined(tx: &WriteTx<'_>, incidents: &Incidents, count: u32) -> IncidentId {
    add_channel(tx, incidents, T0, "mail");
    let incident = open(tx, incidents, "shop", Severity::High);
    assert_eq!(deliver_all(tx, incidents, T0), [Purpose::Opened]);
    for nth in 1..=count {
        join(tx, incidents, T0 + nth * SECOND, (&format!("sign-{nth}"), Severity::High));
    }
    incident
}

fn join(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, (key, severity): (&str, Severity)) {
    incidents.raise(tx, now, &at(firing(key, severity), now)).unwrap();
}

fn well(tx: &WriteTx<'_>, incidents: &Incidents, key: &str, since: Timestamp) {
    let ok = Signal { kind: SignalKind::Ok, ..firing(key, Severity::High) };
    incidents.raise(tx, since, &at(ok, since)).unwrap();
}

#[test]
fn what_joins_within_half_a_minute_is_one_message() {
    Bed::shared().try_out(|tx, incidents| {
        joined(tx, incidents, 5);
        assert_eq!(rows(tx)[1..], [row("witness", "pending", 5, None, &[2, 3, 4, 5, 6])]);
        assert_eq!(deliver_all(tx, incidents, T0 + 30 * SECOND), []);
        assert_eq!(deliver_all(tx, incidents, T0 + 31 * SECOND), [Purpose::Witness]);
        join(tx, incidents, T0 + 40 * SECOND, ("late", Severity::High));
        assert_eq!(rows(tx)[2..], [row("witness", "pending", 1, None, &[7])], "what is out stays as it was");
    });
}

#[test]
fn what_a_process_had_taken_to_send_is_sent_again_as_it_was() {
    Bed::shared().try_out(|tx, incidents| {
        joined(tx, incidents, 2);
        let due = T0 + 31 * SECOND;
        let first = claim(tx, incidents, due).remove(0);
        join(tx, incidents, due, ("late", Severity::High));
        // Killed while it sent: the next process sends the same, under the same id.
        let next = incidents.claim_due(tx, due, Uid::from_bytes([2; 16]), 10).unwrap().remove(0);
        assert_eq!((next.uid, &next.content), (first.uid, &first.content));
        assert_eq!(next.content, json!({"gathered": [2, 3]}));
        assert_eq!(rows(tx)[2], row("witness", "pending", 1, None, &[4]));
    });
}

#[test]
fn one_that_is_graver_goes_at_once_and_takes_the_others_along() {
    Bed::shared().try_out(|tx, incidents| {
        joined(tx, incidents, 2);
        join(tx, incidents, T0 + 3 * SECOND, ("worse", Severity::Critical));
        let told =
            [row("witness", "bundled", 2, None, &[2, 3]), row("raised", "pending", 3, Some(4), &[2, 3])];
        assert_eq!(rows(tx)[1..], told);
        assert_eq!(deliver_all(tx, incidents, T0 + 3 * SECOND), [Purpose::Raised]);
        assert_eq!(deliver_all(tx, incidents, T0 + 60 * SECOND), []);
    });
}

#[test]
fn one_after_the_acknowledgement_goes_at_once() {
    Bed::shared().try_out(|tx, incidents| {
        let incident = joined(tx, incidents, 1);
        incidents.acknowledge(tx, T0 + 2 * SECOND, incident, BY).unwrap();
        join(tx, incidents, T0 + 3 * SECOND, ("unheard", Severity::High));
        assert_eq!(rows(tx)[2..], [row("witness", "pending", 2, Some(3), &[2])]);
        assert_eq!(deliver_all(tx, incidents, T0 + 3 * SECOND), [Purpose::Witness]);
    });
}

#[test]
fn what_gathers_stands_in_for_no_ring_and_outlives_one_that_is_taken_back() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "shop", Severity::Critical);
        deliver_all(tx, incidents, T0);
        let before = minutes(5) - SECOND;
        let sign = Signal { first_bad_at: T0, observed_at: before, ..firing("sign", Severity::High) };
        incidents.raise(tx, before, &sign).unwrap();
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(rows(tx)[2], row("ring_again", "pending", 2, None, &[2]), "it rings");
        incidents.acknowledge(tx, minutes(5), incident, BY).unwrap();
        let left = [row("witness", "pending", 1, None, &[2]), row("ring_again", "cancelled", 2, None, &[2])];
        assert_eq!(rows(tx)[1..], left);
        assert_eq!(deliver_all(tx, incidents, minutes(5)), [Purpose::Witness]);
    });
}

#[test]
fn what_was_gathered_of_an_incident_that_is_over_stands_in_its_last_message() {
    Bed::shared().try_out(|tx, incidents| {
        let incident = joined(tx, incidents, 2);
        incidents.resolve(tx, T0 + 5 * SECOND, incident, BY).unwrap();
        let last =
            [row("witness", "bundled", 2, None, &[2, 3]), row("recovered", "pending", 3, None, &[2, 3])];
        assert_eq!(rows(tx)[1..], last);
        assert_eq!(deliver_all(tx, incidents, T0 + 5 * SECOND), [Purpose::Recovered]);
    });
}

#[test]
fn one_that_is_well_before_it_was_told_is_told_as_well_with_the_others() {
    Bed::shared().try_out(|tx, incidents| {
        let mut slow = incidents.clone();
        slow.policy.gather = Duration::from_mins(3);
        add_channel(tx, &slow, T0, "mail");
        open(tx, &slow, "shop", Severity::High);
        deliver_all(tx, &slow, T0);
        join(tx, &slow, T0, ("sign", Severity::Medium));
        join(tx, &slow, T0, ("other", Severity::Medium));
        well(tx, &slow, "sign", T0);
        slow.expire(tx, minutes(1), 100).unwrap();
        let told =
            [row("witness", "bundled", 2, None, &[2, 3]), row("witness", "pending", 3, Some(2), &[2, 3])];
        assert_eq!(rows(tx)[1..], told);
    });
}

#[test]
fn without_a_time_to_gather_each_is_told_at_once() {
    Bed::shared().try_out(|tx, incidents| {
        let mut at_once = incidents.clone();
        at_once.policy.gather = Duration::ZERO;
        joined(tx, &at_once, 2);
        assert_eq!(rows(tx).len(), 3);
        assert_eq!(deliver_all(tx, &at_once, T0 + 2 * SECOND), [Purpose::Witness, Purpose::Witness]);
    });
}

#[test]
fn what_is_told_at_once_and_not_sent_yet_stands_in_for_a_ring() {
    Bed::shared().try_out(|tx, incidents| {
        let mut at_once = incidents.clone();
        at_once.policy.gather = Duration::ZERO;
        add_channel(tx, &at_once, T0, "mail");
        open(tx, &at_once, "shop", Severity::Critical);
        deliver_all(tx, &at_once, T0);
        let sign = Signal { first_bad_at: T0, observed_at: minutes(4), ..firing("sign", Severity::High) };
        at_once.raise(tx, minutes(4), &sign).unwrap();
        at_once.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened", "witness"]);
    });
}
