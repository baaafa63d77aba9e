//! Recipients that a mail server put off while it took the message for others.

use super::super::put_off::Missed;
use super::*;

const BOB: &str = "bob@example.org";

fn greylisted(recipient: &str) -> Missed {
    Missed { recipient: recipient.to_owned(), reason: "the server answered 450 greylisted".to_owned() }
}

fn put_off() -> Unreached {
    Unreached { refused: Vec::new(), put_off: vec![greylisted(BOB)] }
}

/// Sends the one message that is due; Bob does not get it, and is tried again at `again_at`.
fn deliver_but_bob(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, again_at: Timestamp) -> Claimed {
    let claimed = claim(tx, incidents, now).remove(0);
    let receipt = Receipt { remote_id: Some("ts-1"), unreached: &put_off(), again_at };
    incidents.record_delivered(tx, now, claimed.id, &attempt(now), receipt).unwrap();
    claimed
}

/// Purpose, recipient and state of every message, in the order written.
fn sent_to(tx: &WriteTx<'_>) -> Vec<(String, Option<String>, String)> {
    tx.all("SELECT purpose, recipient, state FROM deliveries ORDER BY id", [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
    .unwrap()
}

fn line(purpose: &str, recipient: Option<&str>, state: &str) -> (String, Option<String>, String) {
    (purpose.to_owned(), recipient.map(str::to_owned), state.to_owned())
}

#[test]
fn who_is_put_off_gets_the_message_alone_and_once() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::High);
        let first = deliver_but_bob(tx, incidents, T0, minutes(1));
        assert!(claim(tx, incidents, T0).is_empty(), "not at once");
        let again = claim(tx, incidents, minutes(1)).remove(0);
        assert_eq!(
            (again.purpose, again.recipient.as_deref(), again.follows, again.attempt),
            (Purpose::Opened, Some(BOB), Some(first.id), 1)
        );
        assert_eq!((again.created_at, again.thread.as_deref()), (first.created_at, Some("ts-1")));
        assert_ne!(again.uid, first.uid);
        incidents.record_retry(tx, again.id, &attempt(minutes(1)), minutes(2), "450").unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(2)), [Purpose::Opened]);
        assert_eq!(deliver_all(tx, incidents, minutes(600)), []);
        let expected = [line("opened", None, "delivered"), line("opened", Some(BOB), "delivered")];
        assert_eq!(sent_to(tx), expected);
    });
}

#[test]
fn an_outcome_that_is_recorded_twice_is_followed_once() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::High);
        let first = deliver_but_bob(tx, incidents, T0, minutes(1));
        let receipt = Receipt { remote_id: None, unreached: &put_off(), again_at: minutes(1) };
        incidents.record_delivered(tx, T0, first.id, &attempt(T0), receipt).unwrap();
        assert_eq!(sent_to(tx), [line("opened", None, "delivered"), line("opened", Some(BOB), "pending")]);
    });
}

#[test]
fn nobody_waits_for_who_is_put_off() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        deliver_but_bob(tx, incidents, T0, minutes(90));
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(5)), [Purpose::RingAgain], "a repetition of its own");
        incidents.resolve(tx, minutes(6), incident, BY).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(6)), [Purpose::Recovered], "and once");
        assert_eq!(sent_to(tx)[1], line("opened", Some(BOB), "pending"));
    });
}

#[test]
fn one_recipient_hears_of_an_incident_in_order() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        deliver_but_bob(tx, incidents, T0, minutes(9));
        incidents.resolve(tx, minutes(1), incident, BY).unwrap();
        deliver_but_bob(tx, incidents, minutes(1), minutes(2));
        assert!(claim(tx, incidents, minutes(3)).is_empty(), "first what happened, then that it is over");
        assert_eq!(deliver_all(tx, incidents, minutes(9)), [Purpose::Opened, Purpose::Recovered]);
    });
}

#[test]
fn who_is_put_off_makes_no_channel_late_and_stands_in_no_bundle() {
    Bed::shared().try_out(|tx, incidents| {
        let mail = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[mail]).unwrap();
        for (hours, key) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
            let now = T0 + Duration::from_hours(u64::try_from(hours).unwrap());
            incidents.raise(tx, now, &at(firing(key, Severity::High), now)).unwrap();
            deliver_but_bob(tx, incidents, now, minutes(600));
        }
        let now = minutes(700);
        assert_eq!(incidents.expire(tx, now, 100).unwrap().handed_over, 0);
        assert_eq!(incidents.bundle_due(tx, now, mail).unwrap(), 0);
        assert_eq!(deliver_all(tx, incidents, now).len(), 7);
        assert!(purposes(tx).iter().all(|purpose| purpose == "opened"));
    });
}

#[test]
fn who_does_not_get_it_stands_in_the_timeline_and_no_other_channel_is_rung() {
    Bed::shared().try_out(|tx, incidents| {
        let mail = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[mail]).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let claimed = claim(tx, incidents, T0).remove(0);
        let unknown = Missed { recipient: "cy@example.org".to_owned(), reason: "550".to_owned() };
        let unreached = Unreached { refused: vec![unknown], ..put_off() };
        let receipt = Receipt { remote_id: None, unreached: &unreached, again_at: T0 };
        incidents.record_delivered(tx, T0, claimed.id, &attempt(T0), receipt).unwrap();
        let again = claim(tx, incidents, T0).remove(0);
        let fallback = incidents.record_failed(tx, T0, again.id, &attempt(T0), refused("552 full")).unwrap();
        assert_eq!(fallback, Fallback::OnlyHere);
        assert!(claim(tx, incidents, minutes(60)).is_empty());
        let uid = queries::find_by_number(tx, incident).unwrap().unwrap().id;
        let page = queries::find_page(tx, Scope::All, uid).unwrap().unwrap();
        let failed = page.timeline.iter().filter(|event| event.kind == "delivery_failed");
        let failed: Vec<_> =
            failed.map(|event| (&event.detail["recipient"], &event.detail["reason"])).collect();
        assert_eq!(failed, [(&json!("cy@example.org"), &json!("550")), (&json!(BOB), &json!("552 full"))]);
        let [first, second] = &page.deliveries[..] else { panic!("{:?}", page.deliveries) };
        assert_eq!(
            first.delivery.last_error.as_deref(),
            Some(
                "not delivered to cy@example.org (550); put off for bob@example.org (the server answered 450 \
                 greylisted): tried again on its own"
            )
        );
        assert_eq!(
            (second.delivery.recipient.as_deref(), second.delivery.state),
            (Some(BOB), DeliveryState::Failed)
        );
    });
}

#[test]
fn a_clock_that_was_set_back_makes_who_is_put_off_wait_no_longer() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::High);
        deliver_but_bob(tx, incidents, minutes(600), minutes(602));
        incidents.expire(tx, minutes(60), 100).unwrap();
        assert!(claim(tx, incidents, minutes(61)).is_empty());
        assert_eq!(claim(tx, incidents, minutes(62)).len(), 1);
    });
}

#[test]
fn a_repetition_is_taken_back_from_who_is_put_off_when_the_incident_is_over() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        deliver_all(tx, incidents, T0);
        incidents.expire(tx, minutes(5), 100).unwrap();
        deliver_but_bob(tx, incidents, minutes(5), minutes(9));
        incidents.resolve(tx, minutes(6), incident, BY).unwrap();
        assert_eq!(sent_to(tx)[2], line("ring_again", Some(BOB), "cancelled"));
    });
}

#[test]
fn who_is_put_off_at_a_channel_that_is_removed_is_given_up_aloud() {
    Bed::shared().try_out(|tx, incidents| {
        let mail = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[mail]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        deliver_but_bob(tx, incidents, T0, minutes(1));
        incidents.remove_channel(tx, minutes(1), mail).unwrap();
        assert_eq!(sent_to(tx), [line("opened", None, "delivered"), line("opened", Some(BOB), "failed")]);
    });
}
