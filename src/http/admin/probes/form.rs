//! The form of a probe read as a draft, and every refusal put beside the field that it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::Typed;
use super::kinds::{self, inputs, proposed_name};
use crate::base::owned::check_key;
use crate::base::text::{BadLine, plain_letters};
use crate::base::{ProjectId, Severity, span};
use crate::http::Problem;
use crate::http::admin::Wrongs;
use crate::http::problem::sentence;
use crate::probes::judge::{Policy, Refused, SaidPolicy};
use crate::probes::{Definition, Draft, Error, Invalid, Kind, Owner};

const KEY_CHARS: usize = 60;

/// What was typed, as a draft. `project` is the one that was chosen, where it was found.
pub(super) fn read(kind: Kind, typed: &Typed, project: Option<ProjectId>) -> Result<Draft, Wrongs> {
    let mut wrongs = Wrongs::default();
    let target = kinds::target(kind, typed, &mut wrongs);
    let policy = policy(kind, typed, &mut wrongs);
    let slow_after = optional(typed, "slow_after", &mut wrongs);
    let labels = labels(typed, &mut wrongs);
    let severity = typed.text("severity").parse().unwrap_or(Severity::High);
    if project.is_none() {
        wrongs.add("project", "Choose the project that it belongs to.");
    }
    let name = Some(typed.text("name").trim()).filter(|name| !name.is_empty()).map(str::to_owned);
    let name = name.or_else(|| target.as_ref().map(proposed_name)).unwrap_or_default();
    let typed_key = typed.text("key").trim();
    let key = if typed_key.is_empty() { key_of(&name, "probe") } else { typed_key.to_owned() };
    let (Some(target), Some(project), true) = (target, project, wrongs.is_empty()) else {
        return Err(wrongs);
    };
    let text = |name: &str| Some(typed.text(name).trim()).filter(|it| !it.is_empty()).map(str::to_owned);
    let mut definition = Definition::of(target);
    definition.conditions.clone_from(&typed.conditions);
    if definition.conditions == definition.target.default_conditions() {
        definition.conditions.clear();
    }
    definition.policy = policy;
    definition.slow_after = slow_after;
    definition.severity = severity;
    definition.rings = match typed.text("rings") {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    definition.runbook = text("runbook");
    definition.environment = text("environment");
    definition.labels = labels;
    let parents = typed.text("depends_on").split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
    let parents = parents.map(str::to_owned).collect();
    let secrets = typed.secrets.clone();
    Ok(Draft { key, name, project, definition, secrets, parents, owner: Owner::Page })
}

/// How often, how long, how many: what of it can be read; what is empty is as by default.
pub(super) fn policy(kind: Kind, typed: &Typed, wrongs: &mut Wrongs) -> Policy {
    let said = SaidPolicy {
        interval: optional(typed, "interval", wrongs),
        retry_interval: optional(typed, "retry_interval", wrongs),
        timeout: optional(typed, "timeout", wrongs),
        bad: number(typed, "bad", wrongs),
        of: number(typed, "of", wrongs),
        good: number(typed, "good", wrongs),
    };
    said.over(Definition::usual_policy(kind))
}

fn number(typed: &Typed, name: &'static str, wrongs: &mut Wrongs) -> Option<u8> {
    let text = typed.text(name).trim();
    if text.is_empty() {
        return None;
    }
    text.parse().map_err(|_| wrongs.add(name, format!("“{text}” is no whole number from 1 to 64."))).ok()
}

fn optional(typed: &Typed, name: &'static str, wrongs: &mut Wrongs) -> Option<Duration> {
    let text = typed.text(name).trim();
    if text.is_empty() {
        return None;
    }
    span::parse(text).map_err(|bad| wrongs.add(name, sentence(&bad.to_string()))).ok()
}

fn labels(typed: &Typed, wrongs: &mut Wrongs) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for line in typed.text("labels").lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                labels.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            Some(_) | None => {
                wrongs.add("labels", format!("“{line}” is no label: write name=value, one to a line."));
            }
        }
    }
    labels
}

/// A key made of a name: `Shop API (EU)` → `shop-api-eu`. What is no key by itself begins with `kind`.
pub(in crate::http::admin) fn key_of(name: &str, kind: &str) -> String {
    let mut key = String::new();
    for c in plain_letters(name).chars() {
        match c {
            'a'..='z' | '0'..='9' => key.push(c),
            _ if !key.is_empty() && !key.ends_with('-') => key.push('-'),
            _ => {}
        }
    }
    let key: String = key.chars().take(KEY_CHARS).collect();
    let key = key.trim_end_matches('-');
    if check_key(key).is_ok() {
        key.to_owned()
    } else {
        format!("{kind}-{key}").trim_end_matches('-').to_owned()
    }
}

/// What kept a draft from being saved, beside its field.
///
/// # Errors
/// What is no mistake in the form.
pub(super) fn told(kind: Kind, error: Error) -> Result<Wrongs, Problem> {
    let text = sentence(&error.to_string());
    let field = match &error {
        Error::BadKey(_) | Error::KeyTaken(_) => "key",
        Error::BadLine(
            BadLine::Empty { what } | BadLine::TooLong { what, .. } | BadLine::Hidden { what, .. },
        ) => match *what {
            "label" => "labels",
            "environment" => "environment",
            _ => "name",
        },
        Error::Invalid(invalid) => field_of(kind, invalid),
        Error::BadLabels => "labels",
        Error::BadRunbook => "runbook",
        Error::UnknownProject => "project",
        Error::UnknownParent(_) | Error::Cycle(_) | Error::TooDeep | Error::TooManyParents => "depends_on",
        Error::SecretMoves(_) | Error::SecretTooLong(_) => "secrets",
        Error::TooMany | Error::Sealing => "form",
        Error::NotFound
        | Error::OwnedByFile(_)
        | Error::Newer(_)
        | Error::NotPushed
        | Error::Accounts(_)
        | Error::Incidents(_)
        | Error::Store(_) => return Err(error.into()),
    };
    let text = text.strip_prefix("Depends_on: ").map(sentence).unwrap_or(text);
    Ok(Wrongs::one(field, text))
}

/// The field of the form that a definition was refused for.
pub(super) fn field_of(kind: Kind, invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::Condition { .. } | Invalid::TooManyConditions => "conditions",
        Invalid::Policy(refused) => match refused {
            Refused::Interval => "interval",
            Refused::RetryInterval => "retry_interval",
            Refused::Timeout => "timeout",
            Refused::Confirmation => "bad",
            Refused::Recovery => "good",
        },
        Invalid::Field { field, .. } => {
            let named = inputs(kind).iter().find(|input| input.member() == *field);
            named.map_or("form", |input| input.name)
        }
        Invalid::Secret(_) => "secrets",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_of_a_name() {
        for (name, key) in [
            ("Shop API (EU)", "shop-api-eu"),
            ("shop.example", "shop-example"),
            ("支払い", "probe"),
            ("New", "probe-new"),
            (&"x".repeat(100), &"x".repeat(60)),
        ] {
            assert_eq!(key_of(name, "probe"), key, "{name}");
            check_key(&key_of(name, "probe")).unwrap();
        }
    }

    #[test]
    fn what_is_left_empty_is_no_longer_than_the_interval() {
        let policy = |fields: &[(&str, &str)]| {
            let (mut typed, mut wrongs) = (Typed::default(), Wrongs::default());
            for (name, text) in fields {
                typed.set(name, *text);
            }
            let policy = policy(Kind::Http, &typed, &mut wrongs);
            assert!(wrongs.is_empty());
            policy
        };
        let quick = policy(&[("interval", "5s"), ("bad", "4")]);
        assert_eq!((quick.retry_interval, quick.timeout), (quick.interval, quick.interval));
        assert_eq!((quick.bad, quick.of, quick.check()), (4, 4, Ok(())));
        assert_eq!(policy(&[("interval", "10m")]).timeout, Duration::from_secs(10));
    }
}
