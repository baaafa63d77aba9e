//! What pages say of incidents: pure functions from rows to sentences.

use serde_json::Value;

use super::moments::{between, clock};
use super::wording::counted;
use crate::base::Timestamp;
use crate::incidents::views::{EventView, IncidentView};
use crate::incidents::{DeliveryState, IncidentState};

/// How a state looks and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Badge {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
}

const fn badge(class: &'static str, word: &'static str) -> Badge {
    Badge { class, word }
}

/// Whether somebody is needed, at the head of the list.
pub(super) fn headline(open: i64, acknowledged: i64) -> (String, String) {
    let first = match open {
        0 => "Nothing needs you".to_owned(),
        1 => "One thing needs you".to_owned(),
        _ => format!("{open} things need you"),
    };
    let second = match (open, acknowledged) {
        (0, 0) => "No incident is open.".to_owned(),
        (_, 0) => "Nobody has acknowledged so far.".to_owned(),
        (0, 1) => "One incident is open, and somebody takes care of it.".to_owned(),
        (0, more) => format!("{more} incidents are open, and somebody takes care of each."),
        (_, 1) => "One more is acknowledged.".to_owned(),
        (_, more) => format!("{more} more are acknowledged."),
    };
    (first, second)
}

pub(super) fn state_badge(incident: &IncidentView) -> Badge {
    match IncidentState::parse(&incident.state) {
        Some(IncidentState::Open) if incident.silenced => badge("unknown", "silenced"),
        Some(IncidentState::Open) => badge("bad", "open"),
        Some(IncidentState::Acknowledged) => badge("warn", "acknowledged"),
        Some(IncidentState::Resolved) | None => badge("ok", "over"),
    }
}

/// Where an incident stands, in one sentence or two.
pub(super) fn standing(incident: &IncidentView, now: Timestamp) -> String {
    let began = incident.impact_started_at;
    match IncidentState::parse(&incident.state) {
        Some(IncidentState::Resolved) | None => {
            let end = incident.resolved_at.unwrap_or(now);
            let lasted = between(began, incident.recovered_at.unwrap_or(end));
            let why = end_reason(incident.resolve_reason.as_deref());
            format!("Over since {}, after {lasted}: {why}.", clock(end, now))
        }
        Some(IncidentState::Acknowledged) => {
            let by = incident.acknowledged_by.as_deref().unwrap_or("somebody");
            let at = incident.acknowledged_at.unwrap_or(now);
            format!(
                "Open for {}. {by} acknowledged it at {}, {} after it began.",
                between(began, now),
                clock(at, now),
                between(began, at)
            )
        }
        Some(IncidentState::Open) if incident.silenced => {
            format!("Open for {}. A silence covers it: nobody is told.", between(began, now))
        }
        Some(IncidentState::Open) => {
            let rings = match incident.next_ring_at {
                Some(at) if at > now => format!(" It rings again in {}.", between(now, at)),
                Some(_) => " It rings again now.".to_owned(),
                None => String::new(),
            };
            format!("Open for {}, and nobody has acknowledged it.{rings}", between(began, now))
        }
    }
}

fn end_reason(reason: Option<&str>) -> &'static str {
    match reason {
        Some("recovered") => "it recovered",
        Some("quiet") => "it has not been seen again",
        Some("subject_resolved") => "its issue was resolved",
        Some("subject_ignored") => "its issue was ignored",
        Some("subject_removed") => "what was watched was removed",
        Some("subject_paused") => "its probe or heartbeat was paused",
        Some("subject_grouped") => "its service rings for it now",
        Some("subject_archived") => "its project was archived",
        Some("by_hand") => "somebody closed it",
        Some(_) | None => "it is closed",
    }
}

/// The watcher's name for people.
pub(super) fn source_label(source: &str) -> &str {
    match source {
        "errors" => "errors",
        "error_rate" => "error rate",
        "slow_metrics" => "slow metrics",
        "service" => "service",
        "probe" => "probe",
        "self" => "tocsin itself",
        other => other,
    }
}

/// Why a message was written.
pub(super) fn purpose_label(purpose: &str) -> &str {
    match purpose {
        "opened" => "first message",
        "witness" => "further witness",
        "raised" => "severity raised",
        "ring_again" => "rang again",
        "recovered" => "recovery",
        "digest" => "digest",
        "bundle" => "several in one",
        "account" => "account mail",
        "test" => "test",
        other => other,
    }
}

/// What became of a message.
pub(super) fn delivery_badge(state: DeliveryState) -> Badge {
    match state {
        DeliveryState::Delivered => badge("ok", "delivered"),
        DeliveryState::Failed => badge("bad", "failed"),
        DeliveryState::Pending => badge("warn", "pending"),
        DeliveryState::Sending => badge("warn", "sending"),
        DeliveryState::Waiting => badge("unknown", "waits for a channel"),
        DeliveryState::Bundled => badge("unknown", "in a bundle"),
        DeliveryState::Cancelled => badge("unknown", "cancelled"),
    }
}

pub(super) fn witness_badge(state: &str) -> Badge {
    match state {
        "firing" => badge("bad", "firing"),
        "holding" => badge("warn", "well, on hold"),
        _ => badge("ok", "over"),
    }
}

/// A line of the timeline: the class of its mark, and what happened.
pub(super) fn happened(event: &EventView) -> (&'static str, String) {
    let actor = event.actor.as_deref().unwrap_or("tocsin");
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str).unwrap_or("");
    let number = |name: &str| event.detail.get(name).and_then(Value::as_i64).unwrap_or(0);
    let source = source_label(text("source"));
    match event.kind.as_str() {
        "opened" => ("bad", format!("Opened: seen by {source}, {}", text("severity"))),
        "joined" => ("bad", format!("Also seen by {source}, {}", text("severity"))),
        "refired" => ("bad", format!("Seen again by {source}")),
        "raised" => ("bad", format!("Raised to {}", text("severity"))),
        "eased" => ("ok", format!("What is left of it is {}", text("severity"))),
        "worsened" => ("bad", format!("Worse, says {source}: {}", text("severity"))),
        "rang" => ("bad", format!("Rang again on {}", counted(number("channels"), "channel"))),
        "silenced" => ("", "Fell silent: a silence covers it".to_owned()),
        "unsilenced" => ("", "The silence is over: told everybody".to_owned()),
        "acknowledged" => ("ok", format!("{actor} acknowledged")),
        "unacknowledged" => ("", format!("{actor} took the acknowledgement back")),
        "witness_over" => ("ok", format!("One witness is over: {}", end_reason(Some(text("reason"))))),
        "split_off" => ("", format!("{actor} made a witness incident #{}", number("incident"))),
        "split_from" => ("", format!("{actor} split this off incident #{}", number("incident"))),
        "delivery_failed" => ("bad", failed(text("recipient"), text("reason"), text("fallback"))),
        "resolved" => ("ok", format!("Over: {}", end_reason(Some(text("reason"))))),
        other => ("", other.replace('_', " ")),
    }
}

fn failed(recipient: &str, reason: &str, fallback: &str) -> String {
    if !recipient.is_empty() {
        return format!("A message was not delivered to {recipient}: {reason}");
    }
    let then = if fallback.is_empty() { String::new() } else { format!(" ({})", fallback.replace('_', " ")) };
    format!("A message was not delivered: {reason}{then}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_headline_answers_whether_somebody_is_needed() {
        let table = [
            (0, 0, "Nothing needs you", "No incident is open."),
            (1, 0, "One thing needs you", "Nobody has acknowledged so far."),
            (3, 2, "3 things need you", "2 more are acknowledged."),
            (0, 1, "Nothing needs you", "One incident is open, and somebody takes care of it."),
        ];
        for (open, acknowledged, first, second) in table {
            assert_eq!(headline(open, acknowledged), (first.to_owned(), second.to_owned()));
        }
    }

    #[test]
    fn a_timeline_names_who_and_what() {
        let event = |kind: &str, actor: Option<&str>, detail| EventView {
            at: Timestamp::EPOCH,
            kind: kind.to_owned(),
            actor: actor.map(str::to_owned),
            detail,
        };
        let joined = event("joined", None, json!({"source": "error_rate", "severity": "high"}));
        assert_eq!(happened(&joined), ("bad", "Also seen by error rate, high".to_owned()));
        let refused =
            event("delivery_failed", None, json!({"recipient": "bob@example.com", "reason": "full"}));
        assert_eq!(happened(&refused).1, "A message was not delivered to bob@example.com: full");
        let eased = event("eased", None, json!({"severity": "high"}));
        assert_eq!(happened(&eased), ("ok", "What is left of it is high".to_owned()));
        let taken = event("acknowledged", Some("anna@example.com"), json!({}));
        assert_eq!(happened(&taken), ("ok", "anna@example.com acknowledged".to_owned()));
        assert_eq!(happened(&event("new_kind", None, json!({}))), ("", "new kind".to_owned()));
    }
}
