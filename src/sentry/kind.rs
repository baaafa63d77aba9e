//! The kinds of items that an envelope may hold.

use crate::base::text::clip;

/// What an item is. Names of legacy and internal items (`statsd`, `nel` …) count as unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemKind {
    Event,
    Transaction,
    Span,
    Log,
    OtelLog,
    TraceMetric,
    Session,
    Sessions,
    Attachment,
    Feedback,
    UserReport,
    CheckIn,
    ClientReport,
    ReplayEvent,
    ReplayRecording,
    ReplayVideo,
    Profile,
    ProfileChunk,
    /// A CSP or other browser report.
    RawSecurity,
    /// The name as sent, at most 40 characters.
    Unknown(String),
}

/// What is kept of a name nobody knows.
const NAME_CHARS_MAX: usize = 40;

impl ItemKind {
    /// The kind of this `type`, as the protocol writes it.
    pub fn named(name: &str) -> Self {
        match name {
            "event" => Self::Event,
            "transaction" => Self::Transaction,
            "span" => Self::Span,
            "log" => Self::Log,
            "otel_log" => Self::OtelLog,
            "trace_metric" | "metric" => Self::TraceMetric,
            "session" => Self::Session,
            "sessions" => Self::Sessions,
            "attachment" => Self::Attachment,
            "feedback" => Self::Feedback,
            "user_report" => Self::UserReport,
            "check_in" => Self::CheckIn,
            "client_report" => Self::ClientReport,
            "replay_event" => Self::ReplayEvent,
            "replay_recording" => Self::ReplayRecording,
            "replay_video" => Self::ReplayVideo,
            "profile" => Self::Profile,
            "profile_chunk" | "profile_chunk_ui" => Self::ProfileChunk,
            "raw_security" => Self::RawSecurity,
            other => Self::Unknown(clip(other, NAME_CHARS_MAX).into_owned()),
        }
    }

    /// The protocol's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Event => "event",
            Self::Transaction => "transaction",
            Self::Span => "span",
            Self::Log => "log",
            Self::OtelLog => "otel_log",
            Self::TraceMetric => "trace_metric",
            Self::Session => "session",
            Self::Sessions => "sessions",
            Self::Attachment => "attachment",
            Self::Feedback => "feedback",
            Self::UserReport => "user_report",
            Self::CheckIn => "check_in",
            Self::ClientReport => "client_report",
            Self::ReplayEvent => "replay_event",
            Self::ReplayRecording => "replay_recording",
            Self::ReplayVideo => "replay_video",
            Self::Profile => "profile",
            Self::ProfileChunk => "profile_chunk",
            Self::RawSecurity => "raw_security",
            Self::Unknown(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_keeps_its_name_and_an_unknown_one_is_clipped() {
        for name in ["event", "sessions", "replay_recording", "nel", ""] {
            assert_eq!(ItemKind::named(name).as_str(), name);
        }
        assert_eq!(ItemKind::named("profile_chunk_ui"), ItemKind::ProfileChunk);
        assert_eq!(ItemKind::named(&"x".repeat(100)).as_str().chars().count(), NAME_CHARS_MAX);
    }
}
