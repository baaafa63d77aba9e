//! What a probe is: everything that a person, or a file, says of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Fault};
use super::judge::{Policy, Refused, SaidPolicy};
use super::kind::Kind;
use super::secrets::{self, Secrets};
use super::target::Target;
use crate::base::{Severity, span};

/// A definition as it is stored, without its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Definition {
    pub target: Target,
    /// All of them must hold; empty: what its target asks by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    pub policy: Policy,
    /// An answer that is right but takes longer makes it degraded.
    #[serde(with = "span::option", skip_serializing_if = "Option::is_none")]
    pub slow_after: Option<Duration>,
    /// Of its incident when it is unhealthy; one that is only degraded is at most medium.
    pub severity: Severity,
    /// Whether it rings by itself; nothing: unless a service needs only some of its kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rings: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Which preset it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
}

/// As somebody may write it: what is not said depends on what is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    target: Target,
    #[serde(default)]
    conditions: Vec<String>,
    #[serde(default)]
    policy: SaidPolicy,
    #[serde(default, with = "span::option")]
    slow_after: Option<Duration>,
    #[serde(default = "high")]
    severity: Severity,
    #[serde(default)]
    rings: Option<bool>,
    #[serde(default)]
    runbook: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    preset: Option<String>,
}

impl From<Written> for Definition {
    fn from(written: Written) -> Self {
        Self {
            policy: written.policy.over(Self::usual_policy(written.target.kind())),
            target: written.target,
            conditions: written.conditions,
            slow_after: written.slow_after,
            severity: written.severity,
            rings: written.rings,
            runbook: written.runbook,
            environment: written.environment,
            labels: written.labels,
            preset: written.preset,
        }
    }
}

/// A definition that can be carried out, with its conditions understood.
#[derive(Clone, Debug)]
pub struct Checked {
    pub definition: Definition,
    pub conditions: Vec<Condition>,
}

/// Why a definition cannot be. Each names its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("condition “{source_text}”: {fault}")]
    Condition { source_text: String, fault: Fault },
    #[error("at most {CONDITIONS_MAX} conditions")]
    TooManyConditions,
    #[error(transparent)]
    Policy(#[from] Refused),
    /// Of the target; `field` as it stands in a file.
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
    #[error(transparent)]
    Secret(#[from] secrets::Missing),
}

const CONDITIONS_MAX: usize = 20;

impl Definition {
    /// A definition of `target` with everything else as it is by default.
    pub fn of(target: Target) -> Self {
        Self {
            policy: Self::usual_policy(target.kind()),
            target,
            conditions: Vec::new(),
            slow_after: None,
            severity: high(),
            rings: None,
            runbook: None,
            environment: None,
            labels: BTreeMap::new(),
            preset: None,
        }
    }

    /// How often a kind is asked, and how many answers prove something, where nothing is said.
    pub fn usual_policy(kind: Kind) -> Policy {
        match kind {
            Kind::Push => Policy::of_reports(),
            _ => Policy::default(),
        }
    }

    pub const fn kind(&self) -> Kind {
        self.target.kind()
    }

    /// Its conditions, or what its target asks by itself.
    pub fn asked(&self) -> Vec<String> {
        if self.conditions.is_empty() {
            self.target.default_conditions().into_iter().map(str::to_owned).collect()
        } else {
            self.conditions.clone()
        }
    }

    /// Reads its conditions and checks everything that can be known without asking anybody.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(self, secrets: &Secrets) -> Result<Checked, Invalid> {
        self.policy.check()?;
        self.target.check()?;
        self.check_slow_after()?;
        if self.conditions.len() > CONDITIONS_MAX {
            return Err(Invalid::TooManyConditions);
        }
        let fields = self.kind().fields();
        let read = |source: &str| {
            Condition::parse(source, &fields)
                .map_err(|fault| Invalid::Condition { source_text: source.to_owned(), fault })
        };
        let conditions = self.asked().iter().map(|source| read(source)).collect::<Result<_, _>>()?;
        secrets.fill(&self.target)?;
        Ok(Checked { definition: self, conditions })
    }
}

impl Definition {
    fn check_slow_after(&self) -> Result<(), Invalid> {
        let (Some(slow_after), timeout) = (self.slow_after, self.policy.timeout) else { return Ok(()) };
        if !slow_after.is_zero() && slow_after < timeout {
            return Ok(());
        }
        let reason =
            format!("is more than 0 and less than the time limit, which is {}", span::format(timeout));
        Err(Invalid::Field { field: "slow_after", reason })
    }
}

const fn high() -> Severity {
    Severity::High
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(definition: serde_json::Value) -> Result<Checked, Invalid> {
        serde_json::from_value::<Definition>(definition).unwrap().check(&Secrets::default())
    }

    #[test]
    fn what_is_left_out_is_no_longer_than_the_interval() {
        let target = json!({"kind": "tcp", "host": "db", "port": 5432});
        let of = |policy: serde_json::Value| {
            checked(json!({"target": target, "policy": policy})).map(|it| it.definition.policy)
        };
        let quick = of(json!({"interval": "5s"})).unwrap();
        assert_eq!((quick.retry_interval, quick.timeout), (quick.interval, quick.interval));
        let usual = of(json!({"interval": "10m"})).unwrap();
        assert_eq!((usual.retry_interval, usual.timeout), (Duration::from_secs(10), Duration::from_secs(10)));
        assert_eq!(of(json!({"interval": "5s", "timeout": "6s"})), Err(Refused::Timeout.into()));
    }

    #[test]
    fn slow_lies_between_nothing_and_the_time_limit() {
        let slow_after = |text: &str| {
            let target = json!({"kind": "tcp", "host": "db", "port": 5432});
            checked(json!({"target": target, "slow_after": text}))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(slow_after("500ms"), Ok(()));
        let cure = "slow_after: is more than 0 and less than the time limit, which is 10s".to_owned();
        for refused in ["0s", "10s", "1h"] {
            assert_eq!(slow_after(refused), Err(cure.clone()), "{refused}");
        }
    }
}
