//! Who goes first on a channel, how long a pause holds up, and from when a deadline counts.

use super::*;

fn report(channel: ChannelId) -> NewDelivery {
    NewDelivery {
        project: None,
        incident: None,
        cause: Cause::Report,
        purpose: Purpose::Digest,
        severity: Severity::High,
        channel: Some(channel),
        recipient: None,
        content: json!({"items": []}),
        quantity: 1,
    }
}

/// Opens an incident that joins no other.
fn raise_alone(tx: &WriteTx<'_>, incidents: &Incidents, key: &str, severity: Severity, hours: u64) {
    let mut signal = firing(key, severity);
    signal.first_bad_at = T0 - Duration::from_hours(hours);
    incidents.raise(tx, T0, &signal).unwrap();
}

#[test]
fn critical_incidents_go_before_others_and_those_before_the_rest() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        incidents.enqueue(tx, T0, &report(channel)).unwrap();
        raise_alone(tx, incidents, "rate:1", Severity::High, 1);
        raise_alone(tx, incidents, "slow:1", Severity::High, 10);
        raise_alone(tx, incidents, "issue:1", Severity::Critical, 20);
        // Its first message still waits, and is urgent from now on.
        incidents.raise(tx, T0, &firing("slow:1", Severity::Critical)).unwrap();
        let sent = deliver_all(tx, incidents, T0);
        let expected = [Purpose::Opened, Purpose::Opened, Purpose::Raised, Purpose::Opened, Purpose::Digest];
        assert_eq!(sent, expected);
    });
}

#[test]
fn a_pause_holds_a_critical_message_up_for_minutes_and_another_channel_hears_of_it_at_once() {
    Bed::shared().try_out(|tx, incidents| {
        let paced = add_channel(tx, incidents, T0, "slack");
        raise_alone(tx, incidents, "rate:1", Severity::High, 1);
        let first = claim(tx, incidents, T0).remove(0);
        incidents.record_retry(tx, first.id, &attempt(T0), minutes(60), "429").unwrap();
        let pause = ChannelHealth { paced_until: Some(minutes(60)), ..ChannelHealth::default() };
        channels::record_health(tx, T0, paced, &pause).unwrap();
        raise_alone(tx, incidents, "issue:1", Severity::Critical, 20);
        assert!(claim(tx, incidents, minutes(4)).is_empty());
        let urgent = claim(tx, incidents, minutes(5));
        assert_eq!(urgent.iter().map(|message| message.severity).collect::<Vec<_>>(), [Severity::Critical]);
        incidents.record_retry(tx, urgent[0].id, &attempt(T0), minutes(10), "429").unwrap();
        channels::record_health(tx, minutes(5), paced, &pause).unwrap();
        let free = add_channel(tx, incidents, minutes(5), "mail");
        assert_eq!(incidents.expire(tx, minutes(5), 100).unwrap().handed_over, 1);
        let told = claim(tx, incidents, minutes(5)).remove(0);
        assert_eq!((told.channel, told.severity), (free, Severity::Critical));
        assert_eq!(incidents.expire(tx, minutes(6), 100).unwrap().handed_over, 0);
    });
}

#[test]
fn a_deadline_counts_from_the_first_try_and_anew_when_somebody_or_a_process_begins_anew() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        raise_alone(tx, incidents, "rate:1", Severity::High, 1);
        let since = |now: Timestamp, boot: u8| {
            let claimed = incidents.claim_due(tx, now, Uid::from_bytes([boot; 16]), 1).unwrap().remove(0);
            (claimed.id, claimed.tried_since)
        };
        let put_off = |id, now: Timestamp| {
            let next = now + Duration::from_mins(10);
            incidents.record_retry(tx, id, &attempt(now), next, "450").unwrap();
        };
        let (id, first) = since(minutes(1), 1);
        assert_eq!(first, minutes(1), "not when it was written");
        put_off(id, minutes(1));
        assert_eq!(since(minutes(11), 1).1, minutes(1));
        put_off(id, minutes(11));
        incidents.send_again(tx, minutes(12), id).unwrap();
        assert_eq!(since(minutes(12), 1).1, minutes(12));
        assert_eq!(since(minutes(13), 2).1, minutes(13), "another process");
        put_off(id, minutes(13));
        let monday = minutes(4 * 24 * 60);
        assert_eq!(since(monday, 2).1, monday, "four days in which nothing was tried");
    });
}

#[test]
fn an_incident_counts_as_sent_from_the_first_try_whatever_came_of_it() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let claimed = claim(tx, incidents, minutes(1)).remove(0);
        incidents.record_retry(tx, claimed.id, &attempt(minutes(1)), minutes(2), "503").unwrap();
        let clocks = || {
            let view = queries::find_by_number(tx, incident).unwrap().unwrap();
            (view.first_sent_at, view.first_delivered_at)
        };
        assert_eq!(clocks(), (Some(minutes(1)), None));
        deliver_all(tx, incidents, minutes(2));
        assert_eq!(clocks(), (Some(minutes(1)), Some(minutes(2))));
    });
}
