//! Why events are together, for people.

use serde::{Deserialize, Serialize};

use crate::base::text::clip;
use crate::issues::frame::NormalFrame;

/// The evidence that an issue's key was made of, clipped for showing; stored with the issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GroupingReason {
    /// The thrown exception first, then its causes. `message`: also what the program handed over.
    Chain {
        chain: Vec<ChainLink>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Stack {
        in_app: bool,
        frames: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Value {
        error_type: String,
        value: String,
    },
    Message {
        pattern: String,
    },
    Nothing {
        error_type: String,
        logger: String,
        transaction: String,
    },
    /// The client's own parts; `refines`: what `{{ default }}` stood for.
    Fingerprint {
        parts: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refines: Option<Box<GroupingReason>>,
    },
    /// Nothing: there were too many new issues to give each its own.
    Others {
        per_hour: u32,
    },
}

/// One exception of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Empty where the SDK made the exception up.
    #[serde(rename = "type")]
    pub error_type: String,
    pub in_app: bool,
    /// Nearest the crash first, `function in place`.
    pub frames: Vec<String>,
}

impl ChainLink {
    /// A person sees the fault in the first few.
    pub(super) const SHOWN_MAX: usize = 8;
}

const FRAMES_SHOWN_MAX: usize = 8;
const CHARS_SHOWN_MAX: usize = 200;

impl GroupingReason {
    /// The kind in one word, as it stands in the JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Chain { .. } => "chain",
            Self::Stack { .. } => "stack",
            Self::Value { .. } => "value",
            Self::Message { .. } => "message",
            Self::Nothing { .. } => "nothing",
            Self::Fingerprint { .. } => "fingerprint",
            Self::Others { .. } => "others",
        }
    }

    /// What its texts hold in memory, about.
    pub fn bytes(&self) -> usize {
        let sum = |texts: &[String]| texts.iter().map(|text| size_of::<String>() + text.len()).sum::<usize>();
        let of = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Chain { chain, message } => {
                let link =
                    |link: &ChainLink| size_of::<ChainLink>() + link.error_type.len() + sum(&link.frames);
                chain.iter().map(link).sum::<usize>() + of(message)
            }
            Self::Stack { frames, message, .. } => sum(frames) + of(message),
            Self::Value { error_type, value } => error_type.len() + value.len(),
            Self::Message { pattern } => pattern.len(),
            Self::Nothing { error_type, logger, transaction } => {
                error_type.len() + logger.len() + transaction.len()
            }
            Self::Fingerprint { parts, refines } => {
                sum(parts) + refines.as_ref().map_or(0, |inner| size_of::<Self>() + inner.bytes())
            }
            Self::Others { .. } => 0,
        }
    }

    /// The reason in one or two sentences.
    pub fn sentence(&self) -> String {
        const IGNORED: &str = "Line numbers, values, hosts and builds are ignored.";
        match self {
            Self::Chain { chain, message } => {
                let types: Vec<&str> = chain
                    .iter()
                    .map(|link| link.error_type.as_str())
                    .filter(|name| !name.is_empty())
                    .collect();
                let mut sentence = match types.as_slice() {
                    [] => "Same".to_owned(),
                    [one] => format!("Same {one} and same"),
                    several => format!("Same chain {} and same", several.join(" ← ")),
                };
                let with_frames = chain.iter().find(|link| !link.frames.is_empty());
                let (in_app, frames) =
                    with_frames.map_or((false, &[][..]), |link| (link.in_app, &link.frames));
                sentence.push_str(&frames_phrase(in_app, frames));
                sentence.push_str(&message_phrase(message.as_deref()));
                format!("{sentence}. {IGNORED}")
            }
            Self::Stack { in_app, frames, message } => {
                let (frames, message) = (frames_phrase(*in_app, frames), message_phrase(message.as_deref()));
                format!("No exception, but same{frames}{message}. {IGNORED}")
            }
            Self::Value { error_type, value } if error_type.is_empty() => {
                format!("No usable stack. Same value “{value}”.")
            }
            Self::Value { error_type, value } => {
                format!("No usable stack. Same type {error_type} and same value “{value}”.")
            }
            Self::Message { pattern } => format!("No exception. Same message “{pattern}”."),
            Self::Nothing { error_type, logger, transaction } => {
                let parts = [("type", error_type), ("logger", logger), ("transaction", transaction)];
                let known: Vec<String> = parts
                    .iter()
                    .filter(|(_, text)| !text.is_empty())
                    .map(|(name, text)| format!("{name} {text}"))
                    .collect();
                if known.is_empty() {
                    return "The event says nothing about where it comes from.".to_owned();
                }
                format!("No stack, no message. Same {}.", known.join(", "))
            }
            Self::Others { per_hour } => format!(
                "Nothing in common: the project had more than {per_hour} new issues in an hour, and these came after."
            ),
            Self::Fingerprint { parts, refines } => {
                let parts = parts.join(", ");
                match refines {
                    None => format!("The application's own fingerprint: {parts}."),
                    Some(default) => format!("The application's own {parts} within: {}", default.sentence()),
                }
            }
        }
    }
}

fn frames_phrase(in_app: bool, frames: &[String]) -> String {
    /// The page lists the others.
    const NAMED_MAX: usize = 3;
    /// A source line in place of a name is shown by its beginning.
    const NAME_CHARS_MAX: usize = 60;
    let names =
        frames.iter().take(NAMED_MAX).map(|f| f.rsplit_once(" in ").map_or(f.as_str(), |(name, _)| name));
    let names: Vec<_> = names.map(|name| clip(name, NAME_CHARS_MAX)).collect();
    let more = if frames.len() > NAMED_MAX { ", …" } else { "" };
    let kind = if in_app { "in-app frames" } else { "frames" };
    format!(" {kind} {}{more}", names.join(", "))
}

fn message_phrase(message: Option<&str>) -> String {
    message.map(|message| format!(" and same message “{message}”")).unwrap_or_default()
}

pub(super) fn shown_text(text: &str) -> String {
    clip(text, CHARS_SHOWN_MAX).into_owned()
}

/// Nearest the crash first.
pub(super) fn shown_frames(frames: &[NormalFrame<'_>]) -> Vec<String> {
    frames.iter().rev().take(FRAMES_SHOWN_MAX).map(shown_frame).collect()
}

fn shown_frame(frame: &NormalFrame<'_>) -> String {
    let name = match (frame.function.as_ref(), frame.context.as_ref()) {
        ("", "") => "anonymous",
        ("", context) => context,
        (function, _) => function,
    };
    let name = clip(name, CHARS_SHOWN_MAX);
    if frame.place.is_empty() {
        name.into_owned()
    } else {
        format!("{name} in {}", clip(&frame.place, CHARS_SHOWN_MAX))
    }
}
