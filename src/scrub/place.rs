//! Where in an event a value stands, and what follows from that: which rules look at it and how large it may be.

use super::secrets::Style;

/// A kind of place in an event. A generic value stays [`Place::Free`] all the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Event,
    /// `exception` or `threads`: an object with `values`, a list, or a single one.
    Traces,
    Exception,
    Mechanism,
    Stacktrace,
    Frames,
    Frame,
    Vars,
    SourceLines,
    SourceLine,
    Location,
    Breadcrumbs,
    Breadcrumb,
    /// `message` and `logentry`: a text, or an object of texts and parameters.
    LogEntry,
    Message,
    Request,
    Headers,
    /// Every value below is hidden, the names stay.
    Cookies,
    Tags,
    User,
    Contexts,
    Free,
    /// Kept as it is: ids, versions, names of code. Only its size is bounded.
    Fixed,
    /// `_meta`: what the client says about its own redactions, mirrored by the event's names.
    Meta,
}

/// What is done to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Keep,
    Replace(Style),
    Hide,
}

/// Which of many elements stay: the first `head` and the last `tail`, together within `bytes_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListBound {
    pub(super) head: usize,
    pub(super) tail: usize,
    pub(super) bytes_max: usize,
}

/// What is known of an entry by its key alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// The protocol names it; the key says nothing about secrets.
    Known(Place),
    /// The client chose the key, so the key is judged.
    Chosen(Place),
}

const KIB: usize = 1024;

/// An event as a whole has its own bound, which leaves out parts by their worth and not by their order.
const EVENT_ENTRIES_BYTES_MAX: usize = usize::MAX;
/// A stack deeper than this is a recursion, of which both ends tell all (peers keep 50 to 200 frames).
const FRAMES: ListBound = ListBound { head: 100, tail: 100, bytes_max: 192 * KIB };
/// Chains of causes: the innermost and what was thrown at last.
const TRACES: ListBound = ListBound { head: 16, tail: 16, bytes_max: 448 * KIB };
/// What SDKs keep by default; the newest lead to the error.
const BREADCRUMBS: ListBound = ListBound { head: 0, tail: 100, bytes_max: 224 * KIB };

impl Place {
    /// The place of `key`'s value in an object at this place.
    pub(super) fn child(self, key: &str) -> Child {
        use Child::{Chosen, Known};
        match self {
            Self::Event => {
                super::section::of(key).map_or(Chosen(Self::Free), |section| Known(section.place()))
            }
            Self::Traces if key == "values" => Known(Self::Traces),
            Self::Traces | Self::Exception => in_exception(key),
            Self::Stacktrace if key == "frames" => Known(Self::Frames),
            Self::Frames | Self::Frame => in_frame(key),
            Self::SourceLines | Self::SourceLine => Chosen(Self::SourceLine),
            Self::Breadcrumbs if key == "values" => Known(Self::Breadcrumbs),
            Self::Breadcrumbs | Self::Breadcrumb => match key {
                "message" => Known(Self::Message),
                "timestamp" | "type" | "category" | "level" | "event_id" => Known(Self::Fixed),
                _ => Chosen(Self::Free),
            },
            Self::LogEntry => match key {
                "message" | "formatted" => Known(Self::Message),
                _ => Chosen(Self::Free),
            },
            Self::Request => in_request(key),
            Self::User => match key {
                "id" | "username" | "email" | "ip_address" | "name" => Known(Self::Fixed),
                _ => Chosen(Self::Free),
            },
            Self::Mechanism => match key {
                "type" | "source" => Known(Self::Fixed),
                _ => Chosen(Self::Free),
            },
            Self::Fixed => Known(Self::Fixed),
            Self::Cookies => Known(Self::Cookies),
            Self::Meta => Known(Self::Meta),
            Self::Tags | Self::Message => Chosen(self),
            Self::Headers if key.eq_ignore_ascii_case("user-agent") => Known(Self::Fixed),
            Self::Stacktrace | Self::Vars | Self::Headers | Self::Contexts | Self::Free | Self::Location => {
                match key {
                    "headers" | "rawHeaders" => Chosen(Self::Headers),
                    _ => Chosen(if self == Self::Vars { Self::Vars } else { Self::Free }),
                }
            }
        }
    }

    /// The place of an element of a list at this place.
    pub(super) const fn element(self) -> Self {
        match self {
            Self::Traces => Self::Exception,
            Self::Frames => Self::Frame,
            Self::Breadcrumbs => Self::Breadcrumb,
            Self::SourceLines => Self::SourceLine,
            Self::Event
            | Self::Exception
            | Self::Mechanism
            | Self::Stacktrace
            | Self::Frame
            | Self::Vars
            | Self::SourceLine
            | Self::Location
            | Self::Breadcrumb
            | Self::LogEntry
            | Self::Message
            | Self::Request
            | Self::Headers
            | Self::Cookies
            | Self::Tags
            | Self::User
            | Self::Contexts
            | Self::Free
            | Self::Fixed
            | Self::Meta => self,
        }
    }

    pub(super) const fn list_bound(self) -> Option<ListBound> {
        match self {
            Self::Traces => Some(TRACES),
            Self::Frames => Some(FRAMES),
            Self::Breadcrumbs => Some(BREADCRUMBS),
            Self::Event
            | Self::Exception
            | Self::Mechanism
            | Self::Stacktrace
            | Self::Frame
            | Self::Vars
            | Self::SourceLines
            | Self::SourceLine
            | Self::Location
            | Self::Breadcrumb
            | Self::LogEntry
            | Self::Message
            | Self::Request
            | Self::Headers
            | Self::Cookies
            | Self::Tags
            | Self::User
            | Self::Contexts
            | Self::Free
            | Self::Fixed
            | Self::Meta => None,
        }
    }

    /// Whether the protocol knows the keys of an object here, so that a reader would stumble over a second one.
    pub(super) const fn is_typed(self) -> bool {
        !matches!(self, Self::Fixed | Self::Cookies | Self::Meta | Self::Headers)
    }

    /// Whether a list here may hold `[name, value]` pairs, or names and values by turns.
    pub(super) const fn holds_pairs(self) -> bool {
        matches!(self, Self::Headers | Self::Cookies | Self::Tags)
    }

    pub(super) const fn rule(self) -> Rule {
        match self {
            Self::Fixed => Rule::Keep,
            Self::Cookies => Rule::Hide,
            Self::SourceLines | Self::SourceLine => Rule::Replace(Style::Code),
            Self::Location => Rule::Replace(Style::Location),
            Self::Event
            | Self::Traces
            | Self::Exception
            | Self::Mechanism
            | Self::Stacktrace
            | Self::Frames
            | Self::Frame
            | Self::Vars
            | Self::Breadcrumbs
            | Self::Breadcrumb
            | Self::LogEntry
            | Self::Message
            | Self::Request
            | Self::Headers
            | Self::Tags
            | Self::User
            | Self::Contexts
            | Self::Free
            | Self::Meta => Rule::Replace(Style::Text),
        }
    }

    /// The bytes of UTF-8 after which a text here is cut.
    pub(super) const fn text_bytes_max(self) -> usize {
        match self {
            // Sentry documents 8192 characters for messages.
            Self::LogEntry | Self::Message => 8 * KIB,
            // 200 characters of most scripts.
            Self::Tags => 512,
            // Minified scripts are one line; nobody reads more of it.
            Self::SourceLines | Self::SourceLine => KIB,
            // `data:` addresses stand here too.
            Self::Location | Self::Fixed => 2 * KIB,
            // SDKs cut at 1 to 4 KiB themselves.
            Self::Vars => 4 * KIB,
            Self::Event
            | Self::Traces
            | Self::Exception
            | Self::Mechanism
            | Self::Stacktrace
            | Self::Frames
            | Self::Frame
            | Self::Breadcrumbs
            | Self::Breadcrumb
            | Self::Request
            | Self::Headers
            | Self::Cookies
            | Self::User
            | Self::Contexts
            | Self::Free
            | Self::Meta => 16 * KIB,
        }
    }

    /// The bytes after which no further entry of an object or list here is taken.
    pub(super) const fn tree_bytes_max(self) -> usize {
        match self {
            Self::Frame | Self::Breadcrumb => 32 * KIB,
            Self::Vars | Self::SourceLines | Self::Mechanism | Self::User => 16 * KIB,
            Self::Exception => 430 * KIB,
            Self::Stacktrace => 200 * KIB,
            Self::Traces => TRACES.bytes_max,
            Self::Frames => FRAMES.bytes_max,
            Self::Breadcrumbs => BREADCRUMBS.bytes_max,
            Self::Tags
            | Self::Fixed
            | Self::Meta
            | Self::LogEntry
            | Self::Message
            | Self::Cookies
            | Self::Headers => 64 * KIB,
            Self::Request => 128 * KIB,
            Self::Event => EVENT_ENTRIES_BYTES_MAX,
            Self::Contexts | Self::Free | Self::Location | Self::SourceLine => 256 * KIB,
        }
    }

    /// How many entries an object or list here may have.
    pub(super) const fn entries_max(self) -> usize {
        match self {
            Self::Tags => 100,
            Self::Contexts => 50,
            // SDKs send five lines on each side.
            Self::SourceLines => 30,
            // Event schemas have some forty keys.
            Self::Event => 200,
            Self::Traces
            | Self::Exception
            | Self::Mechanism
            | Self::Stacktrace
            | Self::Frames
            | Self::Frame
            | Self::Vars
            | Self::SourceLine
            | Self::Location
            | Self::Breadcrumbs
            | Self::Breadcrumb
            | Self::LogEntry
            | Self::Message
            | Self::Request
            | Self::Headers
            | Self::Cookies
            | Self::User
            | Self::Free
            | Self::Fixed
            | Self::Meta => usize::MAX,
        }
    }
}

fn in_exception(key: &str) -> Child {
    match key {
        "value" => Child::Known(Place::Message),
        "stacktrace" | "raw_stacktrace" => Child::Known(Place::Stacktrace),
        "type" | "module" | "thread_id" | "id" => Child::Known(Place::Fixed),
        "mechanism" => Child::Known(Place::Mechanism),
        _ => Child::Chosen(Place::Free),
    }
}

fn in_frame(key: &str) -> Child {
    match key {
        "filename" | "abs_path" => Child::Known(Place::Location),
        "function" | "raw_function" | "module" | "package" | "lineno" | "colno" | "in_app" | "platform"
        | "symbol" | "instruction_addr" | "symbol_addr" | "image_addr" | "addr_mode" => {
            Child::Known(Place::Fixed)
        }
        "context_line" => Child::Known(Place::SourceLine),
        "pre_context" | "post_context" => Child::Known(Place::SourceLines),
        "vars" => Child::Known(Place::Vars),
        _ => Child::Chosen(Place::Free),
    }
}

fn in_request(key: &str) -> Child {
    match key {
        // Both come as pairs or an object, and a query as `a=b&c=d` too.
        "headers" | "query_string" => Child::Known(Place::Headers),
        "cookies" => Child::Known(Place::Cookies),
        "method" | "api_target" => Child::Known(Place::Fixed),
        _ => Child::Chosen(Place::Free),
    }
}
