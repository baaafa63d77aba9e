//! The reasons and categories of the ledger. Both sets are closed, so that a client cannot grow the table.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Why something was not kept, or not kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A filter that somebody set refused it.
    Filtered,
    /// Counted in its issue; the payload was not kept because the issue has enough of them.
    Sampled,
    /// The payload was removed to stay inside the byte budget.
    Evicted,
    /// The key's quota was used up.
    OverLimit,
    /// tocsin does not understand this kind of item yet.
    NotSupportedYet,
    Invalid,
    TooLarge,
    /// The same id was sent before; counted once.
    Duplicate,
    /// Refused before the write because too much was waiting.
    Busy,
    /// The key is unknown or revoked.
    UnknownKey,
    /// The SDK dropped it before sending and said so in a client report.
    Client(ClientReason),
}

/// A reason from an SDK's client report, one of a known list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientReason(&'static str);

/// What SDKs send (develop.sentry.dev, client reports), the last for what they may invent.
const CLIENT_REASONS: [&str; 15] = [
    "backpressure",
    "before_send",
    "buffer_overflow",
    "cache_overflow",
    "event_processor",
    "ignored",
    "insufficient_data",
    "internal_sdk_error",
    "network_error",
    "no_parent_span",
    "queue_overflow",
    "ratelimit_backoff",
    "sample_rate",
    "send_error",
    OTHER_CLIENT_REASON,
];
const OTHER_CLIENT_REASON: &str = "other";
const CLIENT_PREFIX: &str = "client:";

impl ClientReason {
    /// The known reason of this name, else `other`.
    pub fn known_or_other(text: &str) -> Self {
        Self(CLIENT_REASONS.into_iter().find(|known| *known == text).unwrap_or(OTHER_CLIENT_REASON))
    }
}

impl Reason {
    /// The reasons of tocsin's own, which are all but the SDKs'.
    pub const OWN: [Self; 10] = [
        Self::Filtered,
        Self::Sampled,
        Self::Evicted,
        Self::OverLimit,
        Self::NotSupportedYet,
        Self::Invalid,
        Self::TooLarge,
        Self::Duplicate,
        Self::Busy,
        Self::UnknownKey,
    ];

    /// The word without the `client:` that an SDK's reason carries.
    const fn word(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Sampled => "sampled",
            Self::Evicted => "evicted",
            Self::OverLimit => "over_limit",
            Self::NotSupportedYet => "not_supported_yet",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Duplicate => "duplicate",
            Self::Busy => "busy",
            Self::UnknownKey => "unknown_key",
            Self::Client(ClientReason(word)) => word,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Client(_) = self {
            f.write_str(CLIENT_PREFIX)?;
        }
        f.write_str(self.word())
    }
}

/// The text is no reason of the ledger.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reason of the ledger")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(CLIENT_PREFIX) {
            Some(word) => Ok(Self::Client(ClientReason::known_or_other(word))),
            None => Self::OWN.into_iter().find(|reason| reason.word() == text).ok_or(UnknownReason),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What kind of data it was: Sentry's data categories, and tocsin's own `metric` and `deploy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    Error,
    Transaction,
    Span,
    Session,
    Attachment,
    Replay,
    Profile,
    ProfileChunk,
    ProfileChunkUi,
    Monitor,
    Feedback,
    LogItem,
    LogByte,
    TraceMetric,
    TraceMetricByte,
    MetricBucket,
    Security,
    Internal,
    Metric,
    Deploy,
    /// Anything else.
    Default,
}

impl Category {
    pub const ALL: [Self; 21] = [
        Self::Error,
        Self::Transaction,
        Self::Span,
        Self::Session,
        Self::Attachment,
        Self::Replay,
        Self::Profile,
        Self::ProfileChunk,
        Self::ProfileChunkUi,
        Self::Monitor,
        Self::Feedback,
        Self::LogItem,
        Self::LogByte,
        Self::TraceMetric,
        Self::TraceMetricByte,
        Self::MetricBucket,
        Self::Security,
        Self::Internal,
        Self::Metric,
        Self::Deploy,
        Self::Default,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Transaction => "transaction",
            Self::Span => "span",
            Self::Session => "session",
            Self::Attachment => "attachment",
            Self::Replay => "replay",
            Self::Profile => "profile",
            Self::ProfileChunk => "profile_chunk",
            Self::ProfileChunkUi => "profile_chunk_ui",
            Self::Monitor => "monitor",
            Self::Feedback => "feedback",
            Self::LogItem => "log_item",
            Self::LogByte => "log_byte",
            Self::TraceMetric => "trace_metric",
            Self::TraceMetricByte => "trace_metric_byte",
            Self::MetricBucket => "metric_bucket",
            Self::Security => "security",
            Self::Internal => "internal",
            Self::Metric => "metric",
            Self::Deploy => "deploy",
            Self::Default => "default",
        }
    }

    /// The category of this name, else [`Category::Default`]: SDKs may invent more.
    pub fn known_or_default(text: &str) -> Self {
        Self::ALL.into_iter().find(|category| category.as_str() == text).unwrap_or(Self::Default)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reasons_and_categories_read_back_as_written() {
        let client = CLIENT_REASONS.into_iter().map(|word| Reason::Client(ClientReason(word)));
        for reason in Reason::OWN.into_iter().chain(client) {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        for category in Category::ALL {
            assert_eq!(Category::known_or_default(category.as_str()), category);
        }
        assert_eq!("client:my_own_idea".parse::<Reason>().unwrap().to_string(), "client:other");
    }

    proptest! {
        #[test]
        fn whatever_a_client_says_the_names_stay_few(text in "\\PC{0,40}") {
            let reason = Reason::Client(ClientReason::known_or_other(&text));
            prop_assert!(CLIENT_REASONS.contains(&reason.word()));
            prop_assert!(Category::ALL.contains(&Category::known_or_default(&text)));
        }
    }
}
