//! The values of a rule that only some kinds know.

use serde::{Deserialize, Serialize};

use super::{Error, RuleKind};
use crate::base::Severity;

/// What only some kinds know; a kind has always the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "RuleFields")]
pub enum RuleParams {
    /// Of critical errors, the error rate, and tocsin itself.
    None,
    NewIssue {
        /// Only from this severity on.
        least_severity: Severity,
        environments_excluded: Vec<String>,
        /// A project's first hours give one digest; 0: none does.
        digest_first_hours: u32,
    },
    Regression {
        environments_excluded: Vec<String>,
    },
    SlowMetrics {
        /// The metric's type.
        metric: String,
        /// A point above this counts.
        above_ms: f64,
    },
}

/// The same by name, as files, forms and the store have it: there only is what was said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environments_excluded: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest_first_hours: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above_ms: Option<f64>,
}

impl RuleParams {
    /// What was said of a rule of this kind; the rest is as built in.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first value that the kind does not know.
    pub fn of(kind: RuleKind, mut said: RuleFields) -> Result<Self, Error> {
        let params = match kind.built_in().params {
            Self::None => Self::None,
            Self::NewIssue { least_severity, environments_excluded, digest_first_hours } => Self::NewIssue {
                least_severity: said.least_severity.take().unwrap_or(least_severity),
                environments_excluded: said.environments_excluded.take().unwrap_or(environments_excluded),
                digest_first_hours: said.digest_first_hours.take().unwrap_or(digest_first_hours),
            },
            Self::Regression { environments_excluded } => Self::Regression {
                environments_excluded: said.environments_excluded.take().unwrap_or(environments_excluded),
            },
            Self::SlowMetrics { metric, above_ms } => Self::SlowMetrics {
                metric: said.metric.take().unwrap_or(metric),
                above_ms: said.above_ms.take().unwrap_or(above_ms),
            },
        };
        match said.first_name() {
            None => Ok(params),
            Some(name) => Err(Error::Invalid(format!("{name}: not for the rule {}", kind.as_str()))),
        }
    }

    /// Every value by its name.
    pub fn fields(&self) -> RuleFields {
        let mut fields = RuleFields::default();
        match self {
            Self::None => {}
            Self::NewIssue { least_severity, environments_excluded, digest_first_hours } => {
                fields.least_severity = Some(*least_severity);
                fields.environments_excluded = Some(environments_excluded.clone());
                fields.digest_first_hours = Some(*digest_first_hours);
            }
            Self::Regression { environments_excluded } => {
                fields.environments_excluded = Some(environments_excluded.clone());
            }
            Self::SlowMetrics { metric, above_ms } => {
                fields.metric = Some(metric.clone());
                fields.above_ms = Some(*above_ms);
            }
        }
        fields
    }

    /// As it lies in the store; what a newer program wrote there, or nobody can read, is as built in.
    pub(in crate::incidents) fn stored(kind: RuleKind, json: serde_json::Value) -> Self {
        let said = serde_json::from_value(json).unwrap_or_default();
        Self::of(kind, said).unwrap_or_else(|_| kind.built_in().params)
    }

    /// Where the rule does not look.
    pub fn environments_excluded(&self) -> &[String] {
        match self {
            Self::NewIssue { environments_excluded, .. } | Self::Regression { environments_excluded } => {
                environments_excluded
            }
            Self::None | Self::SlowMetrics { .. } => &[],
        }
    }
}

impl From<RuleParams> for RuleFields {
    fn from(params: RuleParams) -> Self {
        params.fields()
    }
}

impl RuleFields {
    fn first_name(&self) -> Option<&'static str> {
        let said = [
            ("least_severity", self.least_severity.is_some()),
            ("environments_excluded", self.environments_excluded.is_some()),
            ("digest_first_hours", self.digest_first_hours.is_some()),
            ("metric", self.metric.is_some()),
            ("above_ms", self.above_ms.is_some()),
        ];
        said.into_iter().find(|(_, is_said)| *is_said).map(|(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_built_in_and_what_a_kind_does_not_know_is_named() {
        for kind in RuleKind::ALL {
            let built_in = kind.built_in().params;
            assert_eq!(RuleParams::of(kind, RuleFields::default()).unwrap(), built_in);
            let stored = serde_json::to_value(built_in.fields()).unwrap();
            assert_eq!(RuleParams::stored(kind, stored), built_in);
        }
        let everywhere = RuleFields { environments_excluded: Some(Vec::new()), ..RuleFields::default() };
        let params = RuleParams::of(RuleKind::Regression, everywhere.clone()).unwrap();
        assert_eq!(params.environments_excluded(), [""; 0], "an empty list is said, too");
        let stored = serde_json::to_value(params.fields()).unwrap();
        assert_eq!(RuleParams::stored(RuleKind::Regression, stored), params);
        let refused = RuleParams::of(RuleKind::ErrorRate, everywhere).unwrap_err().to_string();
        assert!(refused.starts_with("environments_excluded: "), "{refused}");
    }
}
