//! Where in an event a value stands, and what follows from that: which rules look at it and how large it may be.

use super::secrets::Style;

/// A kind of place in an event. A generic value stays [`Place::Free`] all the way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Event,
    /// An error as apps without an SDK report it; what becomes of it is scrubbed again, as an event.
    Report,
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

/// A stack deeper than this is a recursion, of which both ends tell all (peers keep 50 to 200 frames).
const FRAMES: ListBound = ListBound { head: 100, tail: 100, bytes_max: 192 * KIB };
/// Chains of causes: the innermost and what was thrown at last.
const TRACES: ListBound = ListBound { head: 16, tail: 16, bytes_max: 448 * KIB };
/// What SDKs keep by default; the newest lead to the error.
const BREADCRUMBS: ListBound = ListBound { head: 0, tail: 100, bytes_max: 224 * KIB };

/// What is done to the values of a place, and how much of them stays.
struct Nature {
    rule: Rule,
    /// `None`: an element stands at the place of its list.
    element: Option<Place>,
    list: Option<ListBound>,
    text_bytes_max: usize,
    tree_bytes_max: usize,
    entries_max: usize,
}

/// Where nothing else is said.
const PLAIN: Nature = Nature {
    rule: Rule::Replace(Style::Text),
    element: None,
    list: None,
    text_bytes_max: 16 * KIB,
    tree_bytes_max: 256 * KIB,
    entries_max: usize::MAX,
};

/// Minified scripts are one line; nobody reads more of it.
const SOURCE_LINE: Nature = Nature { rule: Rule::Replace(Style::Code), text_bytes_max: KIB, ..PLAIN };

impl Nature {
    const fn of_list(element: Place, bound: ListBound) -> Self {
        Self { element: Some(element), list: Some(bound), tree_bytes_max: bound.bytes_max, ..PLAIN }
    }
}

impl Place {
    /// The place of `key`'s value in an object at this place.
    pub(super) fn child(self, key: &str) -> Child {
        use Child::{Chosen, Known};
        match self {
            Self::Event => {
                super::section::of(key).map_or(Chosen(Self::Free), |section| Known(section.place()))
            }
            Self::Report => match key {
                "message" | "fingerprint" => Known(Self::Message),
                "event_id" | "timestamp" | "release" | "environment" | "platform" | "user_id"
                | "error_type" | "severity" | "class" | "retryable" => Known(Self::Fixed),
                _ => Chosen(Self::Free),
            },
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
    pub(super) fn element(self) -> Self {
        self.nature().element.unwrap_or(self)
    }

    pub(super) const fn list_bound(self) -> Option<ListBound> {
        self.nature().list
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
        self.nature().rule
    }

    /// The bytes of UTF-8 after which a text here is cut.
    pub(super) const fn text_bytes_max(self) -> usize {
        self.nature().text_bytes_max
    }

    /// The bytes after which no further entry of an object or list here is taken.
    pub(super) const fn tree_bytes_max(self) -> usize {
        self.nature().tree_bytes_max
    }

    /// How many entries an object or list here may have.
    pub(super) const fn entries_max(self) -> usize {
        self.nature().entries_max
    }

    const fn nature(self) -> &'static Nature {
        match self {
            // An event as a whole has its own bound, which leaves out parts by their worth and not by their order.
            // Event schemas have some forty keys.
            Self::Event => const { &Nature { tree_bytes_max: usize::MAX, entries_max: 200, ..PLAIN } },
            // With its last entry it stays below the bound of an event.
            Self::Report => const { &Nature { tree_bytes_max: 768 * KIB, entries_max: 200, ..PLAIN } },
            Self::Traces => const { &Nature::of_list(Self::Exception, TRACES) },
            Self::Exception => const { &Nature { tree_bytes_max: 430 * KIB, ..PLAIN } },
            Self::Mechanism | Self::User => const { &Nature { tree_bytes_max: 16 * KIB, ..PLAIN } },
            Self::Stacktrace => const { &Nature { tree_bytes_max: 200 * KIB, ..PLAIN } },
            Self::Frames => const { &Nature::of_list(Self::Frame, FRAMES) },
            Self::Frame | Self::Breadcrumb => const { &Nature { tree_bytes_max: 32 * KIB, ..PLAIN } },
            // SDKs cut at 1 to 4 KiB themselves.
            Self::Vars => const { &Nature { tree_bytes_max: 16 * KIB, text_bytes_max: 4 * KIB, ..PLAIN } },
            // SDKs send five lines on each side.
            Self::SourceLines => {
                const {
                    &Nature {
                        element: Some(Self::SourceLine),
                        tree_bytes_max: 16 * KIB,
                        entries_max: 30,
                        ..SOURCE_LINE
                    }
                }
            }
            Self::SourceLine => &SOURCE_LINE,
            // `data:` addresses stand here too.
            Self::Location => {
                const { &Nature { rule: Rule::Replace(Style::Location), text_bytes_max: 2 * KIB, ..PLAIN } }
            }
            Self::Breadcrumbs => const { &Nature::of_list(Self::Breadcrumb, BREADCRUMBS) },
            // Sentry documents 8192 characters for messages.
            Self::LogEntry | Self::Message => {
                const { &Nature { tree_bytes_max: 64 * KIB, text_bytes_max: 8 * KIB, ..PLAIN } }
            }
            Self::Request => const { &Nature { tree_bytes_max: 128 * KIB, ..PLAIN } },
            Self::Headers | Self::Meta => const { &Nature { tree_bytes_max: 64 * KIB, ..PLAIN } },
            Self::Cookies => const { &Nature { rule: Rule::Hide, tree_bytes_max: 64 * KIB, ..PLAIN } },
            // 200 characters of most scripts.
            Self::Tags => {
                const { &Nature { tree_bytes_max: 64 * KIB, text_bytes_max: 512, entries_max: 100, ..PLAIN } }
            }
            Self::Contexts => const { &Nature { entries_max: 50, ..PLAIN } },
            Self::Free => &PLAIN,
            Self::Fixed => {
                const { &Nature { rule: Rule::Keep, tree_bytes_max: 64 * KIB, text_bytes_max: 2 * KIB, ..PLAIN } }
            }
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
