//! The strongest thing that an event says about where it comes from.

use std::borrow::Cow;

use super::reason::{ChainLink, GroupingReason, shown_frames, shown_text};
use super::{KeyWriter, Part, pattern};
use crate::issues::frame::{NormalFrame, NormalStack, normal_stack};
use crate::issues::head::{EventHead, Exception};

/// Exceptions farther from the thrown one count no more.
const EXCEPTIONS_MAX: usize = 16;

pub(super) enum Evidence<'a> {
    /// At least one exception has a useful stack.
    Chain {
        links: Vec<Link<'a>>,
        captured: Option<Cow<'a, str>>,
    },
    /// No exception, but a thread or the event itself has a stack.
    Stack {
        stack: NormalStack<'a>,
        captured: Option<Cow<'a, str>>,
    },
    /// Exceptions without stacks: type and value pattern of each.
    Value {
        links: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    },
    Message {
        pattern: Cow<'a, str>,
    },
    Nothing {
        error_type: &'a str,
        logger: &'a str,
        transaction: &'a str,
    },
}

pub(super) struct Link<'a> {
    error_type: Cow<'a, str>,
    stack: NormalStack<'a>,
}

impl<'a> Evidence<'a> {
    pub(super) fn of(head: &'a EventHead<'a>) -> Self {
        Self::chain(head)
            .or_else(|| Self::stack(head))
            .or_else(|| Self::value(head))
            .or_else(|| Self::message(head))
            .unwrap_or_else(|| Self::nothing(head))
    }

    fn chain(head: &'a EventHead<'a>) -> Option<Self> {
        let mut links: Vec<Link<'a>> = Vec::with_capacity(head.exceptions.len().min(EXCEPTIONS_MAX));
        // From the thrown one to its causes, so that the bound cuts the farthest.
        for exception in head.exceptions.iter().rev() {
            let stack = normal_stack(&exception.stacktrace.frames, head.platform());
            let link = Link { error_type: type_of(exception, !stack.frames.is_empty()), stack };
            let known = |other: &Link<'_>| other.error_type == link.error_type && other.stack == link.stack;
            if !links.iter().any(known) {
                links.push(link);
            }
            if links.len() == EXCEPTIONS_MAX {
                break;
            }
        }
        if links.iter().all(|link| link.stack.frames.is_empty()) {
            return None;
        }
        if head.exceptions.iter().any(|exception| exception.mechanism.is_exception_group) {
            sort_members(&mut links);
        }
        let captured = head.thrown().filter(|thrown| is_captured(thrown));
        let captured = captured.and_then(|thrown| thrown.value.as_deref()).map(pattern);
        Some(Self::Chain { links, captured })
    }

    fn stack(head: &'a EventHead<'a>) -> Option<Self> {
        if !head.exceptions.is_empty() {
            return None;
        }
        let stack = normal_stack(head.bare_stack(), head.platform());
        let crashed = head.threads.first().is_some_and(|thread| thread.crashed);
        let captured = if crashed { None } else { message_pattern(head) };
        (!stack.frames.is_empty()).then_some(Self::Stack { stack, captured })
    }

    fn value(head: &'a EventHead<'a>) -> Option<Self> {
        let mut links: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for exception in head.exceptions.iter().rev().take(EXCEPTIONS_MAX) {
            let value = exception.value.as_deref().map(pattern).unwrap_or_default();
            let link = (type_of(exception, is_captured(exception)), value);
            if !links.contains(&link) {
                links.push(link);
            }
        }
        let says_something = links.iter().any(|(_, value)| !value.is_empty());
        says_something.then_some(Self::Value { links })
    }

    fn message(head: &'a EventHead<'a>) -> Option<Self> {
        message_pattern(head).map(|pattern| Self::Message { pattern })
    }

    fn nothing(head: &'a EventHead<'a>) -> Self {
        Self::Nothing {
            error_type: head.thrown().and_then(|thrown| thrown.error_type.as_deref()).unwrap_or(""),
            logger: head.logger.as_deref().unwrap_or(""),
            transaction: head.transaction.as_deref().unwrap_or(""),
        }
    }

    pub(super) fn write(&self, writer: &mut KeyWriter) {
        match self {
            Self::Chain { links, captured } => {
                for link in links {
                    writer.part(Part::Type, &link.error_type);
                    write_frames(writer, &link.stack.frames);
                }
                if let Some(pattern) = captured {
                    writer.part(Part::Message, pattern);
                }
            }
            Self::Stack { stack, captured } => {
                writer.part(Part::Stack, "");
                write_frames(writer, &stack.frames);
                if let Some(pattern) = captured {
                    writer.part(Part::Message, pattern);
                }
            }
            Self::Value { links } => {
                for (error_type, value) in links {
                    writer.part(Part::Type, error_type);
                    writer.part(Part::Value, value);
                }
            }
            Self::Message { pattern } => writer.part(Part::Message, pattern),
            Self::Nothing { error_type, logger, transaction } => {
                writer.part(Part::Type, error_type);
                writer.part(Part::Logger, logger);
                writer.part(Part::Transaction, transaction);
            }
        }
    }

    pub(super) fn reason(&self) -> GroupingReason {
        let shown = |pattern: &Option<Cow<'_, str>>| pattern.as_deref().map(shown_text);
        match self {
            Self::Chain { links, captured } => GroupingReason::Chain {
                chain: links.iter().take(ChainLink::SHOWN_MAX).map(Link::shown).collect(),
                message: shown(captured),
            },
            Self::Stack { stack, captured } => GroupingReason::Stack {
                in_app: stack.in_app,
                frames: shown_frames(&stack.frames),
                message: shown(captured),
            },
            Self::Value { links } => {
                let (error_type, value) = links.first().cloned().unwrap_or_default();
                GroupingReason::Value { error_type: shown_text(&error_type), value: shown_text(&value) }
            }
            Self::Message { pattern } => GroupingReason::Message { pattern: shown_text(pattern) },
            Self::Nothing { error_type, logger, transaction } => GroupingReason::Nothing {
                error_type: shown_text(error_type),
                logger: shown_text(logger),
                transaction: shown_text(transaction),
            },
        }
    }
}

impl Link<'_> {
    fn shown(&self) -> ChainLink {
        ChainLink {
            error_type: shown_text(&self.error_type),
            in_app: self.stack.in_app,
            frames: shown_frames(&self.stack.frames),
        }
    }
}

fn write_frames(writer: &mut KeyWriter, frames: &[NormalFrame<'_>]) {
    for frame in frames {
        writer.part(Part::Place, &frame.place);
        if frame.function.is_empty() {
            writer.part(Part::Context, &frame.context);
        } else {
            writer.part(Part::Function, &frame.function);
        }
    }
}

/// The members of a group come in the order in which they failed: chance.
fn sort_members(links: &mut [Link<'_>]) {
    links.sort_by(|a, b| {
        let names =
            |link: &Link<'_>| link.stack.frames.iter().map(|f| f.function.to_string()).collect::<Vec<_>>();
        a.error_type.cmp(&b.error_type).then_with(|| names(a).cmp(&names(b)))
    });
}

/// Whether the SDK made the exception up to carry something that the program handed it: then its value is what
/// the program said. A made-up exception that nobody handled is a signal or a crash.
fn is_captured(exception: &Exception<'_>) -> bool {
    exception.mechanism.synthetic && exception.mechanism.handled != Some(false)
}

/// A made-up type says nothing beside a stack; engines disagree on one real type.
fn type_of<'a>(exception: &'a Exception<'a>, has_better: bool) -> Cow<'a, str> {
    let error_type = exception.error_type.as_deref().unwrap_or("");
    if exception.mechanism.synthetic && has_better {
        return Cow::Borrowed("");
    }
    // Firefox's name for what Chrome and Safari call a RangeError.
    if error_type == "InternalError" && exception.value.as_deref() == Some("too much recursion") {
        return Cow::Borrowed("RangeError");
    }
    Cow::Borrowed(error_type)
}

/// The template, unless it is only a place for a value (`%s`); then the text.
///
/// Codes that an operator tells apart (`returned %s` with 502 or 429) stay, though the template hides them.
fn message_pattern<'a>(head: &'a EventHead<'a>) -> Option<Cow<'a, str>> {
    let (template, formatted) = (head.message.template.as_deref(), head.message.formatted.as_deref());
    let Some(template) = template.filter(|template| says_something(template)) else {
        return formatted.or(template).map(pattern);
    };
    let shown = pattern(template);
    let codes = formatted.filter(|text| *text != template).map(|text| codes_beyond(&shown, &pattern(text)));
    Some(match codes {
        Some(codes) if !codes.is_empty() => Cow::Owned(format!("{shown} ({codes})")),
        Some(_) | None => shown,
    })
}

/// The whole numbers that parameterising left in `text` and that `template` does not hold.
fn codes_beyond(template: &str, text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
    let words = text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
    let codes = words.filter(|word| word.bytes().all(|b| b.is_ascii_digit()) && !template.contains(word));
    codes.collect::<Vec<_>>().join(", ")
}

/// Whether more than placeholders is in a template: `%s`, `{}`, `%(error)s`, `{error!r}` hold nothing.
fn says_something(template: &str) -> bool {
    const LETTERS_MIN: usize = 3;
    let mut letters = 0;
    let mut rest = template.chars();
    while let Some(c) = rest.next() {
        match c {
            '{' => {
                let _closing = rest.find(|c| *c == '}');
            }
            '%' => {
                if rest.next() == Some('(') {
                    let _closing = rest.find(|c| *c == ')');
                    let _conversion = rest.next();
                }
            }
            c => letters += usize::from(c.is_alphabetic()),
        }
    }
    letters >= LETTERS_MIN
}
