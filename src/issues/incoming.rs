//! An event on its way to the writer: everything that can be computed before the commit is.

use super::dictionaries::Dictionaries;
use super::frame::crash_frame;
use super::sketch::user_hash;
use super::{Class, EventHead, Grouping, Level, Payload, classify, title};
use crate::base::text::clip;
use crate::base::{EventId, ProjectId, Severity, Timestamp};
use crate::scrub::Scrubber;

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
    pub grouping: Grouping,
    pub payload: Payload,
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

/// What every event is prepared with.
#[derive(Default)]
pub struct Tools {
    pub scrubber: Scrubber,
    pub dictionaries: Dictionaries,
}

/// Why an event could not be taken at all.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the event is not usable JSON: {0}")]
    Event(String),
    #[error("the payload could not be compressed: {0}")]
    Compress(#[source] std::io::Error),
}

impl Incoming {
    /// Scrubs, reads, groups and compresses the JSON of one event.
    pub fn prepare(origin: &Origin, tools: &Tools, json: &[u8]) -> Result<Self, PrepareError> {
        let scrubbed = tools.scrubber.event(json).map_err(|error| PrepareError::Event(error.to_string()))?;
        let text =
            std::str::from_utf8(&scrubbed.json).map_err(|error| PrepareError::Event(error.to_string()))?;
        let head = EventHead::parse(text).map_err(|error| PrepareError::Event(error.to_string()))?;
        let head = &head;
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
            grouping,
            payload: Payload::compress(&scrubbed.json, dictionary).map_err(PrepareError::Compress)?,
        })
    }
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
