//! What a client says about its own grouping.

use std::borrow::Cow;

use super::evidence::Evidence;
use super::reason::{GroupingReason, shown_text};
use super::{KeyWriter, Part, pattern};
use crate::issues::frame::crash_frame;
use crate::issues::head::EventHead;

/// More would be data, not a name.
const PARTS_MAX: usize = 32;
const BYTES_MAX: usize = 8 * 1024;

/// A list of parts of which at least one is the client's own.
pub(super) struct Fingerprint<'a> {
    parts: Vec<FingerprintPart<'a>>,
}

enum FingerprintPart<'a> {
    Custom(Cow<'a, str>),
    /// `{{ default }}`: what the event would be grouped by without a fingerprint.
    Default(Evidence<'a>),
}

impl<'a> Fingerprint<'a> {
    /// `None` where there is no fingerprint, or nothing but `{{ default }}` in it.
    pub(super) fn of(head: &'a EventHead<'a>) -> Option<Self> {
        if head.fingerprint.iter().all(|part| variable(part) == Some("default")) {
            return None;
        }
        let mut parts = Vec::new();
        let mut bytes_left = BYTES_MAX;
        for part in head.fingerprint.iter().take(PARTS_MAX) {
            match variable(part) {
                Some("default") => parts.push(FingerprintPart::Default(Evidence::of(head))),
                name => {
                    let expanded = name.and_then(|name| expand(name, head));
                    let text = expanded.unwrap_or(Cow::Borrowed(part.as_ref()));
                    let kept = text.floor_char_boundary(bytes_left);
                    bytes_left -= kept;
                    parts.push(FingerprintPart::Custom(cut(text, kept)));
                }
            }
        }
        Some(Self { parts })
    }

    pub(super) fn write(&self, writer: &mut KeyWriter) {
        for part in &self.parts {
            match part {
                FingerprintPart::Custom(text) => writer.part(Part::Custom, text),
                FingerprintPart::Default(evidence) => {
                    writer.part(Part::Default, "");
                    evidence.write(writer);
                }
            }
        }
    }

    pub(super) fn reason(&self) -> GroupingReason {
        let mut parts = Vec::new();
        let mut refines = None;
        for part in &self.parts {
            match part {
                FingerprintPart::Custom(text) => parts.push(shown_text(text)),
                FingerprintPart::Default(evidence) => refines = Some(Box::new(evidence.reason())),
            }
        }
        GroupingReason::Fingerprint { parts, refines }
    }
}

fn cut(text: Cow<'_, str>, bytes: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..bytes]),
        Cow::Owned(mut text) => {
            text.truncate(bytes);
            Cow::Owned(text)
        }
    }
}

/// The name in `{{ name }}`, in any spacing.
fn variable(part: &str) -> Option<&str> {
    part.trim().strip_prefix("{{")?.strip_suffix("}}").map(str::trim)
}

/// A variable's value, without what changes between events. `None`: not known, the text stands for itself.
fn expand<'a>(name: &str, head: &'a EventHead<'a>) -> Option<Cow<'a, str>> {
    let thrown = head.thrown();
    let crash = thrown.and_then(|thrown| crash_frame(&thrown.stacktrace.frames));
    let value = match name {
        "error.type" | "type" => thrown.and_then(|thrown| thrown.error_type.as_deref()),
        "error.value" | "value" => return thrown.and_then(|thrown| thrown.value.as_deref()).map(pattern),
        "message" => return head.message.text().map(|text| pattern(text)),
        "transaction" => head.transaction.as_deref(),
        "level" => Some(head.level().as_str()),
        "logger" => head.logger.as_deref(),
        "release" => head.release.as_deref(),
        "environment" => Some(head.environment()),
        "function" | "stack.function" => crash.and_then(|frame| frame.function.as_deref()),
        "module" | "stack.module" => crash.and_then(|frame| frame.module.as_deref()),
        "package" | "stack.package" => crash.and_then(|frame| frame.package.as_deref()),
        _ => {
            let tag = name.strip_prefix("tags.")?;
            head.tags.iter().find(|(key, _)| key == tag).map(|(_, value)| value.as_ref())
        }
    };
    value.map(Cow::Borrowed)
}
