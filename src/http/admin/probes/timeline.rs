//! What a probe was, over time: uptime in figures, a day as a strip, and each change with its reason.

use std::fmt::Write as _;
use std::time::Duration;

use super::words::status_badge;
use crate::base::Timestamp;
use crate::base::figures::percent;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::moments::{between, clock, span};
use crate::http::admin::wording::When;
use crate::probes::queries::ChangeLine;
use crate::probes::uptime::{Segment, Uptime, segments};
use crate::probes::{Kind, Status};
use crate::vigil::{Blind, Blindness, Spell};

/// Uptime over one time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// A day in pieces; each is a path of its own look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Strip {
    pub(super) pieces: Vec<Piece>,
    pub(super) label: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) class: &'static str,
    pub(super) path: String,
    /// The same in words, on hovering: `20 Sep 03:10, not seen for 12 min`.
    pub(super) title: String,
}

/// A line of the timeline.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) badge: Badge,
    pub(super) text: String,
    pub(super) at: String,
    pub(super) when: When,
    /// How long it stayed so.
    pub(super) lasted: String,
}

pub(super) const QUARTER: Duration = Duration::from_hours(90 * 24);
const DAY: Duration = Duration::from_hours(24);
const FIGURES: [(&str, Duration); 4] = [
    ("24 hours", DAY),
    ("7 days", Duration::from_hours(7 * 24)),
    ("30 days", Duration::from_hours(30 * 24)),
    ("90 days", QUARTER),
];
/// What a page shows of the timeline.
const EVENTS_SHOWN: usize = 50;
const WIDTH: f64 = 1000.0;

/// Spells in which this kind could not be looked at: a lost uplink hides nothing on this machine.
pub(super) fn spells_of(kind: Kind, spells: Vec<Spell>) -> Vec<Spell> {
    let hides = |spell: &Spell| kind.needs_uplink() || spell.reason != Blindness::Uplink;
    spells.into_iter().filter(hides).collect()
}

/// Uptime over a day, a week, a month and a quarter, with blind time apart.
pub(super) fn figures(changes: &[ChangeLine], blind: &Blind, now: Timestamp) -> Vec<Figure> {
    let figure = |&(name, length): &(&'static str, Duration)| {
        let uptime = Uptime::of(&segments(changes, blind, now - length, now));
        Figure { name, value: share(uptime.share()), note: note(&uptime) }
    };
    FIGURES.iter().map(figure).collect()
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "—".to_owned(), percent)
}

fn note(uptime: &Uptime) -> String {
    let told = [(uptime.down, "down"), (uptime.blind, "not seen"), (uptime.not_charged, "not charged")];
    let parts = told.iter().filter(|(length, _)| !length.is_zero());
    let parts: Vec<_> = parts.map(|(length, what)| format!("{} {what}", span(*length))).collect();
    match (parts.is_empty(), uptime.share()) {
        (true, None) => "nothing seen yet".to_owned(),
        (true, Some(_)) => "never down".to_owned(),
        (false, _) => parts.join(", "),
    }
}

/// The last day as a strip in a box of 1,000 by 24.
pub(super) fn strip(changes: &[ChangeLine], blind: &Blind, now: Timestamp) -> Strip {
    let from = now - DAY;
    let pieces = segments(changes, blind, from, now);
    let uptime = Uptime::of(&pieces);
    let label = format!("The last 24 hours: {} up, {}", share(uptime.share()), note(&uptime));
    Strip { pieces: pieces.iter().map(|piece| draw(piece, from, now)).collect(), label }
}

/// Trouble stands higher than health, and what was not seen is thin: the shape says it without the colour.
fn draw(segment: &Segment, from: Timestamp, now: Timestamp) -> Piece {
    let (class, height) = match segment.seen {
        None => ("blind", 24.0),
        Some(Status::Unhealthy) => ("bad", 24.0),
        Some(Status::Degraded) => ("warn", 18.0),
        Some(Status::Healthy) => ("ok", 12.0),
        Some(Status::Unknown) => ("unknown", 5.0),
        Some(Status::Maintenance | Status::Paused | Status::Unreachable) => ("away", 5.0),
    };
    let place = |at: Timestamp| at.since(from).as_secs_f64() / DAY.as_secs_f64() * WIDTH;
    let x = place(segment.from);
    // An outage of a minute is seen, too.
    let width = (place(segment.to) - x).max(2.0);
    let mut path = String::new();
    // Writing to a String cannot fail.
    write!(path, "M{x:.1} {:.0}h{width:.1}v{height:.0}h-{width:.1}z", 24.0 - height).unwrap_or_default();
    let word = segment.seen.map_or("not seen", |status| status_badge(status).word);
    let title = format!("{}, {word} for {}", clock(segment.from, now), between(segment.from, segment.to));
    Piece { class, path, title }
}

/// The newest changes and spells, each with how long it stayed so.
pub(super) fn events(changes: &[ChangeLine], spells: &[Spell], now: Timestamp) -> Vec<Event> {
    let mut told: Vec<(Timestamp, Event)> = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        let end = changes.get(at + 1).map(|next| next.at);
        let badge = status_badge(change.status);
        told.push((change.at, event(badge, change.reason.clone(), (change.at, end), now)));
    }
    for spell in spells {
        let badge = Badge { class: "unknown", word: "blind" };
        let text = format!("tocsin could not see: {}", spell.reason.says());
        told.push((spell.began_at, event(badge, text, (spell.began_at, spell.ended_at), now)));
    }
    told.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    told.into_iter().take(EVENTS_SHOWN).map(|(_, event)| event).collect()
}

fn event(badge: Badge, text: String, (at, end): (Timestamp, Option<Timestamp>), now: Timestamp) -> Event {
    let lasted = match end {
        Some(end) => format!("for {}", between(at, end)),
        None => format!("for {} so far", between(at, now)),
    };
    Event { badge, text, at: clock(at, now), when: When::new(at, now), lasted }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn change(hours_ago: u64, status: Status) -> ChangeLine {
        ChangeLine { at: NOW - Duration::from_hours(hours_ago), status, reason: "why".to_owned() }
    }

    #[test]
    fn uptime_is_never_rounded_up_and_blind_time_stands_apart() {
        let changes =
            [change(100, Status::Healthy), change(10, Status::Unhealthy), change(9, Status::Healthy)];
        let spell = Spell {
            reason: Blindness::Down,
            began_at: NOW - Duration::from_hours(5),
            ended_at: Some(NOW - Duration::from_hours(3)),
            detail: String::new(),
        };
        let blind = Blind::of(&[spell]);
        let day = figures(&changes, &blind, NOW).remove(0);
        assert_eq!((day.value.as_str(), day.note.as_str()), ("95.45%", "1 h down, 2 h not seen"));
        let strip = strip(&changes, &blind, NOW);
        let classes: Vec<_> = strip.pieces.iter().map(|piece| piece.class).collect();
        assert_eq!(classes, ["ok", "bad", "ok", "blind", "ok"]);
    }

    #[test]
    fn a_probe_that_was_never_seen_says_so() {
        let figure = figures(&[], &Blind::default(), NOW).remove(3);
        assert_eq!((figure.value.as_str(), figure.note.as_str()), ("—", "nothing seen yet"));
    }

    #[test]
    fn the_timeline_holds_changes_and_spells_newest_first() {
        let changes = [change(10, Status::Healthy), change(2, Status::Unhealthy)];
        let told = events(&changes, &[], NOW);
        let lines: Vec<_> = told.iter().map(|event| (event.badge.word, event.lasted.as_str())).collect();
        assert_eq!(lines, [("unhealthy", "for 2 h so far"), ("healthy", "for 8 h")]);
    }

    #[test]
    fn a_lost_uplink_hides_nothing_on_this_machine() {
        let spell = |reason| Spell { reason, began_at: NOW, ended_at: None, detail: String::new() };
        let spells = vec![spell(Blindness::Uplink), spell(Blindness::Down)];
        assert_eq!(spells_of(Kind::Disk, spells.clone()).len(), 1);
        assert_eq!(spells_of(Kind::Http, spells.clone()).len(), 2);
        assert_eq!(spells_of(Kind::Push, spells).len(), 2, "who reports comes over the network");
    }
}
