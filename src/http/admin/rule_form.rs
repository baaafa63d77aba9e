//! Rules in words, as fields, and read from a form again. Bounds are what makes sense for a small team; what is outside
//! them is told with its cure.

use std::time::Duration;

use super::form::{Fields, Wrongs};
use super::moments::span;
use super::wording::count;
use crate::base::Severity;
use crate::incidents::rules::{Rule, RuleChange, RuleFields, RuleKind, RuleParams};

/// The fields of a rule as text; `None` where its kind has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleDraft {
    pub(super) is_on: bool,
    /// Where a person may choose it.
    pub(super) severity: Option<String>,
    pub(super) threshold: Option<String>,
    pub(super) minutes: Option<String>,
    pub(super) least: Option<String>,
    pub(super) environments: Option<String>,
    pub(super) digest_hours: Option<String>,
    pub(super) metric: Option<String>,
    pub(super) above_ms: Option<String>,
}

const THRESHOLD_MAX: u32 = 1_000_000;
const MINUTES_MAX: u32 = 24 * 60;
const DIGEST_HOURS_MAX: u32 = 7 * 24;
const ABOVE_MS_MAX: u32 = 3_600_000;

pub(super) const fn name(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Critical => "Critical errors",
        RuleKind::NewIssue => "New issues",
        RuleKind::Regression => "Regressions",
        RuleKind::ErrorRate => "Error rate",
        RuleKind::SlowMetrics => "Slow queries",
        RuleKind::SelfTrouble => "tocsin itself",
    }
}

/// Whether a person chooses the severity: elsewhere it is the one built in.
const fn chooses_severity(kind: RuleKind) -> bool {
    match kind {
        RuleKind::Regression | RuleKind::ErrorRate | RuleKind::SlowMetrics | RuleKind::SelfTrouble => true,
        RuleKind::Critical | RuleKind::NewIssue => false,
    }
}

/// What a rule does, in plain words.
pub(super) fn sentence(rule: &Rule) -> String {
    let severity = rule.severity;
    let threshold = rule.threshold.map(number).unwrap_or_default();
    let window = rule.window.map(span).unwrap_or_default();
    match rule.kind {
        RuleKind::Critical => {
            "A critical error rings at once, whatever else is known of its issue.".to_owned()
        }
        RuleKind::NewIssue => {
            let said = rule.params.fields();
            let digest = match said.digest_first_hours.unwrap_or(0) {
                0 => String::new(),
                hours => format!(
                    " In a project's first {} they come as one digest.",
                    if hours == 1 { "hour".to_owned() } else { format!("{hours} hours") }
                ),
            };
            let from = match said.least_severity {
                None | Some(Severity::Low) => String::new(),
                Some(least) => format!(" with severity {least} or worse"),
            };
            format!("An issue that is seen for the first time{from} rings{}.{digest}", except(rule))
        }
        RuleKind::Regression => {
            format!("A resolved issue that comes back rings as {severity} or worse{}.", except(rule))
        }
        RuleKind::ErrorRate => {
            format!("More than {threshold} errors of a project within {window} ring as {severity}.")
        }
        RuleKind::SlowMetrics => {
            let said = rule.params.fields();
            let (metric, bound) =
                (said.metric.unwrap_or_default(), said.above_ms.map(number).unwrap_or_default());
            format!(
                "More than {threshold} {metric} metrics above {bound} ms within {window} ring as {severity}."
            )
        }
        RuleKind::SelfTrouble => {
            format!(
                "Trouble of tocsin itself rings, at most as {severity}: a full disk, a stuck outbox, slow writes."
            )
        }
    }
}

fn except(rule: &Rule) -> String {
    match rule.params.environments_excluded() {
        [] => String::new(),
        [one] => format!(", except in {one}"),
        [many @ .., last] => format!(", except in {} and {last}", many.join(", ")),
    }
}

/// `10`, `1,000`, `2.5`.
fn number(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "rules are bounded far below")]
    if value.fract() == 0.0 { count(value as i64) } else { value.to_string() }
}

impl RuleDraft {
    pub(super) fn of(rule: &Rule) -> Self {
        let known = rule.params.fields();
        Self {
            is_on: rule.enabled,
            severity: chooses_severity(rule.kind).then(|| rule.severity.to_string()),
            threshold: rule.threshold.map(|threshold| threshold.to_string()),
            minutes: rule.window.map(|window| (window.as_secs() / 60).to_string()),
            least: known.least_severity.map(|least| least.to_string()),
            environments: known.environments_excluded.map(|excluded| excluded.join(", ")),
            digest_hours: known.digest_first_hours.map(|hours| hours.to_string()),
            metric: known.metric,
            above_ms: known.above_ms.map(|bound| bound.to_string()),
        }
    }

    /// What was typed, in the fields that the kind has.
    pub(super) fn typed(kind: RuleKind, fields: &Fields) -> Self {
        let known = Self::of(&kind.built_in());
        let text = |field: Option<String>, name: &str| field.map(|_| fields.text(name).to_owned());
        Self {
            is_on: fields.is_on("on"),
            severity: text(known.severity, "severity"),
            threshold: text(known.threshold, "threshold"),
            minutes: text(known.minutes, "minutes"),
            least: text(known.least, "least"),
            environments: text(known.environments, "environments"),
            digest_hours: text(known.digest_hours, "digest_hours"),
            metric: text(known.metric, "metric"),
            above_ms: text(known.above_ms, "above_ms"),
        }
    }

    /// The rule that this describes.
    pub(super) fn read(&self, kind: RuleKind) -> Result<RuleChange, Wrongs> {
        let mut wrongs = Wrongs::default();
        let mut whole = |field, text: &Option<String>, (least, most): (u32, u32), unit: &str| {
            let text = text.as_deref()?;
            let value = text.parse::<u32>().ok().filter(|value| (least..=most).contains(value));
            if value.is_none() {
                let most = count(i64::from(most));
                wrongs.add(field, format!("A whole number from {least} to {most}{unit}."));
            }
            value
        };
        let threshold = whole("threshold", &self.threshold, (1, THRESHOLD_MAX), "");
        let minutes = whole("minutes", &self.minutes, (1, MINUTES_MAX), " minutes, which is a day");
        let digest_hours =
            whole("digest_hours", &self.digest_hours, (0, DIGEST_HOURS_MAX), " hours; 0 for no digest");
        let above_ms = whole("above_ms", &self.above_ms, (1, ABOVE_MS_MAX), " milliseconds");
        let severity = chosen("severity", self.severity.as_deref(), &mut wrongs);
        let least_severity = chosen("least", self.least.as_deref(), &mut wrongs);
        let environments_excluded = self.environments.as_deref().map(names);
        if environments_excluded
            .as_ref()
            .is_some_and(|names| names.len() > 50 || names.iter().any(|name| name.chars().count() > 200))
        {
            wrongs.add("environments", "At most 50 names of at most 200 characters.");
        }
        if self.metric.as_deref().is_some_and(|metric| metric.is_empty() || metric.chars().count() > 200) {
            wrongs.add("metric", "The type that metrics are reported with, such as database_query.");
        }
        let said = RuleFields {
            least_severity,
            environments_excluded,
            digest_first_hours: digest_hours,
            metric: self.metric.clone(),
            above_ms: above_ms.map(f64::from),
        };
        let params = RuleParams::of(kind, said).map_err(|error| wrongs.add("rule", error.to_string()));
        let (true, Ok(params)) = (wrongs.is_empty(), params) else { return Err(wrongs) };
        Ok(RuleChange {
            enabled: self.is_on,
            severity: severity.unwrap_or_else(|| kind.built_in().severity),
            threshold: threshold.map(f64::from),
            window: minutes.map(|minutes| Duration::from_mins(u64::from(minutes))),
            params,
        })
    }
}

fn names(text: &str) -> Vec<String> {
    text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn chosen(field: &'static str, text: Option<&str>, wrongs: &mut Wrongs) -> Option<Severity> {
    let severity = text?.parse().ok();
    if severity.is_none() {
        wrongs.add(field, "Choose low, medium, high or critical.");
    }
    severity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let owned: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        owned.into()
    }

    #[test]
    fn every_built_in_rule_survives_its_own_form() {
        for kind in RuleKind::ALL {
            let rule = kind.built_in();
            let change = RuleDraft::of(&rule).read(kind).unwrap();
            let read = (change.enabled, change.severity, change.threshold, change.window, change.params);
            assert_eq!(
                read,
                (rule.enabled, rule.severity, rule.threshold, rule.window, rule.params),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn rules_say_what_they_do() {
        let told = |kind: RuleKind| sentence(&kind.built_in());
        assert_eq!(told(RuleKind::ErrorRate), "More than 10 errors of a project within 5 min ring as high.");
        assert_eq!(
            told(RuleKind::SlowMetrics),
            "More than 5 database_query metrics above 1,000 ms within 1 h ring as high."
        );
        assert_eq!(
            told(RuleKind::NewIssue),
            "An issue that is seen for the first time with severity high or worse rings, except in development, test and \
             local. In a project's first 24 hours they come as one digest."
        );
    }

    #[test]
    fn what_is_out_of_bounds_is_told_with_its_cure() {
        let base = [("on", "1"), ("severity", "high"), ("threshold", "5"), ("minutes", "60")];
        let cases = [
            ("threshold", "0", "from 1 to 1,000,000"),
            ("threshold", "many", "whole number"),
            ("minutes", "1441", "a day"),
            ("severity", "loud", "Choose low"),
        ];
        for (field, value, cure) in cases {
            let mut pairs = base.to_vec();
            pairs.retain(|(name, _)| *name != field);
            pairs.push((field, value));
            let wrongs =
                RuleDraft::typed(RuleKind::ErrorRate, &fields(&pairs)).read(RuleKind::ErrorRate).unwrap_err();
            assert!(wrongs.of(field).contains(cure), "{field}={value}: {wrongs:?}");
        }
    }
}
