//! Rate-limit categories and the header that tells an SDK to hold something back.
//!
//! `X-Sentry-Rate-Limits: SECONDS:CATEGORY;CATEGORY:SCOPE:REASON`. SDKs obey it on every status, also on 200: that
//! is how tocsin switches off at the source what it cannot take yet.

use std::fmt;

use super::kind::ItemKind;
use crate::ledger::Category;

impl ItemKind {
    /// The category under which an item of this kind is counted in the ledger.
    pub const fn category(&self) -> Category {
        match self {
            Self::Event => Category::Error,
            Self::Transaction => Category::Transaction,
            Self::Span => Category::Span,
            Self::Log | Self::OtelLog => Category::LogItem,
            Self::TraceMetric => Category::TraceMetric,
            Self::Session | Self::Sessions => Category::Session,
            Self::Attachment => Category::Attachment,
            Self::Feedback | Self::UserReport => Category::Feedback,
            Self::CheckIn => Category::Monitor,
            Self::ClientReport => Category::Internal,
            Self::ReplayEvent | Self::ReplayRecording | Self::ReplayVideo => Category::Replay,
            Self::Profile => Category::Profile,
            Self::ProfileChunk => Category::ProfileChunk,
            Self::RawSecurity => Category::Security,
            Self::Unknown(_) => Category::Default,
        }
    }

    /// The categories to name so that SDKs stop sending this kind; empty where it must not be stopped.
    ///
    /// Errors, check-ins and client reports are never held back by a hint. `user_report` goes by `default` in
    /// JavaScript and an unknown kind by nothing: limiting `default` could stop messages, so neither gets a hint.
    const fn switched_off_by(&self) -> &'static [Category] {
        match self {
            Self::Transaction => &[Category::Transaction],
            Self::Span => &[Category::Span],
            Self::Log | Self::OtelLog => &[Category::LogItem],
            // JavaScript SDKs call it `metric`.
            Self::TraceMetric => &[Category::TraceMetric, Category::Metric],
            Self::Session | Self::Sessions => &[Category::Session],
            Self::Attachment => &[Category::Attachment],
            Self::Feedback => &[Category::Feedback],
            Self::ReplayEvent | Self::ReplayRecording | Self::ReplayVideo => &[Category::Replay],
            // JavaScript files chunks under `profile`, the others under `profile_chunk`.
            Self::Profile | Self::ProfileChunk => &[Category::Profile, Category::ProfileChunk],
            Self::RawSecurity => &[Category::Security],
            Self::Event | Self::CheckIn | Self::ClientReport | Self::UserReport | Self::Unknown(_) => &[],
        }
    }
}

/// For whom a limit holds. SDKs do not act on it; people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    Organization,
    Key,
}

impl LimitScope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Key => "key",
        }
    }
}

/// One limit; its `Display` is the value of `X-Sentry-Rate-Limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Also the value of `Retry-After` on a 429.
    pub retry_after_s: u32,
    /// Never empty: an empty list would stop client reports and check-ins too.
    categories: Vec<Category>,
    scope: LimitScope,
    /// A word of `[a-z_]`: `:`, `;`, `,` separate in this header.
    reason: &'static str,
}

/// How long an SDK holds back what tocsin cannot take yet. SDKs keep the longest limit they heard and cannot be
/// called back, so this is also how long they ignore an upgrade that supports the kind: ten minutes is soon enough
/// after an upgrade, and one request per process and kind in ten minutes costs nothing.
pub const UNSUPPORTED_HINT_S: u32 = 600;

impl RateLimit {
    /// The limit that goes with a 429 for error events. It stops errors and messages alone.
    pub fn events(retry_after_s: u32, scope: LimitScope, reason: &'static str) -> Self {
        Self { retry_after_s, categories: vec![Category::Default, Category::Error], scope, reason }
    }

    /// The limit that goes with a 429 for an envelope that holds no errors.
    /// Where there is nothing that may be held back it names what no SDK holds back: a 429 that named nothing
    /// would stop errors too.
    pub fn others<'a>(
        retry_after_s: u32,
        kinds: impl IntoIterator<Item = &'a ItemKind>,
        scope: LimitScope,
        reason: &'static str,
    ) -> Self {
        let mut categories = switched_off_by(kinds);
        if categories.is_empty() {
            categories.push(Category::Internal);
        }
        Self { retry_after_s, categories, scope, reason }
    }

    /// The hint on a 200 for an envelope that held kinds which are not supported yet; `None` where nothing can or
    /// may be switched off.
    pub fn unsupported<'a>(kinds: impl IntoIterator<Item = &'a ItemKind>) -> Option<Self> {
        let categories = switched_off_by(kinds);
        let reason = "not_supported_yet";
        (!categories.is_empty()).then_some(Self {
            retry_after_s: UNSUPPORTED_HINT_S,
            categories,
            scope: LimitScope::Organization,
            reason,
        })
    }
}

fn switched_off_by<'a>(kinds: impl IntoIterator<Item = &'a ItemKind>) -> Vec<Category> {
    let mut categories: Vec<Category> =
        kinds.into_iter().flat_map(|kind| kind.switched_off_by().iter().copied()).collect();
    categories.sort_unstable();
    categories.dedup();
    categories
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.retry_after_s)?;
        for (at, category) in self.categories.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ";" }, category.as_str())?;
        }
        write!(f, ":{}:{}", self.scope.as_str(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_sdks_read_them() {
        let limit = RateLimit::events(60, LimitScope::Key, "rate_limited");
        assert_eq!(limit.to_string(), "60:default;error:key:rate_limited");
    }

    #[test]
    fn unsupported_kinds_are_switched_off_once_each() {
        let kinds =
            [ItemKind::ReplayEvent, ItemKind::ReplayRecording, ItemKind::ProfileChunk, ItemKind::TraceMetric];
        let hint = RateLimit::unsupported(&kinds).unwrap().to_string();
        assert_eq!(
            hint,
            "600:replay;profile;profile_chunk;trace_metric;metric:organization:not_supported_yet"
        );
    }

    #[test]
    fn a_limit_on_other_kinds_never_holds_errors_back() {
        let limit =
            |kinds: &[ItemKind]| RateLimit::others(9, kinds, LimitScope::Key, "key_quota").to_string();
        assert_eq!(limit(&[ItemKind::Session, ItemKind::ClientReport]), "9:session:key:key_quota");
        let unnamed = [ItemKind::ClientReport, ItemKind::Unknown("nel".to_owned()), ItemKind::UserReport];
        assert_eq!(limit(&unnamed), "9:internal:key:key_quota");
    }

    #[test]
    fn errors_check_ins_and_client_reports_are_never_switched_off() {
        let kinds = ["event", "check_in", "client_report", "user_report", "statsd", ""].map(ItemKind::named);
        assert_eq!(RateLimit::unsupported(&kinds), None);
        for name in
            ["transaction", "span", "log", "session", "sessions", "attachment", "feedback", "replay_video"]
        {
            let hint = RateLimit::unsupported(&[ItemKind::named(name)]).unwrap().to_string();
            for never in ["default", "error", "internal", "monitor"] {
                assert!(!hint.contains(never), "{name}: {hint}");
            }
        }
    }
}
