//! What an incident of several witnesses is called, how it rings, and what is told while it goes on.

use super::*;

/// What people know of an incident: its name, how grave it is, when it rings next.
fn known(tx: &WriteTx<'_>, incident: IncidentId) -> (String, Severity, Option<Timestamp>) {
    let view = queries::find_by_number(tx, incident).unwrap().unwrap();
    (view.summary, view.severity, view.next_ring_at)
}

/// What the messages tell: their purpose, and whether it is that a witness is well again.
fn told(tx: &WriteTx<'_>) -> Vec<(String, bool)> {
    let sql = "SELECT purpose, ifnull(json_extract(content, '$.well_again'), 0) FROM deliveries ORDER BY id";
    tx.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

fn timeline(tx: &WriteTx<'_>, incident: IncidentId) -> Vec<String> {
    let sql = "SELECT kind FROM incident_events WHERE incident_id = ?1 ORDER BY id";
    tx.all(sql, [incident.0], |row| row.get(0)).unwrap()
}

/// Well from `now` on, and believed a minute later.
fn recover(tx: &WriteTx<'_>, incidents: &Incidents, key: &str, now: Timestamp) -> Timestamp {
    let ok = Signal { kind: SignalKind::Ok, ..firing(key, Severity::High) };
    incidents.raise(tx, now, &at(ok, now)).unwrap();
    let over = now + Duration::from_mins(1);
    incidents.expire(tx, over, 100).unwrap();
    over
}

fn bad(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, (key, severity): (&str, Severity)) {
    incidents.raise(tx, now, &at(firing(key, severity), now)).unwrap();
}

#[test]
fn an_incident_is_called_after_the_worst_that_still_fires_and_rings_as_that_does() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "search", Severity::High);
        bad(tx, incidents, T0, ("checkout", Severity::Critical));
        assert_eq!(known(tx, incident), ("checkout is bad".to_owned(), Severity::Critical, Some(minutes(5))));
        recover(tx, incidents, "checkout", minutes(1));
        assert_eq!(known(tx, incident), ("search is bad".to_owned(), Severity::High, None));
        incidents.expire(tx, minutes(30), 100).unwrap();
        let raised = [("opened", false), ("raised", false), ("witness", true)];
        assert_eq!(told(tx), raised.map(|(purpose, well)| (purpose.to_owned(), well)), "nothing rang for it");
        // It is as bad again, and rings as before.
        bad(tx, incidents, minutes(31), ("checkout", Severity::Critical));
        assert_eq!(known(tx, incident).2, Some(minutes(36)));
        assert_eq!(purposes(tx).last().unwrap(), "raised");
        recover(tx, incidents, "search", minutes(32));
        assert_eq!(known(tx, incident).0, "checkout is bad");
        recover(tx, incidents, "checkout", minutes(34));
        assert!(timeline(tx, incident).contains(&"eased".to_owned()));
        let over = ("checkout is bad".to_owned(), Severity::Critical, None);
        assert_eq!(known(tx, incident), over, "over, it is called after the worst of it");
    });
}

#[test]
fn a_ring_that_waits_is_taken_back_with_what_it_rang_for() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "search", Severity::High);
        bad(tx, incidents, T0, ("checkout", Severity::Critical));
        deliver_all(tx, incidents, T0);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(messages(tx).last().unwrap().2, "pending");
        recover(tx, incidents, "checkout", minutes(5));
        let rings: Vec<_> = messages(tx).into_iter().filter(|one| one.0 == "ring_again").collect();
        assert!(rings.iter().all(|ring| ring.2 == "cancelled"), "{rings:?}");
    });
}

#[test]
fn what_is_removed_no_longer_names_its_incident_and_has_not_recovered() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "search", Severity::High);
        bad(tx, incidents, T0, ("checkout", Severity::High));
        let removed = CloseReason::SubjectRemoved;
        incidents.close_key(tx, minutes(1), "search", removed, BY).unwrap();
        assert_eq!(known(tx, incident).0, "checkout is bad");
        assert_eq!(purposes(tx), ["opened", "witness"], "who removed it knows");
        incidents.close_key(tx, minutes(2), "checkout", removed, BY).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.recovered_at, view.resolved_at), (None, Some(minutes(2))));
    });
}

#[test]
fn a_recovery_is_told_of_what_was_told_and_not_without_end() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "search", Severity::High);
        bad(tx, incidents, T0, ("images", Severity::Medium));
        deliver_all(tx, incidents, T0 + incidents.policy.gather);
        recover(tx, incidents, "images", T0);
        assert_eq!(purposes(tx), ["opened", "witness"], "mild trouble goes in silence");
        let before = told(tx).len();
        let mut now = minutes(1);
        for _ in 0..5 {
            bad(tx, incidents, now, ("checkout", Severity::High));
            now = recover(tx, incidents, "checkout", now + Duration::from_mins(1));
        }
        let news: Vec<bool> = told(tx).split_off(before).into_iter().map(|(_, well)| well).collect();
        // Bad and well three times; then bad once more, so that the last word is true until the end.
        assert_eq!(news, [false, true, false, true, false, true, false]);
    });
}

#[test]
fn under_a_silence_nobody_hears_that_a_witness_is_well_again() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "search", Severity::High);
        incidents.silence(tx, T0, &silence_of("checkout")).unwrap();
        bad(tx, incidents, T0, ("checkout", Severity::Critical));
        recover(tx, incidents, "checkout", minutes(1));
        assert_eq!(purposes(tx), ["opened"]);
    });
}

#[test]
fn a_witness_that_gets_worse_says_so_also_where_its_incident_was_as_grave() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "search", Severity::High);
        let slow = Signal { summary: "Solo is slow".to_owned(), ..firing("solo", Severity::Medium) };
        incidents.raise(tx, T0, &slow).unwrap();
        let down = Signal { summary: "Solo is down".to_owned(), ..firing("solo", Severity::High) };
        let worsened = incidents.raise(tx, minutes(1), &down).unwrap().decision;
        assert_eq!(worsened, Decision::Worsened { incident, rings: None, silence: None });
        assert_eq!(purposes(tx), ["opened", "witness", "witness"]);
        assert_eq!(timeline(tx, incident), ["opened", "joined", "worsened"]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        let solo = view.witnesses.last().unwrap();
        assert_eq!((solo.summary.as_str(), solo.severity), ("Solo is down", Severity::High));
        let again = incidents.raise(tx, minutes(2), &down).unwrap().decision;
        assert_eq!(again, Decision::Continued { incident }, "once");
    });
}

#[test]
fn one_that_gets_worse_alone_names_its_incident_anew() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let slow = Signal { summary: "Solo is slow".to_owned(), ..firing("solo", Severity::Medium) };
        let incident = incidents.raise(tx, T0, &slow).unwrap().incident.unwrap();
        let down = Signal { summary: "Solo is down".to_owned(), ..firing("solo", Severity::High) };
        incidents.raise(tx, minutes(1), &down).unwrap();
        assert_eq!(known(tx, incident).0, "Solo is down");
    });
}

#[test]
fn what_recovers_together_is_told_once() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "search", Severity::High);
        bad(tx, incidents, T0, ("checkout", Severity::Critical));
        for (key, secs) in [("checkout", 60), ("search", 90)] {
            let now = T0 + Duration::from_secs(secs);
            let ok = Signal { kind: SignalKind::Ok, ..firing(key, Severity::High) };
            incidents.raise(tx, now, &at(ok, now)).unwrap();
        }
        incidents.expire(tx, minutes(2), 100).unwrap();
        incidents.expire(tx, minutes(3), 100).unwrap();
        assert_eq!(purposes(tx), ["opened", "raised", "recovered"]);
    });
}
