//! An event on its way to the writer: everything that can be computed before the commit is.

use super::dictionaries::Dictionaries;
use super::frame::crash_frame;
use super::sketch::user_hash;
use super::{Class, EventHead, Grouping, Level, Payload, classify, title};
use crate::base::text::clip;
use crate::base::{EventId, ProjectId, Severity, Timestamp, TraceId, TraceKey};
use crate::ledger::Outcome;
use crate::scrub::{ScrubError, Scrubber, Warning};

/// A parsed, scrubbed, grouped and compressed event of one project.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub project: ProjectId,
    pub event: EventId,
    pub received_at: Timestamp,
    /// When it happened, by the client's clock, brought into a believable range.
    pub timestamp: Timestamp,
    pub level: Level,
    pub severity: Severity,
    pub class: Class,
    pub platform: String,
    pub environment: String,
    pub release: Option<String>,
    /// A hash of whoever was affected; `None` where the event names nobody.
    pub user: Option<u64>,
    pub title: String,
    pub culprit: String,
    /// Where a person should look first.
    pub frame: Option<TopFrame>,
    /// The number of the delivery of a webhook that it came of: its trace is one that tocsin began.
    pub delivery: Option<i64>,
    pub grouping: Grouping,
    pub payload: Payload,
    /// Lines for the ledger that came in the same request: one submission, one commit, and counted once with the event
    /// where it is sent again.
    pub beside: Vec<Outcome>,
}

/// The frame that a message names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TopFrame {
    pub function: Option<String>,
    pub file: Option<String>,
    pub line: Option<i64>,
}

/// What the edge knows beside the event itself.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub project: ProjectId,
    pub received_at: Timestamp,
    /// The id of the envelope header, which beats the payload's.
    pub event: Option<EventId>,
    /// Used where neither names one.
    pub fallback_event: EventId,
    /// The most a key of this kind may claim.
    pub severity_max: Severity,
}

/// Sentry's rule: an event may be 30 days old, and one minute ahead of the receiver.
const AGE_MAX: std::time::Duration = std::time::Duration::from_hours(30 * 24);
/// A message shows a path, not a bundle's whole address.
const FRAME_TEXT_CHARS_MAX: usize = 200;
const AHEAD_MAX: std::time::Duration = std::time::Duration::from_mins(1);

/// What a payload's own `type` may say that is no error; every other name counts as one, lest it be lost. Sources:
/// `EventType` of Sentry's Relay, and recorded traffic for `feedback`.
const OTHER_TYPES: [&str; 7] =
    ["transaction", "feedback", "user_report_v2", "csp", "hpkp", "expectct", "expectstaple"];

/// What every event is prepared with.
#[derive(Default)]
pub struct Tools {
    pub scrubber: Scrubber,
    pub dictionaries: Dictionaries,
    /// Knows the traces that tocsin began; `None`: none are looked for.
    pub traces: Option<TraceKey>,
}

/// Why an event could not be taken at all.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the event is not usable JSON: {0}")]
    Event(String),
    /// It stands where errors stand, but says that it is none.
    #[error("the event is a {0}, not an error")]
    OtherType(&'static str),
    #[error("the event is too large: {0}")]
    TooLarge(String),
    #[error("the payload could not be compressed: {0}")]
    Compress(#[source] std::io::Error),
}

impl Tools {
    fn delivery_of(&self, head: &EventHead<'_>) -> Option<i64> {
        let (traces, trace) = (self.traces.as_ref()?, head.contexts.trace.trace_id.as_deref()?);
        traces.find(TraceId::parse(trace)?)
    }
}

impl Incoming {
    /// Scrubs, reads, groups and compresses the JSON of one event.
    pub fn prepare(origin: &Origin, tools: &Tools, json: &[u8]) -> Result<Self, PrepareError> {
        Self::prepare_warned(origin, tools, json, Vec::new())
    }

    /// As [`Self::prepare`], for an event that was made of something else: `warnings` tell what was lost on the way.
    pub fn prepare_warned(
        origin: &Origin,
        tools: &Tools,
        json: &[u8],
        warnings: Vec<Warning>,
    ) -> Result<Self, PrepareError> {
        let mut scrubbed = tools.scrubber.event(json).map_err(|error| match error {
            ScrubError::TooLarge { .. } => PrepareError::TooLarge(error.to_string()),
            ScrubError::Ended { .. } | ScrubError::Syntax { .. } | ScrubError::NotAnObject => {
                PrepareError::Event(error.to_string())
            }
        })?;
        scrubbed.warnings.splice(0..0, warnings);
        let text =
            std::str::from_utf8(&scrubbed.json).map_err(|error| PrepareError::Event(error.to_string()))?;
        let head = EventHead::parse(text).map_err(|error| PrepareError::Event(error.to_string()))?;
        let head = &head;
        if let Some(other) = other_type(head) {
            return Err(PrepareError::OtherType(other));
        }
        let timestamp = believable(head.timestamp.unwrap_or(origin.received_at), origin.received_at);
        let grouping = super::group(head);
        let dictionary = tools.dictionaries.find(origin.project, grouping.key);
        Ok(Self {
            project: origin.project,
            event: origin.event.or(head.event_id).unwrap_or(origin.fallback_event),
            received_at: origin.received_at,
            timestamp,
            level: head.level(),
            severity: classify::severity(head).min(origin.severity_max),
            class: classify::class(head),
            platform: head.platform().to_owned(),
            environment: head.environment().to_owned(),
            release: head.release.as_deref().map(str::to_owned),
            user: user_hash(&head.user),
            title: title::title(head),
            culprit: title::culprit(head),
            frame: top_frame(head),
            delivery: tools.delivery_of(head),
            grouping,
            payload: Payload::of(&scrubbed, dictionary).map_err(PrepareError::Compress)?,
            beside: Vec::new(),
        })
    }
}

impl Incoming {
    /// What the event holds in memory, about.
    pub fn bytes(&self) -> usize {
        let texts = [&self.platform, &self.environment, &self.title, &self.culprit];
        let named = self.frame.iter().flat_map(|frame| [&frame.function, &frame.file]);
        let told = named.chain([&self.release]).flatten();
        let texts =
            texts.into_iter().chain(told).map(String::len).sum::<usize>() + self.grouping.reason.bytes();
        size_of::<Self>() + self.payload.bytes.len() + texts + size_of_val(self.beside.as_slice())
    }
}

fn other_type(head: &EventHead<'_>) -> Option<&'static str> {
    let named = head.event_type.as_deref()?;
    OTHER_TYPES.into_iter().find(|other| *other == named)
}

fn top_frame(head: &EventHead<'_>) -> Option<TopFrame> {
    let frames = head.thrown().map_or(&[][..], |thrown| &thrown.stacktrace.frames);
    let frame = crash_frame(if frames.is_empty() { head.bare_stack() } else { frames })?;
    let text = |text: &Option<std::borrow::Cow<'_, str>>| {
        text.as_deref().map(|text| clip(text, FRAME_TEXT_CHARS_MAX).into_owned())
    };
    Some(TopFrame {
        function: text(&frame.function),
        file: text(&frame.filename),
        line: frame.lineno.filter(|line| *line > 0),
    })
}

fn believable(at: Timestamp, received_at: Timestamp) -> Timestamp {
    at.clamp(received_at - AGE_MAX, received_at + AHEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::RAW_BYTES_MAX;

    fn prepared(json: &str) -> Result<Incoming, PrepareError> {
        let origin = Origin {
            project: ProjectId(1),
            received_at: Timestamp::from_secs(1_700_000_000),
            event: None,
            fallback_event: EventId([7; 16]),
            severity_max: Severity::Critical,
        };
        Incoming::prepare(&origin, &Tools::default(), json.as_bytes())
    }

    #[test]
    fn what_waits_is_counted_with_its_reason_and_its_frame() {
        let with = |function: &str| {
            let frame = format!(r#"{{"function":"{function}","filename":"a.py","in_app":true}}"#);
            prepared(&format!(
                r#"{{"exception":{{"values":[{{"type":"E","value":"v","stacktrace":{{"frames":[{frame}]}}}}]}}}}"#
            ))
            .unwrap()
        };
        let (short, long) = (with("f"), with(&"abcdefghi_".repeat(15)));
        let apart = |event: &Incoming| event.bytes() - event.payload.bytes.len() - event.culprit.len();
        // Once in the reason, once as the frame to look at.
        assert_eq!(apart(&long) - apart(&short), 2 * 149);
    }

    #[test]
    fn what_is_too_large_or_says_that_it_is_no_error_is_told_apart() {
        for event in
            ["{}", r#"{"type":"error"}"#, r#"{"type":"event"}"#, r#"{"type":"Boom"}"#, r#"{"type":7}"#]
        {
            assert!(prepared(event).is_ok(), "{event}");
        }
        let large = format!(r#"{{"message":"{}"}}"#, "x".repeat(RAW_BYTES_MAX));
        assert!(matches!(prepared(&large), Err(PrepareError::TooLarge(_))));
        for other in ["feedback", "transaction", "csp"] {
            let refused = prepared(&format!(r#"{{"type":"{other}","message":"m"}}"#));
            assert!(matches!(refused, Err(PrepareError::OtherType(name)) if name == other), "{other}");
        }
    }
}
