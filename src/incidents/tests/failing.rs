//! What becomes of messages that a channel does not take: never nothing.

use super::*;

fn states(tx: &WriteTx<'_>) -> Vec<(Option<i64>, String)> {
    messages(tx).into_iter().map(|(_, channel, state)| (channel, state)).collect()
}

fn fail(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp, refusal: Refusal<'_>) -> Fallback {
    let claimed = incidents.claim_due(tx, now, boot(), 1).unwrap().remove(0);
    incidents.record_failed(tx, now, claimed.id, &attempt(now), refusal).unwrap()
}

/// Two channels, of which project 1 chose the first.
fn add_chosen_and_other(tx: &WriteTx<'_>, incidents: &Incidents) -> (ChannelId, ChannelId) {
    let chosen = add_channel(tx, incidents, T0, "mail");
    let other = add_channel(tx, incidents, T0, "slack");
    routes::choose(tx, ProjectId(1), &[chosen]).unwrap();
    (chosen, other)
}

/// An incident of project 1 that people know of and have acknowledged.
fn open_acknowledged(tx: &WriteTx<'_>, incidents: &Incidents) -> IncidentId {
    let incident = open(tx, incidents, "rate:1", Severity::High);
    deliver_all(tx, incidents, T0);
    incidents.acknowledge(tx, T0, incident, BY).unwrap();
    incident
}

/// The channel asked for nothing more before `until`.
fn pace(tx: &WriteTx<'_>, channel: ChannelId, until: Timestamp) {
    let paced = ChannelHealth { paced_until: Some(until), ..ChannelHealth::default() };
    channels::record_health(tx, T0, channel, &paced).unwrap();
}

/// Claims what is due: for how many messages each channel's one stands, by channel.
fn claim_quantities(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Vec<(ChannelId, i64)> {
    let mut claimed: Vec<_> =
        claim(tx, incidents, now).iter().map(|message| (message.channel, message.quantity)).collect();
    claimed.sort();
    claimed
}

#[test]
fn the_only_channel_breaks_and_the_alarm_waits_until_it_is_repaired() {
    Bed::shared().try_out(|tx, incidents| {
        let only = add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(fail(tx, incidents, T0, broken("535")), Fallback::Waiting);
        assert_eq!(states(tx), [(Some(only.0), "failed".to_owned()), (None, "waiting".to_owned())]);
        incidents.resume_channel(tx, minutes(9), only).unwrap();
        let bundle = claim(tx, incidents, minutes(9)).remove(0);
        assert_eq!((bundle.purpose, bundle.quantity), (Purpose::Bundle, 1));
        incidents.record_delivered(tx, minutes(9), bundle.id, &attempt(minutes(9)), RECEIPT).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.first_delivered_at, Some(minutes(9)));
        incidents.resolve(tx, minutes(10), incident, BY).unwrap();
        assert_eq!(messages(tx).last().unwrap().0, "recovered", "who was told hears of the end");
    });
}

#[test]
fn others_know_only_where_another_channel_was_told() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(fail(tx, incidents, T0, broken("535")), Fallback::OthersKnow);
        assert_eq!(channels::find(tx, first).unwrap().unwrap().state, ChannelState::Broken);
        assert_eq!(fail(tx, incidents, T0, broken("404")), Fallback::Waiting);
    });
}

#[test]
fn a_channel_that_nobody_chose_is_not_told_while_a_chosen_one_knows() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        add_channel(tx, incidents, T0, "of another project");
        routes::choose(tx, ProjectId(1), &[first, second]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(fail(tx, incidents, T0, refused("too long")), Fallback::OthersKnow);
        deliver_all(tx, incidents, T0);
        // A late post to the thread rings nobody: who got the first message is not late.
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        let post = claim(tx, incidents, T0 + incidents.policy.gather).remove(0);
        incidents.record_retry(tx, post.id, &attempt(T0), minutes(40), "503").unwrap();
        assert_eq!(incidents.expire(tx, minutes(20), 100).unwrap().handed_over, 0);
    });
}

#[test]
fn a_ring_after_the_acknowledgement_finds_a_channel_that_can_send() {
    Bed::shared().try_out(|tx, incidents| {
        let (chosen, other) = add_chosen_and_other(tx, incidents);
        open_acknowledged(tx, incidents);
        incidents.break_channel(tx, T0, chosen, "535").unwrap();
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        let rung = claim(tx, incidents, T0);
        let told: Vec<_> = rung.iter().map(|message| (message.channel, message.purpose)).collect();
        assert_eq!(told, [(other, Purpose::Opened)]);
    });
}

#[test]
fn a_late_ring_after_the_acknowledgement_is_told_to_another_channel() {
    Bed::shared().try_out(|tx, incidents| {
        let (_, other) = add_chosen_and_other(tx, incidents);
        open_acknowledged(tx, incidents);
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        let ring = claim(tx, incidents, T0).remove(0);
        incidents.record_retry(tx, ring.id, &attempt(T0), minutes(40), "503").unwrap();
        assert_eq!(incidents.expire(tx, minutes(10), 100).unwrap().handed_over, 1);
        assert_eq!(claim(tx, incidents, minutes(10)).remove(0).channel, other);
        assert_eq!(incidents.expire(tx, minutes(20), 100).unwrap().handed_over, 0);
    });
}

#[test]
fn a_digest_that_fails_on_one_channel_is_not_told_twice_on_another() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        incidents.add_to_digest(tx, T0, T0, &firing("issue:1:7", Severity::High)).unwrap();
        incidents.expire(tx, T0, 100).unwrap();
        assert_eq!(fail(tx, incidents, T0, refused("no")), Fallback::OthersKnow);
        assert_eq!(fail(tx, incidents, T0, refused("no")), Fallback::Channel(ChannelId(1)));
        assert_eq!(fail(tx, incidents, T0, refused("no")), Fallback::Waiting);
    });
}

#[test]
fn a_refused_message_does_not_go_round_in_circles_and_is_offered_again_within_the_hour() {
    Bed::shared().try_out(|tx, incidents| {
        let (chosen, second) = add_chosen_and_other(tx, incidents);
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(fail(tx, incidents, T0, refused("too long")), Fallback::Channel(second));
        assert_eq!(fail(tx, incidents, T0, refused("too long")), Fallback::Waiting);
        assert!(claim(tx, incidents, minutes(59)).is_empty());
        incidents.expire(tx, minutes(59), 100).unwrap();
        assert!(claim(tx, incidents, minutes(59)).is_empty());
        incidents.expire(tx, minutes(60), 100).unwrap();
        let again = claim(tx, incidents, minutes(60)).remove(0);
        assert_eq!((again.purpose, again.channel), (Purpose::Bundle, chosen), "where the project rings");
        // That fails too: it waits another hour, however often the task runs.
        incidents.record_failed(tx, minutes(60), again.id, &attempt(T0), refused("no")).unwrap();
        let other = claim(tx, incidents, minutes(60)).remove(0);
        assert_eq!(other.channel, second);
        incidents.record_failed(tx, minutes(60), other.id, &attempt(T0), refused("no")).unwrap();
        incidents.expire(tx, minutes(119), 100).unwrap();
        assert!(claim(tx, incidents, minutes(119)).is_empty());
        incidents.expire(tx, minutes(120), 100).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(120)), [Purpose::Bundle]);
        assert!(queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap().first_delivered_at.is_some());
    });
}

#[test]
fn a_critical_alarm_rings_a_repaired_channel_whose_first_message_failed() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        open(tx, incidents, "rate:1", Severity::Critical);
        assert_eq!(fail(tx, incidents, T0, broken("535")), Fallback::OthersKnow);
        deliver_all(tx, incidents, T0);
        incidents.resume_channel(tx, minutes(1), first).unwrap();
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(5)), [Purpose::RingAgain]);
        incidents.expire(tx, minutes(10), 100).unwrap();
        let climbed = claim(tx, incidents, minutes(10));
        let told: Vec<_> = climbed.iter().map(|message| (message.channel, message.purpose)).collect();
        assert!(told.contains(&(first, Purpose::Opened)), "{told:?}");
    });
}

#[test]
fn a_channel_asked_to_wait_a_day_does_not_keep_an_alarm_from_another_one() {
    Bed::shared().try_out(|tx, incidents| {
        let (parked, sound) =
            (add_channel(tx, incidents, T0, "slack"), add_channel(tx, incidents, T0, "mail"));
        let third = add_channel(tx, incidents, T0, "hook");
        routes::choose(tx, ProjectId(1), &[parked]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        let claimed = claim(tx, incidents, T0).remove(0);
        let tomorrow = minutes(24 * 60);
        incidents.record_retry(tx, claimed.id, &attempt(T0), tomorrow, "429").unwrap();
        pace(tx, parked, tomorrow);
        incidents.expire(tx, minutes(9), 100).unwrap();
        assert!(claim(tx, incidents, minutes(9)).is_empty());
        assert_eq!(incidents.expire(tx, minutes(10), 100).unwrap().handed_over, 1);
        let second = claim(tx, incidents, minutes(10)).remove(0);
        assert_eq!((second.channel, second.purpose), (sound, Purpose::Opened));
        // It is slow as well: after as long again the third one hears of it, and then it is enough.
        incidents.record_retry(tx, second.id, &attempt(T0), minutes(30), "503").unwrap();
        assert_eq!(incidents.expire(tx, minutes(19), 100).unwrap().handed_over, 0);
        assert_eq!(incidents.expire(tx, minutes(20), 100).unwrap().handed_over, 1);
        let last = claim(tx, incidents, minutes(20)).remove(0);
        assert_eq!(last.channel, third);
        incidents.record_delivered(tx, minutes(20), last.id, &attempt(T0), RECEIPT).unwrap();
        assert_eq!(incidents.expire(tx, minutes(60), 100).unwrap().handed_over, 0);
        let states: Vec<_> = states(tx).into_iter().map(|(_, state)| state).collect();
        assert_eq!(states, ["pending", "pending", "delivered"], "the late ones keep trying");
    });
}

#[test]
fn a_late_bundle_goes_to_a_channel_that_can_send() {
    Bed::shared().try_out(|tx, incidents| {
        let parked = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[parked]).unwrap();
        burst(tx, incidents, 8);
        incidents.bundle_due(tx, T0, parked).unwrap();
        pace(tx, parked, minutes(600));
        incidents.expire(tx, minutes(10), 100).unwrap();
        assert!(claim(tx, incidents, minutes(10)).is_empty(), "nobody else is there");
        let sound = add_channel(tx, incidents, minutes(10), "mail");
        incidents.expire(tx, minutes(11), 100).unwrap();
        let bundle = claim(tx, incidents, minutes(11)).remove(0);
        assert_eq!((bundle.channel, bundle.purpose, bundle.quantity), (sound, Purpose::Bundle, 8));
    });
}

/// Incidents that have nothing to do with each other.
fn burst(tx: &WriteTx<'_>, incidents: &Incidents, count: u64) {
    for n in 0..count {
        let mut signal = firing(&format!("k:{n}"), Severity::High);
        signal.project = Some(ProjectId(if n % 4 == 0 { 2 } else { 1 }));
        signal.first_bad_at = T0 - Duration::from_hours(n);
        incidents.raise(tx, T0, &signal).unwrap();
    }
}

#[test]
fn a_bundle_that_fails_is_divided_by_where_its_projects_ring() {
    Bed::shared().try_out(|tx, incidents| {
        let shared = add_channel(tx, incidents, T0, "slack");
        let shop = add_channel(tx, incidents, T0, "shop");
        let blog = add_channel(tx, incidents, T0, "blog");
        routes::choose(tx, ProjectId(1), &[shared]).unwrap();
        routes::choose(tx, ProjectId(2), &[shared]).unwrap();
        burst(tx, incidents, 8);
        incidents.bundle_due(tx, T0, shared).unwrap();
        routes::choose(tx, ProjectId(1), &[shared, shop]).unwrap();
        routes::choose(tx, ProjectId(2), &[shared, blog]).unwrap();
        fail(tx, incidents, T0, broken("404"));
        assert_eq!(claim_quantities(tx, incidents, T0), [(shop, 6), (blog, 2)]);
        // Now they fail as well: everything waits one by one, and the first channel that is ready hears of all.
        incidents.break_channel(tx, T0, shared, "404").unwrap();
        incidents.claim_due(tx, minutes(2), Uid::from_bytes([2; 16]), 1).unwrap();
        incidents.pause_channel(tx, T0, shop, "night").unwrap();
        incidents.pause_channel(tx, T0, blog, "night").unwrap();
        release_and_expire(tx, incidents);
        let waiting = states(tx).iter().filter(|(_, state)| state == "waiting").count();
        assert_eq!(waiting, 8);
        incidents.resume_channel(tx, minutes(9), shared).unwrap();
        assert_eq!(claim(tx, incidents, minutes(9)).remove(0).quantity, 8);
    });
}

/// A new process: what was under way is due again, and what stands at stopped channels is handed on.
fn release_and_expire(tx: &WriteTx<'_>, incidents: &Incidents) {
    assert!(incidents.claim_due(tx, minutes(3), Uid::from_bytes([3; 16]), 10).unwrap().is_empty());
    incidents.expire(tx, minutes(3), 100).unwrap();
}

#[test]
fn a_bundle_that_two_channels_got_needs_no_third_way() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "slack");
        let second = add_channel(tx, incidents, T0, "mail");
        burst(tx, incidents, 8);
        for channel in [first, second] {
            incidents.bundle_due(tx, T0, channel).unwrap();
        }
        assert_eq!(fail(tx, incidents, T0, broken("404")), Fallback::OthersKnow);
        let left = claim(tx, incidents, T0);
        assert_eq!((left.len(), left[0].channel, left[0].quantity), (1, second, 8), "its own, and no copy");
    });
}

#[test]
fn waiting_alarms_go_where_their_project_rings_if_that_is_possible() {
    Bed::shared().try_out(|tx, incidents| {
        burst(tx, incidents, 8);
        let chosen = add_channel(tx, incidents, T0, "chosen");
        incidents.pause_channel(tx, T0, chosen, "night").unwrap();
        let ids = [chosen];
        routes::choose(tx, ProjectId(1), &ids).unwrap();
        let other = add_channel(tx, incidents, T0, "other");
        let bundle = claim(tx, incidents, T0).remove(0);
        assert_eq!((bundle.channel, bundle.quantity), (other, 8), "none of the chosen is ready");
        incidents.resume_channel(tx, T0, chosen).unwrap();
        incidents.record_failed(tx, T0, bundle.id, &attempt(T0), refused("no")).unwrap();
        assert_eq!(claim_quantities(tx, incidents, T0), [(chosen, 8)]);
    });
}

#[test]
fn a_message_whose_place_was_taken_is_not_sent_again_by_hand() {
    Bed::shared().try_out(|tx, incidents| {
        let only = add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::Critical);
        fail(tx, incidents, T0, broken("535"));
        incidents.resume_channel(tx, T0, only).unwrap();
        deliver_all(tx, incidents, T0);
        let error = incidents.send_again(tx, T0, DeliveryId(1)).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    });
}

#[test]
fn a_clock_that_was_set_back_delays_nothing_by_more_than_its_own_wait() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        let claimed = claim(tx, incidents, T0);
        incidents.record_retry(tx, claimed[0].id, &attempt(T0), minutes(8), "503").unwrap();
        let resting =
            ChannelHealth { failures: 3, open_until: Some(minutes(2)), paced_until: Some(minutes(3)) };
        channels::record_health(tx, T0, channel, &resting).unwrap();
        let back = T0 - Duration::from_hours(6);
        incidents.add_to_digest(tx, T0, minutes(60), &firing("new", Severity::Low)).unwrap();
        tx.execute(
            "INSERT INTO deliveries (uid, cause, purpose, severity, content, state, created_at)
             VALUES (x'07', 'incident', 'raised', 'high', '{}', 'waiting', ?1)",
            [T0.as_micros()],
        )
        .unwrap();
        incidents.expire(tx, back, 100).unwrap();
        let time = |sql: &str| tx.one(sql, [], |row| rows::time(row, 0)).unwrap();
        assert_eq!(time("SELECT created_at FROM deliveries WHERE state = 'waiting'"), back);
        assert_eq!(time("SELECT due_at FROM digest_entries"), back + Duration::from_hours(1));
        let after = |n| back + Duration::from_mins(n);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.next_ring_at, Some(after(5)));
        let health = channels::find(tx, channel).unwrap().unwrap().health;
        assert_eq!((health.open_until, health.paced_until), (Some(after(2)), Some(after(3))));
        let due = tx
            .one("SELECT next_attempt_at FROM deliveries WHERE id = ?1", [claimed[0].id.0], |row| {
                rows::time(row, 0)
            })
            .unwrap();
        assert_eq!(due, after(8));
        // The lease that was under way ends by its own length.
        assert_eq!(incidents.claim_due(tx, after(1), boot(), 10).unwrap().len(), 0);
        let again = incidents.claim_due(tx, after(2), boot(), 10).unwrap();
        assert_eq!(again.iter().map(|m| m.id).collect::<Vec<_>>(), [claimed[1].id]);
    });
}

#[test]
fn what_turned_critical_under_a_silence_rings_when_it_ends_also_after_an_acknowledgement() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open_acknowledged(tx, incidents);
        incidents.silence(tx, T0, &silence_of("rate:1")).unwrap();
        let worse = at(firing("rate:1", Severity::Critical), minutes(1));
        incidents.raise(tx, minutes(1), &worse).unwrap();
        incidents.expire(tx, minutes(29), 100).unwrap();
        assert!(claim(tx, incidents, minutes(29)).is_empty());
        incidents.expire(tx, minutes(31), 100).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(31)), [Purpose::RingAgain]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.next_ring_at), ("open", Some(minutes(36))));
    });
}

#[test]
fn a_witness_that_joined_under_a_silence_is_told_when_it_ends() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open_acknowledged(tx, incidents);
        incidents.silence(tx, T0, &silence_of("slow:*")).unwrap();
        incidents.raise(tx, minutes(1), &at(firing("slow:1", Severity::High), minutes(1))).unwrap();
        incidents.raise(tx, minutes(1), &at(firing("slow:2", Severity::High), minutes(1))).unwrap();
        incidents.expire(tx, minutes(29), 100).unwrap();
        assert!(claim(tx, incidents, minutes(29)).is_empty());
        incidents.expire(tx, minutes(31), 100).unwrap();
        let first = claim(tx, incidents, minutes(31)).remove(0);
        assert_eq!(first.content["rings"], "after_acknowledgement");
        incidents.record_delivered(tx, minutes(31), first.id, &attempt(T0), RECEIPT).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(31)), [Purpose::Witness]);
        incidents.expire(tx, minutes(32), 100).unwrap();
        assert!(claim(tx, incidents, minutes(32)).is_empty());
    });
}

#[test]
fn a_witness_that_is_worse_under_a_silence_is_noted_once() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        incidents.silence(tx, T0, &silence_of("rate:1")).unwrap();
        for n in 0..50 {
            let worse = at(firing("rate:1", Severity::Critical), T0 + Duration::from_secs(10 * n));
            incidents.raise(tx, worse.observed_at, &worse).unwrap();
        }
        let noted = tx
            .one("SELECT count(*) FROM incident_events WHERE kind = 'raised'", [], |row| row.get::<_, i64>(0))
            .unwrap();
        assert_eq!(noted, 1);
        assert_eq!(queries::find_by_number(tx, incident).unwrap().unwrap().severity, Severity::High);
        // When the silence ends while it still fires, people hear how bad it is.
        incidents.expire(tx, minutes(31), 100).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.severity, Severity::Critical);
        assert!(view.next_ring_at.is_some());
    });
}
