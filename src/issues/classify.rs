//! What sort of trouble an error is, and how much it matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::head::{EventHead, Level};
use crate::base::Severity;

/// The sort of an error, in the words that applications use for theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Resources and dependencies of its own: database, disk, memory.
    Operational,
    /// Somebody else's service.
    Integration,
    Authentication,
    Validation,
    RateLimit,
    /// A rule of the business said no.
    Business,
    /// A fault in the program; everything that says nothing else.
    System,
}

impl Class {
    pub const ALL: [Self; 7] = [
        Self::Operational,
        Self::Integration,
        Self::Authentication,
        Self::Validation,
        Self::RateLimit,
        Self::Business,
        Self::System,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operational => "operational",
            Self::Integration => "integration",
            Self::Authentication => "authentication",
            Self::Validation => "validation",
            Self::RateLimit => "rate_limit",
            Self::Business => "business",
            Self::System => "system",
        }
    }

    /// Reads an error's type by its last word: `stripe.error.RateLimitError` is a rate limit.
    pub fn of_type(error_type: &str) -> Option<Self> {
        const NAMES: [(&str, Class); 7] = [
            ("OperationalError", Class::Operational),
            ("IntegrationError", Class::Integration),
            ("AuthenticationError", Class::Authentication),
            ("ValidationError", Class::Validation),
            ("RateLimitError", Class::RateLimit),
            ("BusinessException", Class::Business),
            ("BusinessError", Class::Business),
        ];
        NAMES.into_iter().find(|(name, _)| error_type.ends_with(name)).map(|(_, class)| class)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is the name of no class.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of operational, integration, authentication, validation, rate_limit, business, system")]
pub struct UnknownClass;

impl FromStr for Class {
    type Err = UnknownClass;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(UnknownClass)
    }
}

/// The class that the application names (`extra.class`, tag `class`), else that of the nearest exception whose type
/// names one, thrown before cause; else `system`.
pub fn class(head: &EventHead<'_>) -> Class {
    let tag = head.tags.iter().find(|(name, _)| name == "class").map(|(_, value)| value.as_ref());
    let named = [head.extra.class.as_deref(), tag].into_iter().flatten().find_map(|name| name.parse().ok());
    let types = || head.exceptions.iter().rev().filter_map(|exception| exception.error_type.as_deref());
    named.or_else(|| types().find_map(Class::of_type)).unwrap_or(Class::System)
}

/// The severity that the application names (`extra.severity`, tag `severity`), else that of the level.
pub fn severity(head: &EventHead<'_>) -> Severity {
    let tag = head.tags.iter().find(|(name, _)| name == "severity").map(|(_, value)| value.as_ref());
    let named = [head.extra.severity.as_deref(), tag].into_iter().flatten();
    let named = named.map(str::to_ascii_lowercase).find_map(|name| name.parse().ok());
    named.unwrap_or_else(|| severity_of(head.level()))
}

pub const fn severity_of(level: Level) -> Severity {
    match level {
        Level::Debug | Level::Info => Severity::Low,
        Level::Warning => Severity::Medium,
        Level::Error => Severity::High,
        Level::Fatal => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_says_goes_before_what_the_type_says() {
        let table = [
            (r#"{"extra":{"class":"rate-limit"},"exception":{"type":"ValidationError"}}"#, Class::RateLimit),
            (r#"{"tags":{"class":"Business"}}"#, Class::Business),
            (r#"{"extra":{"class":{"a":1}},"exception":{"type":"ValidationError"}}"#, Class::Validation),
            (r#"{"exception":[{"type":"OperationalError"},{"type":"Error"}]}"#, Class::Operational),
            (
                r#"{"exception":[{"type":"OperationalError"},{"type":"stripe.RateLimitError"}]}"#,
                Class::RateLimit,
            ),
            (r#"{"exception":{"type":"AuthenticationError"}}"#, Class::Authentication),
            (r#"{"exception":{"type":"IntegrationError"}}"#, Class::Integration),
            (r#"{"exception":{"type":"BusinessException"}}"#, Class::Business),
            (r#"{"exception":{"type":"TypeError"}}"#, Class::System),
        ];
        for (json, expected) in table {
            let head = EventHead::parse(json).unwrap();
            assert_eq!(class(&head), expected, "{json}");
            assert_eq!(head.warnings, [], "{json}");
        }
    }

    #[test]
    fn levels_give_severities_unless_the_application_says_more() {
        let table = [
            (r#"{"level":"info"}"#, Severity::Low),
            (r#"{"level":"warning"}"#, Severity::Medium),
            (r"{}", Severity::High),
            (r#"{"level":"fatal"}"#, Severity::Critical),
            (r#"{"level":"info","extra":{"severity":"Critical"}}"#, Severity::Critical),
            (r#"{"level":"info","extra":{"severity":"loud"}}"#, Severity::Low),
        ];
        for (json, expected) in table {
            assert_eq!(severity(&EventHead::parse(json).unwrap()), expected, "{json}");
        }
    }
}
