//! Overall health in the same four words everywhere: tocsin's own ([`own`]), and that of what it watches
//! ([`services`]).

pub mod own;
pub mod services;

use serde::{Deserialize, Serialize};

/// How something is; ordered, `Unhealthy` the worst. Nobody who is blind claims to be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Healthy,
    Unknown,
    Degraded,
    Unhealthy,
}

/// One part of a whole, with one line that says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartHealth {
    pub name: String,
    pub status: Health,
    pub text: String,
}

impl Health {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The worst of the parts; nothing to watch is healthy.
    pub fn of(parts: &[PartHealth]) -> Self {
        parts.iter().map(|part| part.status).max().unwrap_or(Self::Healthy)
    }
}

impl PartHealth {
    pub fn new(name: &str, status: Health, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), status, text: text.into() }
    }
}
