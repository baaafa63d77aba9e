//! What pages say of channels: pure functions from rows to sentences.

use super::incident_words::Badge;
use super::moments::{clock, span};
use super::wording::counted;
use crate::base::Timestamp;
use crate::incidents::DeliveryState;
use crate::incidents::channels::{Channel, ChannelKind, ChannelOwner, ChannelState};
use crate::incidents::views::DeliveryProof;

/// What became of the newest message of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    UnderWay,
    Arrived,
    Refused,
}

/// Before the line of an attempt's proof that says what would help.
const CURE: &str = crate::notify::worker::CURE;

pub(super) const fn kind_name(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Email => "Mail",
        ChannelKind::Slack => "Slack",
        ChannelKind::Webhook => "Webhook",
    }
}

/// Who changes a channel that is not changed here; empty for those of the page.
pub(super) const fn changed_elsewhere(owner: ChannelOwner) -> &'static str {
    match owner {
        ChannelOwner::Page => "",
        ChannelOwner::Environment => "from the configuration",
        ChannelOwner::File => "from a file",
    }
}

/// How a channel is, in a word.
pub(super) fn state_badge(channel: &Channel, now: Timestamp) -> Badge {
    let (class, word) = match channel.state {
        ChannelState::Broken => ("bad", "broken"),
        ChannelState::Paused => ("unknown", "paused"),
        ChannelState::Absent => ("unknown", "not configured"),
        ChannelState::Ready if is_resting(channel, now) || channel.health.failures > 0 => ("warn", "failing"),
        ChannelState::Ready if channel.delivered_at.is_none() => ("unknown", "never tested"),
        ChannelState::Ready => ("ok", "ready"),
    };
    Badge { class, word }
}

/// How a channel is, and what to do about it; empty where all is well.
pub(super) fn standing(channel: &Channel, now: Timestamp) -> String {
    let reason = channel.state_reason.as_deref().unwrap_or("it refused for good");
    match channel.state {
        ChannelState::Broken => {
            format!(
                "{}. It sends nothing until it is corrected, a test arrives, or it takes an alarm that waits.",
                upper(reason)
            )
        }
        ChannelState::Paused => {
            format!("{}. It sends nothing; alarms go to the other channels.", upper(reason))
        }
        ChannelState::Absent => {
            "The configuration names it no longer. Named there again, it is the same channel for the projects that chose it."
                .to_owned()
        }
        ChannelState::Ready => standing_ready(channel, now),
    }
}

fn standing_ready(channel: &Channel, now: Timestamp) -> String {
    let health = channel.health;
    let failures = counted(i64::from(health.failures), "failure");
    match health.open_until.filter(|until| *until > now) {
        Some(until) => {
            format!("It rests until {} after {failures} in a row, then tries again.", clock(until, now))
        }
        None if health.failures == 1 => "The last try failed. Alarms that wait are tried again.".to_owned(),
        None if health.failures > 0 => {
            format!("{} in a row. Alarms that wait are tried again.", upper(&failures))
        }
        None => match health.paced_until.filter(|until| until.since(now) > PACE_TOLD) {
            Some(until) => format!("The other side asks for patience until {}.", clock(until, now)),
            None if channel.delivered_at.is_none() => "Nothing was delivered yet. Send a test.".to_owned(),
            None => String::new(),
        },
    }
}

/// A wait that a person notices.
const PACE_TOLD: std::time::Duration = std::time::Duration::from_secs(10);

fn is_resting(channel: &Channel, now: Timestamp) -> bool {
    channel.health.open_until.is_some_and(|until| until > now)
}

/// The head of the list: whether anybody can be rung.
pub(super) fn headline(channels: &[Channel], waiting: i64) -> (String, String) {
    let rings = |channel: &&Channel| channel.state == ChannelState::Ready && channel.health.failures == 0;
    let ready = channels.iter().filter(rings).count();
    let off = names(channels.iter().filter(|channel| !rings(channel)));
    let untested = names(channels.iter().filter(|it| rings(it) && it.delivered_at.is_none()));
    let first = match (channels.len(), ready) {
        (0, _) => "Nobody can be rung yet".to_owned(),
        (_, 0) => "No channel can ring".to_owned(),
        (1, _) => "One channel rings".to_owned(),
        (all, ready) if all == ready => format!("{all} channels ring"),
        (all, 1) => format!("One of {all} channels rings"),
        (all, ready) => format!("{ready} of {all} channels ring"),
    };
    let second = match (waiting, ready) {
        (0, 0) => "Alarms are kept until there is a channel for them.".to_owned(),
        (0, 1) => "Every alarm goes to it. A second one helps when the first fails.".to_owned(),
        (0, _) => {
            "Every alarm goes to all that can ring. One that nobody answers climbs from the first to the last."
                .to_owned()
        }
        (1, _) => "One message waits. The first channel that is ready gets it.".to_owned(),
        (many, _) => {
            format!("{} wait. The first channel that is ready gets them as one.", counted(many, "message"))
        }
    };
    let named = |what: &str, names: String| {
        if names.is_empty() { names } else { format!(" {what}: {names}.") }
    };
    (first, second + &named("Not now", off) + &named("Never tested", untested))
}

fn names<'c>(channels: impl Iterator<Item = &'c Channel>) -> String {
    channels.map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// What became of a message: the sentence, and what would help.
pub(super) fn outcome(found: &DeliveryProof, target: &str, now: Timestamp) -> (Outcome, String, String) {
    let message = &found.delivery;
    let last = found.proof.last();
    match message.state {
        DeliveryState::Delivered => {
            let took = last.map(|attempt| {
                std::time::Duration::from_micros(u64::try_from(attempt.duration_us).unwrap_or(0))
            });
            let took = took.map(|took| format!(" in {}", span(took))).unwrap_or_default();
            (Outcome::Arrived, format!("Arrived at {target}{took}."), String::new())
        }
        DeliveryState::Sending => {
            (Outcome::UnderWay, "Sending. A try takes at most 30 s.".to_owned(), String::new())
        }
        DeliveryState::Pending if message.attempts == 0 => {
            let why =
                message.last_error.as_deref().map(|why| format!(" {}.", upper(why))).unwrap_or_default();
            (Outcome::UnderWay, format!("It is about to be sent.{why}"), String::new())
        }
        DeliveryState::Pending
        | DeliveryState::Waiting
        | DeliveryState::Failed
        | DeliveryState::Bundled
        | DeliveryState::Cancelled => {
            let why = message.last_error.as_deref().unwrap_or("it was not tried in time");
            let again =
                message.next_attempt_at.map(|at| format!(" It is tried again at {}.", clock(at, now)));
            let detail = last.map_or("", |attempt| attempt.detail.as_str());
            let cure = detail.lines().rev().find_map(|line| line.strip_prefix(CURE));
            let sentence = format!("Not delivered: {why}.{}", again.unwrap_or_default());
            (Outcome::Refused, sentence, cure.unwrap_or("").to_owned())
        }
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::base::Uid;
    use crate::incidents::ChannelId;
    use crate::incidents::channels::ChannelHealth;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn channel(state: ChannelState, failures: u32, delivered: bool) -> Channel {
        Channel {
            id: ChannelId(1),
            uid: Uid::from_bytes([1; 16]),
            name: "On call".to_owned(),
            kind: ChannelKind::Email,
            settings: json!({}),
            sealed: None,
            owner: ChannelOwner::Page,
            position: 1,
            state,
            state_reason: Some("the server refused the password".to_owned()),
            health: ChannelHealth { failures, open_until: None, paced_until: None },
            created_at: NOW,
            delivered_at: delivered.then_some(NOW),
        }
    }

    #[test]
    fn a_channel_says_how_it_is_and_what_to_do() {
        let table = [
            (channel(ChannelState::Ready, 0, true), "ready", ""),
            (channel(ChannelState::Ready, 0, false), "never tested", "Send a test"),
            (channel(ChannelState::Ready, 2, true), "failing", "2 failures in a row"),
            (channel(ChannelState::Paused, 0, true), "paused", "go to the other channels"),
            (channel(ChannelState::Absent, 0, true), "not configured", "names it no longer"),
            (
                channel(ChannelState::Broken, 0, true),
                "broken",
                "The server refused the password. It sends nothing",
            ),
        ];
        for (channel, word, part) in table {
            assert_eq!(state_badge(&channel, NOW).word, word);
            let told = standing(&channel, NOW);
            assert!(told.contains(part) && (part.is_empty() == told.is_empty()), "{word}: {told}");
        }
        let mut resting = channel(ChannelState::Ready, 3, true);
        resting.health.open_until = Some(NOW + Duration::from_secs(30));
        assert!(standing(&resting, NOW).starts_with("It rests until"));
    }

    #[test]
    fn the_headline_answers_whether_anybody_can_be_rung() {
        let (ready, broken) = (channel(ChannelState::Ready, 0, true), channel(ChannelState::Broken, 0, true));
        assert_eq!(headline(&[], 0).0, "Nobody can be rung yet");
        assert_eq!(headline(std::slice::from_ref(&broken), 0).0, "No channel can ring");
        assert_eq!(headline(&[ready.clone(), broken], 0).0, "One of 2 channels rings");
        assert_eq!(headline(&[ready.clone(), ready], 0).0, "2 channels ring");
        assert!(headline(&[], 3).1.starts_with("3 messages wait"));
        let (failing, untested) =
            (channel(ChannelState::Ready, 2, true), channel(ChannelState::Ready, 0, false));
        let (first, second) = headline(&[failing, untested], 0);
        assert_eq!(first, "One of 2 channels rings");
        assert!(second.contains("Not now: ") && second.contains("Never tested: "), "{second}");
    }
}
