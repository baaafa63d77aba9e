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
        Moment::Witness => {
            let seen = incident.subject_witness().map_or(title.as_str(), |witness| &witness.summary);
            format!("Also seen: {}", clean(seen, TITLE_CHARS_MAX))
        }
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
