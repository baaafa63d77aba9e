//! The first line of a message about an incident: how it stands, and what it is called.

use super::facts::{Closing, IncidentFacts, Moment};
use super::message::{TITLE_CHARS_MAX, capitalised};
use super::plain::clean;
use super::wording::lasting;
use crate::base::{Severity, Timestamp};

pub(super) fn headline(severity: Severity, incident: &IncidentFacts, now: Timestamp) -> String {
    let title = clean(&incident.summary, TITLE_CHARS_MAX);
    let passed = lasting(now.since(incident.impact_started_at));
    match incident.moment {
        Moment::Opened => format!("{}: {title}", capitalised(severity.as_str())),
        Moment::Witness => also_seen(incident, &title),
        // What made it graver is often not what opened it.
        Moment::Raised => match incident.subject_witness() {
            Some(witness) if incident.about > 0 => {
                format!("Now {severity}: {}", clean(&witness.summary, TITLE_CHARS_MAX))
            }
            Some(_) | None => format!("Now {severity}: {title}"),
        },
        Moment::RingAgain => format!("Unanswered for {passed}: {title}"),
        Moment::Recovered => {
            let end = incident.recovered_at.unwrap_or(now);
            format!("Recovered after {}: {title}", lasting(end.since(incident.impact_started_at)))
        }
        Moment::WellAgain => well_again(incident),
        Moment::Closed(Closing::ByHand) => format!("Closed by hand after {passed}: {title}"),
        Moment::Closed(Closing::Unwatched) => format!("No longer watched after {passed}: {title}"),
        Moment::Closed(Closing::Regrouped) => format!("No longer told by itself after {passed}: {title}"),
    }
}

/// `Also seen: Search is down: timed out`, `Also seen: Search, and 4 more`.
fn also_seen(incident: &IncidentFacts, title: &str) -> String {
    let gathered = incident.gathered();
    let is_over = !gathered.is_empty() && gathered.iter().all(|witness| witness.is_over);
    let seen = if is_over { "Seen, and well again" } else { "Also seen" };
    let subject = incident.subject_witness();
    let name = match subject {
        Some(witness) if gathered.len() > 1 => witness.detail.subject.as_ref().unwrap_or(&witness.summary),
        Some(witness) => &witness.summary,
        None => title,
    };
    // Among the gathered stands the one that it is named after, unless that has a message of its own.
    let is_gathered = subject.is_some_and(|subject| gathered.iter().any(|one| std::ptr::eq(*one, subject)));
    match gathered.len().saturating_sub(usize::from(is_gathered)) {
        0 => format!("{seen}: {}", clean(name, TITLE_CHARS_MAX)),
        others => format!("{seen}: {}, and {others} more", clean(name, TITLE_CHARS_MAX - 20)),
    }
}

/// `Checkout is well again; still: Search is down`.
fn well_again(incident: &IncidentFacts) -> String {
    let well = incident.well_again.and_then(|at| incident.witnesses.get(at));
    let told = match well.map(|witness| (&witness.detail.subject, &witness.summary)) {
        Some((Some(subject), _)) => format!("{} is well again", clean(subject, TITLE_CHARS_MAX)),
        Some((None, summary)) => format!("Over: {}", clean(summary, TITLE_CHARS_MAX)),
        None => "One of several is well again".to_owned(),
    };
    // By the time it is sent all may be over, which has a message of its own.
    if incident.recovered_at.is_some() {
        return told;
    }
    format!("{told}; still: {}", clean(&incident.summary, TITLE_CHARS_MAX))
}
