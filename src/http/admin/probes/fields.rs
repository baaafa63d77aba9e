//! What stands in the fields of the form: typed just now, or as a probe has it.

use std::collections::{BTreeMap, BTreeSet};

use super::kinds;
use crate::base::{Secret, span};
use crate::http::admin::Fields;
use crate::probes::secrets::is_name;
use crate::probes::{Definition, Kind, Probe, Secrets};

/// The fields of the form by their names. Secrets are apart: they are written and never shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    texts: BTreeMap<String, String>,
    pub(super) conditions: Vec<String>,
    pub(super) secrets: Secrets,
    /// The names of those that are stored: an empty field keeps them.
    pub(super) kept: BTreeSet<String>,
}

/// Every field that is no condition and no secret, beside those of the kind.
const COMMON: [&str; 16] = [
    "name",
    "key",
    "project",
    "interval",
    "timeout",
    "retry_interval",
    "bad",
    "of",
    "good",
    "slow_after",
    "severity",
    "rings",
    "runbook",
    "depends_on",
    "labels",
    "environment",
];
/// How the field of a secret is called, before the secret's name.
const SECRET: &str = "secret.";

impl Typed {
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    pub(super) fn set(&mut self, name: &str, text: impl Into<String>) {
        self.texts.insert(name.to_owned(), text.into());
    }

    /// Whether a secret of this name was typed or is kept.
    pub(super) fn has_secret(&self, name: &str) -> bool {
        self.secrets.0.contains_key(name) || self.kept.contains(name)
    }

    /// What was sent.
    pub(super) fn of_form(kind: Kind, fields: &Fields, kept: BTreeSet<String>) -> Self {
        let mut typed = Self { kept, ..Self::default() };
        for name in COMMON.into_iter().chain(kinds::inputs(kind).iter().map(|input| input.name)) {
            typed.set(name, fields.whole(name));
        }
        let conditions = fields.all("condition").map(str::trim).filter(|text| !text.is_empty());
        typed.conditions = conditions.map(str::to_owned).collect();
        let secrets = fields.beginning(SECRET).filter(|(name, text)| is_name(name) && !text.is_empty());
        typed.secrets.0 = secrets.map(|(name, text)| (name.to_owned(), Secret::new(text))).collect();
        typed
    }

    /// A definition that is not stored yet.
    pub(super) fn of_definition(definition: &Definition) -> Self {
        let mut typed = Self::default();
        typed.fill(definition);
        typed
    }

    /// A probe as it is stored, with the names of its secrets.
    pub(super) fn of_probe(probe: &Probe, parents: &[String], kept: BTreeSet<String>) -> Self {
        let mut typed = Self { kept, ..Self::default() };
        typed.fill(&probe.definition);
        typed.set("name", probe.name.clone());
        typed.set("key", probe.key.clone());
        typed.set("project", probe.project_slug.clone());
        typed.set("depends_on", parents.join(", "));
        typed
    }

    fn fill(&mut self, definition: &Definition) {
        for (name, text) in kinds::texts(&definition.target) {
            self.set(name, text);
        }
        let policy = &definition.policy;
        self.set("interval", span::format(policy.interval));
        self.set("timeout", span::format(policy.timeout));
        self.set("retry_interval", span::format(policy.retry_interval));
        self.set("bad", policy.bad.to_string());
        self.set("of", policy.of.to_string());
        self.set("good", policy.good.to_string());
        self.set("slow_after", definition.slow_after.map(span::format).unwrap_or_default());
        self.set("severity", definition.severity.as_str());
        self.set("rings", rings_word(definition.rings));
        self.set("runbook", definition.runbook.clone().unwrap_or_default());
        self.set("environment", definition.environment.clone().unwrap_or_default());
        let labels = definition.labels.iter().map(|(name, value)| format!("{name}={value}"));
        self.set("labels", labels.collect::<Vec<_>>().join("\n"));
        self.conditions = definition.asked();
    }
}

const fn rings_word(rings: Option<bool>) -> &'static str {
    match rings {
        None => "auto",
        Some(true) => "yes",
        Some(false) => "no",
    }
}
