//! Channels that refuse for good: for a minute, for long, and until somebody repairs what is behind them.

use super::*;

const REFUSED: Refusal<'static> = Refusal { reason: "404", blame: Blame::Channel };

/// The one message that is due is refused.
fn refuse(tx: &WriteTx<'_>, incidents: &Incidents, now: Timestamp) -> Fallback {
    let claimed = incidents.claim_due(tx, now, boot(), 1).unwrap().remove(0);
    incidents.record_failed(tx, now, claimed.id, &attempt(now), REFUSED).unwrap()
}

fn state_of(tx: &WriteTx<'_>, channel: ChannelId) -> ChannelState {
    channels::find(tx, channel).unwrap().unwrap().state
}

/// Refused every minute from `from` on, for the five that it takes.
fn refuse_until_broken(tx: &WriteTx<'_>, incidents: &Incidents, from: u64) {
    for minute in from..from + 5 {
        assert_eq!(refuse(tx, incidents, minutes(minute)), Fallback::Held);
    }
    assert_eq!(refuse(tx, incidents, minutes(from + 5)), Fallback::Waiting);
}

#[test]
fn a_channel_is_broken_when_it_refused_for_minutes_and_a_refusal_of_a_moment_is_forgotten() {
    Bed::shared().try_out(|tx, incidents| {
        let only = add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::Critical);
        for minute in 0..4 {
            assert_eq!(refuse(tx, incidents, minutes(minute)), Fallback::Held);
        }
        assert_eq!(deliver_all(tx, incidents, minutes(4)), [Purpose::Opened]);
        incidents.raise(tx, minutes(4), &at(firing("slow:1", Severity::Critical), minutes(4))).unwrap();
        refuse_until_broken(tx, incidents, 4);
        assert_eq!(state_of(tx, only), ChannelState::Broken);
    });
}

#[test]
fn what_is_refused_is_told_on_another_channel_at_once_and_tried_again() {
    Bed::shared().try_out(|tx, incidents| {
        let chosen = add_channel(tx, incidents, T0, "mail");
        let other = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[chosen]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(refuse(tx, incidents, T0), Fallback::Held);
        let told = claim(tx, incidents, T0).remove(0);
        assert_eq!((told.channel, told.purpose), (other, Purpose::Opened));
        incidents.record_delivered(tx, T0, told.id, &attempt(T0), RECEIPT).unwrap();
        let again = claim(tx, incidents, minutes(1)).remove(0);
        assert_eq!((again.channel, again.purpose), (chosen, Purpose::Opened));
        assert_eq!(state_of(tx, chosen), ChannelState::Ready);
    });
}

#[test]
fn a_broken_channel_is_tried_again_with_what_waits_and_is_ready_once_it_takes_it() {
    Bed::shared().try_out(|tx, incidents| {
        let only = add_channel(tx, incidents, T0, "mail");
        incidents.break_channel(tx, T0, only, "404").unwrap();
        incidents.expire(tx, minutes(600), 100).unwrap();
        assert_eq!(state_of(tx, only), ChannelState::Broken, "there is nothing to try it with");
        let now = minutes(601);
        incidents.raise(tx, now, &at(firing("rate:1", Severity::Critical), now)).unwrap();
        incidents.expire(tx, now, 100).unwrap();
        let probe = claim(tx, incidents, now).remove(0);
        assert_eq!((probe.channel, probe.purpose), (only, Purpose::Bundle));
        // Three refusals and five minutes are behind a channel that is broken.
        tx.execute("UPDATE channels SET refusals = 3, refused_since = ?1", [T0.as_micros()]).unwrap();
        let refused = incidents.record_failed(tx, now, probe.id, &attempt(now), REFUSED).unwrap();
        assert_eq!((refused, state_of(tx, only)), (Fallback::Waiting, ChannelState::Broken));
        incidents.expire(tx, minutes(610), 100).unwrap();
        assert!(claim(tx, incidents, minutes(610)).is_empty());
        incidents.expire(tx, minutes(611), 100).unwrap();
        assert_eq!(deliver_all(tx, incidents, minutes(611)), [Purpose::Bundle]);
        let row = channels::find(tx, only).unwrap().unwrap();
        assert_eq!((row.state, row.state_reason), (ChannelState::Ready, None));
    });
}

#[test]
fn who_asked_for_a_test_is_told_of_the_refusal_at_once() {
    Bed::shared().try_out(|tx, incidents| {
        let only = add_channel(tx, incidents, T0, "mail");
        let (test, _) = incidents.write_test(tx, T0, only, BY).unwrap();
        let claimed = incidents.claim_one(tx, T0, boot(), test).unwrap();
        let fallback = incidents.record_failed(tx, T0, claimed.id, &attempt(T0), REFUSED).unwrap();
        assert_eq!(fallback, Fallback::OnlyHere);
        assert_eq!(state_of(tx, only), ChannelState::Ready);
    });
}
