//! A source as the fields of a form, and read from one again. What is wrong is told beside its field.

use super::fields::{filled, joined, labels, lines, number, time};
use super::scheme_form::SchemeDraft;
use crate::base::span;
use crate::http::Problem;
use crate::http::acts::Refused;
use crate::http::admin::Wrongs;
use crate::http::admin::form::Fields;
use crate::http::admin::probes::key_of;
use crate::http::problem::sentence;
use crate::webhooks::providers::Provider;
use crate::webhooks::source::{Answer, Definition};
use crate::webhooks::{Error, Invalid, Source};

/// The fields as text; a secret is never among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) project: String,
    pub(super) name: String,
    pub(super) key: String,
    pub(super) scheme: SchemeDraft,
    pub(super) url: String,
    /// Places, one to a line.
    pub(super) event_id: String,
    pub(super) event_type: String,
    pub(super) order_key: String,
    pub(super) answer_status: String,
    pub(super) answer_type: String,
    pub(super) answer_body: String,
    pub(super) body_bytes_max: String,
    pub(super) silent_after: String,
    pub(super) severity: String,
    pub(super) runbook: String,
    pub(super) environment: String,
    /// `name=value`, one to a line.
    pub(super) labels: String,
}

impl Draft {
    /// Of a source that is yet to be made.
    pub(super) fn new(provider: &Provider) -> Self {
        let name = if provider.id == "generic" { String::new() } else { provider.name.clone() };
        Self { name, scheme: SchemeDraft::new(), severity: "high".to_owned(), ..Self::default() }
    }

    pub(super) fn of(provider: &Provider, source: &Source) -> Self {
        let definition = &source.definition;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let answer = definition.answer.as_ref();
        Self {
            project: source.project_slug.clone(),
            name: source.name.clone(),
            key: source.key.clone(),
            scheme: SchemeDraft::of(provider, definition.scheme.as_ref()),
            url: text(&definition.url),
            event_id: definition.event_id.join("\n"),
            event_type: text(&definition.event_type),
            order_key: text(&definition.order_key),
            answer_status: answer.map(|answer| answer.status.to_string()).unwrap_or_default(),
            answer_type: answer.map(|answer| answer.content_type.clone()).unwrap_or_default(),
            answer_body: answer.map(|answer| answer.body.clone()).unwrap_or_default(),
            body_bytes_max: definition.body_bytes_max.map(|bytes| bytes.to_string()).unwrap_or_default(),
            silent_after: definition.silent_after.map(span::format).unwrap_or_default(),
            severity: definition.severity.to_string(),
            runbook: text(&definition.runbook),
            environment: text(&definition.environment),
            labels: joined(&definition.labels),
        }
    }

    /// What somebody typed, as it was typed.
    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            project: text("project"),
            name: text("name"),
            key: text("key"),
            scheme: SchemeDraft::typed(fields),
            url: text("url"),
            event_id: text("event_id"),
            event_type: text("event_type"),
            order_key: text("order_key"),
            answer_status: text("answer_status"),
            answer_type: text("answer_type"),
            answer_body: text("answer_body"),
            body_bytes_max: text("body_bytes_max"),
            silent_after: text("silent_after"),
            severity: text("severity"),
            runbook: text("runbook"),
            environment: text("environment"),
            labels: text("labels"),
        }
    }

    /// Its key, or one that is made of its name.
    pub(super) fn key_or_derived(&self) -> String {
        if self.key.is_empty() { key_of(&self.name, "hook") } else { self.key.clone() }
    }

    /// What it says of a source; `stored` is what it is now.
    ///
    /// # Errors
    /// Everything that is wrong, by field.
    pub(super) fn read(
        &self,
        provider: &Provider,
        stored: Option<&Definition>,
    ) -> Result<Definition, Wrongs> {
        let mut wrongs = Wrongs::default();
        if self.name.is_empty() {
            wrongs.add("name", "The name is empty: write one that people recognise.");
        }
        let was = stored.and_then(|stored| stored.scheme.as_ref());
        let definition = Definition {
            provider: provider.id.clone(),
            scheme: self.scheme.read(provider, was, &mut wrongs),
            url: filled(&self.url),
            event_id: lines(&self.event_id).map(str::to_owned).collect(),
            event_type: filled(&self.event_type),
            order_key: filled(&self.order_key),
            answer: self.answer(&mut wrongs),
            body_bytes_max: number("body_bytes_max", &self.body_bytes_max, &mut wrongs),
            silent_after: time("silent_after", &self.silent_after, &mut wrongs),
            severity: self.severity.parse().unwrap_or(crate::base::Severity::High),
            runbook: filled(&self.runbook),
            environment: filled(&self.environment),
            labels: labels(&self.labels, &mut wrongs),
        };
        check_all(definition.clone(), &mut wrongs);
        if wrongs.is_empty() { Ok(definition) } else { Err(wrongs) }
    }

    fn answer(&self, wrongs: &mut Wrongs) -> Option<Answer> {
        if self.answer_status.is_empty() && self.answer_type.is_empty() && self.answer_body.is_empty() {
            return None;
        }
        let status = number("answer_status", &self.answer_status, wrongs).unwrap_or(200);
        Some(Answer { status, body: self.answer_body.clone(), content_type: self.answer_type.clone() })
    }
}

/// A definition names one mistake at a time: each is noted and set aside until no other is found.
fn check_all(mut definition: Definition, wrongs: &mut Wrongs) {
    for _ in 0..FIELDS {
        let Err(invalid) = definition.check() else { return };
        let field = field_of(invalid.field);
        wrongs.add(field, sentence(&invalid.reason));
        set_aside(&mut definition, invalid.field);
    }
}

/// Each field can be wrong once.
const FIELDS: usize = 12;

fn field_of(field: &'static str) -> &'static str {
    match field {
        "answer.status" => "answer_status",
        "answer.body" => "answer_body",
        "answer.content_type" => "answer_type",
        "provider" => "form",
        other => other,
    }
}

fn set_aside(definition: &mut Definition, field: &str) {
    match field {
        "url" => definition.url = None,
        "event_id" => definition.event_id.clear(),
        "event_type" => definition.event_type = None,
        "order_key" => definition.order_key = None,
        "answer.status" | "answer.body" | "answer.content_type" => definition.answer = None,
        "body_bytes_max" => definition.body_bytes_max = None,
        "silent_after" => definition.silent_after = None,
        "runbook" => definition.runbook = None,
        "environment" => definition.environment = None,
        _ => definition.labels.clear(),
    }
}

/// What a person can mend of a source that was not saved.
///
/// # Errors
/// What no other form would mend.
pub(super) fn wrongs_of(refused: Refused<Error>) -> Result<Wrongs, Problem> {
    let field = match &refused {
        Refused::Draft(Error::KeyTaken(_) | Error::BadKey(_)) => "key",
        Refused::Draft(Error::BadLine(_)) => "name",
        Refused::Draft(Error::Invalid(Invalid { field, .. })) => field_of(field),
        Refused::Draft(
            Error::BadSecret(_)
            | Error::SecretTooLong
            | Error::TooManySecrets
            | Error::SecretTwice(_)
            | Error::NoSecret
            | Error::LastSecret(_),
        ) => "secret",
        Refused::Draft(Error::SecretTold(_)) => "scheme",
        Refused::Draft(Error::TooManySources | Error::Sealing(_)) => "form",
        Refused::Draft(_) | Refused::Stale(_) | Refused::Problem(_) => return Err(refused.into()),
    };
    Ok(Wrongs::one(field, says(refused)))
}

/// A mistake without the name of its field, at which it stands.
pub(super) fn says(refused: Refused<Error>) -> String {
    match refused {
        Refused::Draft(Error::Invalid(invalid)) => sentence(&invalid.reason),
        other => Problem::from(other).detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::providers;

    #[test]
    fn a_new_source_is_as_its_provider_has_it() {
        let stripe = providers::find("stripe").unwrap();
        let draft = Draft::new(stripe);
        assert_eq!((draft.name.as_str(), draft.key_or_derived().as_str()), ("Stripe", "stripe"));
        let read = draft.read(stripe, None).unwrap();
        let plain: Definition = serde_json::from_str(r#"{"provider":"stripe"}"#).unwrap();
        assert_eq!(read, plain);
    }

    #[test]
    fn every_mistake_stands_at_its_field() {
        let generic = providers::find("generic").unwrap();
        let text = str::to_owned;
        let draft = Draft {
            url: text("ftp://x"),
            event_id: text("no header"),
            order_key: text("customer"),
            answer_status: text("500"),
            body_bytes_max: text("many"),
            silent_after: text("1s"),
            runbook: text("javascript:alert(1)"),
            environment: "x".repeat(101),
            labels: text("team"),
            ..Draft::new(generic)
        };
        let wrongs = draft.read(generic, None).unwrap_err();
        for (field, says) in [
            ("name", "empty"),
            ("url", "begins with https://"),
            ("event_id", "/data/id"),
            ("order_key", "/"),
            ("answer_status", "200 to 299"),
            ("body_bytes_max", "whole number"),
            ("silent_after", "between"),
            ("runbook", "http"),
            ("environment", "100"),
            ("labels", "name=value"),
        ] {
            assert!(wrongs.of(field).contains(says), "{field}: {}", wrongs.of(field));
        }
    }
}
