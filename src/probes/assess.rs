//! What one run of a probe came to: pure.

use super::board::Outcome;
use super::condition::{Condition, Finding};
use super::definition::Checked;
use super::judge::Reading;
use super::kind::Kind;
use super::seen::Seen;
use crate::base::span;

/// A reading, and what was wrong with it in words that fit into an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessed {
    pub reading: Reading,
    /// Empty where nothing was.
    pub reason: String,
}

/// The word with which somebody reports trouble that is no outage.
pub(super) const DEGRADED: &str = "degraded";

/// A failure, or the first condition that does not hold, is bad; what took longer than it may is slow. Never blind:
/// that is not seen in an answer. Where a report says what is wrong, these words are the reason.
pub fn assess(checked: &Checked, seen: &Seen) -> Assessed {
    let Assessed { reading, reason } = judged(checked, seen);
    match &seen.words {
        Some(words) if reading != Reading::Good => Assessed::of(reading, words.clone()),
        Some(_) | None => Assessed::of(reading, reason),
    }
}

fn judged(checked: &Checked, seen: &Seen) -> Assessed {
    if let Some(failed) = &seen.failed {
        return Assessed::of(Reading::Bad, failed.to_string());
    }
    if checked.definition.kind() == Kind::Push
        && seen.facts.get("status").is_some_and(|status| status.to_string().trim_matches('"') == DEGRADED)
    {
        return Assessed::of(Reading::Slow, "was reported as degraded".to_owned());
    }
    let fails = checked.conditions.iter().find_map(|condition| match condition.check(&seen.facts) {
        Finding::Holds => None,
        Finding::Fails(reason) => Some(reason),
    });
    if let Some(reason) = fails {
        return Assessed::of(Reading::Bad, reason);
    }
    let total = seen.phases.total;
    match checked.definition.slow_after.filter(|bound| total > *bound) {
        Some(bound) => {
            let (took, bound) = (span::format(total), span::format(bound));
            Assessed::of(Reading::Slow, format!("took {took}, more than {bound}"))
        }
        None => Assessed::of(Reading::Good, String::new()),
    }
}

/// How each condition came out, for who wants to know all of it. None where the run came to no end: what was not seen
/// says nothing about them.
pub fn outcomes(checked: &Checked, seen: &Seen) -> Vec<Outcome> {
    let of = |condition: &Condition| Outcome {
        condition: condition.to_string(),
        fails: match condition.check(&seen.facts) {
            Finding::Holds => String::new(),
            Finding::Fails(reason) => reason,
        },
    };
    checked.conditions.iter().filter(|_| seen.failed.is_none()).map(of).collect()
}

impl Assessed {
    const fn of(reading: Reading, reason: String) -> Self {
        Self { reading, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::base::{Secret, Timestamp};
    use crate::probes::condition::{Facts, Tree, Unit, Value};
    use crate::probes::seen::{Failed, Phase, Phases, Raw, Sample};
    use crate::probes::{Definition, Redactor, Secrets};

    fn checked(conditions: &[&str]) -> Checked {
        let target = serde_json::json!({"kind": "http", "url": "https://x.example/"});
        let mut definition = Definition::of(serde_json::from_value(target).unwrap());
        definition.conditions = conditions.iter().map(|&source| source.to_owned()).collect();
        definition.slow_after = Some(Duration::from_millis(500));
        definition.check(&Secrets::default()).unwrap()
    }

    fn seen(status: f64, millis: u64) -> Seen {
        let mut facts = Facts::new(Timestamp::EPOCH);
        facts.set("status", Value::Number(status, Unit::Plain));
        let phases = Phases { total: Duration::from_millis(millis), ..Phases::default() };
        Raw { failed: None, facts, phases, sample: Sample::default(), words: None }.seen()
    }

    #[test]
    fn a_run_is_good_slow_or_bad_and_says_why() {
        let told = |checked: &Checked, seen: &Seen| {
            let Assessed { reading, reason } = assess(checked, seen);
            (reading, reason)
        };
        let (default, two) = (checked(&[]), checked(&["status < 500", "status != 404"]));
        assert_eq!(told(&default, &seen(200.0, 500)), (Reading::Good, String::new()));
        assert_eq!(
            told(&default, &seen(200.0, 812)),
            (Reading::Slow, "took 812ms, more than 500ms".to_owned())
        );
        assert_eq!(
            told(&default, &seen(503.0, 812)),
            (Reading::Bad, "status was 503, wanted < 300".to_owned())
        );
        assert_eq!(told(&two, &seen(404.0, 1)), (Reading::Bad, "status was 404, wanted != 404".to_owned()));
        let fails: Vec<_> =
            outcomes(&two, &seen(404.0, 1)).into_iter().map(|outcome| outcome.fails).collect();
        assert_eq!(fails, ["", "status was 404, wanted != 404"]);
        let reason = "connection refused".to_owned();
        let failed = Some(Failed { phase: Phase::Connect, reason, may_be_ours: false });
        let broken = Seen { failed, ..seen(200.0, 1) };
        assert_eq!(outcomes(&default, &broken), []);
        assert_eq!(told(&default, &broken), (Reading::Bad, "connection: connection refused".to_owned()));
    }

    #[test]
    fn conditions_judge_what_was_said_and_tell_it_without_secrets() {
        let redactor = Redactor::new(&Secrets([("key".to_owned(), Secret::new("open sesame"))].into()));
        let mut facts = Facts::of_probe(Timestamp::EPOCH, Arc::new(redactor));
        let body = r#"{"key": "open sesame", "password": "hunter2", "all": ["open sesame"], "sent": "sk_live_51HxyzAbCdEfGh"}"#;
        facts.set_tree("body", Tree::of_text(body.to_owned()));
        facts.set_tree("header", Tree::of_json(serde_json::json!({"set-cookie": "sid=abc, b=def"})));
        let seen =
            Raw { failed: None, facts, phases: Phases::default(), sample: Sample::default(), words: None }
                .seen();
        for (condition, says) in [
            ("body.key == 'open sesame' and body.password == 'hunter2'", ""),
            ("header.set-cookie contains 'sid=abc'", ""),
            ("body.key == 'x'", r#"body.key was "[secret]", wanted == "x""#),
            ("all(body.all[*]) == 'x'", r#"body.all[*] was "[secret]", wanted == "x""#),
            ("body.password == 'x'", r#"body.password was "[Filtered]", wanted == "x""#),
            ("body.sent == 'x'", r#"body.sent was "[Filtered]", wanted == "x""#),
            ("header.set-cookie == 'x'", r#"header.set-cookie was "[Filtered]", wanted == "x""#),
        ] {
            let told = outcomes(&checked(&[condition]), &seen).remove(0).fails;
            assert_eq!(told, says, "{condition}");
            assert_eq!(assess(&checked(&[condition]), &seen).reason, says);
        }
        let told = outcomes(&checked(&["body == 'x'"]), &seen).remove(0).fails;
        assert!(told.contains("[secret]") && !told.contains("hunter2"), "{told}");
    }
}
