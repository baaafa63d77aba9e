//! What pages say of sources and destinations: pure functions from rows to words and sentences.

use crate::base::Timestamp;
use crate::http::admin::incident_words::Badge;
use crate::http::admin::moments::{clock, until};
use crate::http::admin::wording::counted;
use crate::webhooks::DeliveryStatus;
use crate::webhooks::destination::{Definition, Sign};
use crate::webhooks::queries::{COUNT_MAX, DestinationLine, SourceLine};

const fn badge(class: &'static str, word: &'static str) -> Badge {
    Badge { class, word }
}

/// How a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Held,
    Open,
    HalfOpen,
    Untried,
    Closed,
}

fn standing(line: &DestinationLine, now: Timestamp) -> Standing {
    let state = &line.state;
    match state.breaker.as_str() {
        _ if line.destination.held.is_some() => Standing::Held,
        "open" if state.open_until.is_none_or(|end| end > now) => Standing::Open,
        "open" | "half_open" => Standing::HalfOpen,
        _ if state.last_ok_at.is_none() && state.last_failed_at.is_none() => Standing::Untried,
        _ => Standing::Closed,
    }
}

/// The breaker in a word, and whoever holds the destination before it.
pub(super) fn breaker_badge(line: &DestinationLine, now: Timestamp) -> Badge {
    match standing(line, now) {
        Standing::Held => badge("paused", "held"),
        Standing::Open => badge("bad", "open"),
        Standing::HalfOpen => badge("warn", "half-open"),
        Standing::Untried => badge("unknown", "not tried yet"),
        Standing::Closed => badge("ok", "closed"),
    }
}

/// What that means for what waits.
pub(super) fn breaker_says(line: &DestinationLine, now: Timestamp) -> String {
    match (standing(line, now), &line.destination.held) {
        (Standing::Held, Some(held)) => format!(
            "Held by {} since {}: nothing is sent, and everything waits until somebody resumes it.",
            held.by,
            clock(held.at, now)
        ),
        (Standing::Open, _) => {
            let end =
                line.state.open_until.map(|end| format!(" until {} ({})", clock(end, now), until(end, now)));
            format!(
                "The breaker is open{}: the app failed again and again. Nothing is sent, everything waits, and no \
                 attempt is used up.",
                end.unwrap_or_default()
            )
        }
        (Standing::HalfOpen, _) => {
            "The breaker is half-open: one delivery is tried, and where it arrives the others follow."
                .to_owned()
        }
        (Standing::Untried, _) => "Nothing was sent here yet.".to_owned(),
        (Standing::Closed | Standing::Held, _) => {
            "The breaker is closed: what comes is sent on at once.".to_owned()
        }
    }
}

/// A source in a word: what somebody should look at first.
pub(super) fn source_badge(line: &SourceLine, has_secret: bool) -> Badge {
    let health = &line.health;
    if !has_secret {
        badge("warn", "needs a secret")
    } else if health.dead > 0 {
        badge("bad", "dead letters")
    } else if health.resting > 0 {
        badge("bad", "breaker open")
    } else if health.destinations == 0 {
        badge("warn", "goes nowhere")
    } else if health.held > 0 {
        badge("paused", "held")
    } else if line.counters.last_at.is_none() {
        badge("unknown", "waiting")
    } else {
        badge("ok", "delivering")
    }
}

/// The head of the list.
pub(super) fn headline(lines: &[(Badge, u32)]) -> (String, String) {
    let bad = lines.iter().filter(|(badge, _)| badge.class == "bad").count();
    let dead: u32 = lines.iter().map(|(_, dead)| *dead).sum();
    let all = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let head = match (bad, lines.len()) {
        (_, 0) => "No source".to_owned(),
        (0, 1) => "The one source is well".to_owned(),
        (0, _) => format!("All {} are well", counted(all, "source")),
        (1, 1) => "The one source needs you".to_owned(),
        (1, _) => format!("One of {} needs you", counted(all, "source")),
        (bad, _) => format!("{bad} of {} need you", counted(all, "source")),
    };
    let sub = match dead {
        0 => "No dead letter waits.".to_owned(),
        1 => "One dead letter waits for somebody.".to_owned(),
        dead => format!("{dead} dead letters wait for somebody."),
    };
    (head, sub)
}

/// A count that ends at [`COUNT_MAX`].
pub(super) fn up_to(number: u32) -> String {
    if number >= COUNT_MAX { format!("{COUNT_MAX}+") } else { number.to_string() }
}

pub(super) const fn delivery_badge(status: DeliveryStatus) -> Badge {
    match status {
        DeliveryStatus::Pending => badge("unknown", "waits"),
        DeliveryStatus::Processing => badge("work", "under way"),
        DeliveryStatus::Completed => badge("ok", "completed"),
        DeliveryStatus::Failed => badge("warn", "failed, tried again"),
        DeliveryStatus::DeadLetter => badge("bad", "dead letter"),
    }
}

/// What a destination takes, in a sentence.
pub(super) fn takes(definition: &Definition) -> String {
    let types: Vec<&str> =
        definition.filter.types().iter().map(crate::webhooks::filter::TypeGlob::as_str).collect();
    let conditions: Vec<String> = definition.filter.conditions().iter().map(ToString::to_string).collect();
    match (types.is_empty(), conditions.is_empty()) {
        (true, true) => "every event".to_owned(),
        (false, true) => types.join(", "),
        (true, false) => format!("events where {}", conditions.join(" and ")),
        (false, false) => format!("{} where {}", types.join(", "), conditions.join(" and ")),
    }
}

pub(super) const fn signs(sign: Sign) -> &'static str {
    match sign {
        Sign::AsSource => "as the provider does, with the newest secret of the source",
        Sign::Own => "as the provider does, with a secret of its own",
        Sign::Off => "not at all",
    }
}

/// Why a call was turned away, for whoever can mend it.
pub(super) fn refusal_says(reason: &str) -> String {
    let says = match reason {
        "no_secret" => "The source has no secret: enter the provider's, then let it send again.",
        "header_missing" => {
            "The header with the signature was not there: was it the provider who called, and does no proxy take it out?"
        }
        "header_empty" => "The header with the signature was empty: look whether a proxy empties it.",
        "header_doubled" => "A header that decides came twice: look whether a proxy adds it again.",
        "header_unreadable" => "The header with the signature was no text.",
        "signature_malformed" => "The signature was cut, or written in another way than this scheme has it.",
        "signature_version" => "The header held no signature of this scheme: is this the right provider?",
        "signature_wrong" => {
            "The signature is not of this call: compare the secret with the provider's, and the public address with the \
             one it calls."
        }
        "time_missing" => "The call did not say when it was signed.",
        "time_malformed" => "When it was signed could not be read.",
        "too_old" => {
            "It was signed rightly, but too long ago: it was kept back, or sent again by somebody else."
        }
        "too_new" => "It was signed in the future: look at the clocks.",
        "body_unsigned" => "Nothing says who wrote the body.",
        "body_hash_wrong" => "The body was changed on its way: look whether a proxy rewrites it.",
        "token_malformed" => {
            "The header held no token of this kind: set it up at the provider as it is asked for here."
        }
        "token_wrong" => "The token is another one: compare it with the one at the provider.",
        "encoding" => "The body was compressed: no provider does that, and it could not be verified.",
        "too_large" => "The body is larger than this source takes: raise its bound under Edit.",
        "late" => "The body came too slowly, and was given up.",
        "broken_off" => "The caller went away before the body had come.",
        "unreadable" => "The body could not be read.",
        other => return format!("It was turned away: {}.", other.replace('_', " ")),
    };
    says.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_the_list_says_who_is_needed() {
        let (ok, bad) = (badge("ok", "delivering"), badge("bad", "dead letters"));
        assert_eq!(headline(&[(ok, 0)]).0, "The one source is well");
        assert_eq!(headline(&[(ok, 0), (bad, 2)]).0, "One of 2 sources needs you");
        assert_eq!(headline(&[(ok, 0), (bad, 2)]).1, "2 dead letters wait for somebody.");
        assert_eq!(up_to(COUNT_MAX), "100+");
    }

    #[test]
    fn every_refusal_is_told_with_its_cure_and_an_unknown_one_by_its_word() {
        assert!(refusal_says("signature_wrong").contains("compare the secret"));
        assert_eq!(refusal_says("of_tomorrow"), "It was turned away: of tomorrow.");
    }
}
