//! Stack frames as grouping compares them: what a build, a browser, a host or a line shift changes is taken out.

use std::borrow::Cow;

use super::head::Frame;

mod function;
mod machinery;
mod place;

pub use machinery::is_panic_machinery;

/// How frames of one platform are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Browsers: four engines name the same function in four ways.
    Browser,
    /// Node, Deno, Bun: one engine, real files, modules.
    Node,
    Python,
    /// Java, Kotlin, Scala, Clojure.
    Jvm,
    /// C#, F#.
    Dotnet,
    Ruby,
    Php,
    Go,
    /// C, C++, Rust, Swift, Objective-C: addresses and mangled names.
    Native,
    Other,
}

impl Dialect {
    /// Reads a frame's or an event's platform; unknown ones are `Other`.
    pub fn of(platform: &str) -> Self {
        match platform {
            "javascript" => Self::Browser,
            "node" | "deno" | "bun" => Self::Node,
            "python" => Self::Python,
            "java" | "kotlin" | "scala" | "clojure" | "groovy" => Self::Jvm,
            "csharp" | "fsharp" | "dotnet" => Self::Dotnet,
            "ruby" => Self::Ruby,
            "php" => Self::Php,
            "go" => Self::Go,
            "native" | "c" | "cpp" | "objc" | "cocoa" | "swift" | "rust" | "minidump" => Self::Native,
            _ => Self::Other,
        }
    }
}

/// A frame without what changes between builds, browsers and hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalFrame<'a> {
    /// Module, else the end of the file's path, else the binary. Empty where nothing is known.
    pub place: Cow<'a, str>,
    /// Empty for an anonymous function.
    pub function: Cow<'a, str>,
    /// The source line, only of an anonymous function.
    pub context: Cow<'a, str>,
}

impl NormalFrame<'_> {
    /// Whether it tells two stacks apart by more than a file.
    pub fn is_useful(&self) -> bool {
        !self.function.is_empty() || !self.context.is_empty()
    }
}

/// The frames of a stack that count, caller first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NormalStack<'a> {
    pub frames: Vec<NormalFrame<'a>>,
    /// Only the application's own frames are in it.
    pub in_app: bool,
}

/// Frames farther from the crash than this count no more: what called them is not the fault.
pub const FRAMES_MAX: usize = 50;

/// A function that calls itself through this many others is still one recursion.
const RECURSION_PERIOD_MAX: usize = 4;

/// Which frames of a stack count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    InApp,
    /// No frame is marked as the application's: those not marked as foreign.
    Unmarked,
    All,
}

/// The frames that count: in-app where there are any, normalised, recursion collapsed, at most 50 nearest the
/// crash. Empty where no frame says more than its file.
pub fn normal_stack<'a>(frames: &'a [Frame<'a>], platform: &str) -> NormalStack<'a> {
    for scope in [Scope::InApp, Scope::Unmarked, Scope::All] {
        let kept = frames.iter().filter(|frame| !is_machinery(frame)).filter(|frame| match scope {
            Scope::InApp => frame.in_app == Some(true),
            Scope::Unmarked => frame.in_app.is_none(),
            Scope::All => true,
        });
        let mut normal: Vec<NormalFrame<'a>> = Vec::with_capacity(FRAMES_MAX.min(frames.len()));
        for frame in kept {
            if let Some(frame) = normalise(frame, platform) {
                normal.push(frame);
                collapse_recursion(&mut normal);
            }
        }
        if normal.iter().any(NormalFrame::is_useful) {
            normal.drain(..normal.len().saturating_sub(FRAMES_MAX));
            return NormalStack { frames: normal, in_app: scope == Scope::InApp };
        }
    }
    NormalStack::default()
}

/// The frame a person should look at: the last of the application's own, else the last that is not of the panic
/// machinery, else the last.
pub fn crash_frame<'f, 'a>(frames: &'f [Frame<'a>]) -> Option<&'f Frame<'a>> {
    let own = |frame: &&Frame<'_>| !is_machinery(frame);
    let in_app = frames.iter().filter(own).rfind(|frame| frame.in_app == Some(true));
    in_app.or_else(|| frames.iter().rfind(own)).or(frames.last())
}

fn is_machinery(frame: &Frame<'_>) -> bool {
    frame.function.as_deref().is_some_and(is_panic_machinery)
}

/// `None` for frames that some engines write and others leave out.
fn normalise<'a>(frame: &'a Frame<'a>, platform: &str) -> Option<NormalFrame<'a>> {
    let dialect = Dialect::of(frame.platform.as_deref().unwrap_or(platform));
    let place = place::of(frame, dialect);
    if dialect == Dialect::Browser && (place.is_empty() || function::is_past_an_await(frame)) {
        return None;
    }
    let function = function::of(frame, dialect);
    let context = if function.is_empty() { context(frame) } else { Cow::Borrowed("") };
    // An engine that names this function differently, or not at all, must give the same stack.
    let invisible = dialect == Dialect::Browser && function.is_empty() && context.is_empty();
    let normal = NormalFrame { place, function, context };
    (!invisible && (normal.is_useful() || !normal.place.is_empty())).then_some(normal)
}

/// The source line with its white space collapsed.
fn context<'a>(frame: &'a Frame<'a>) -> Cow<'a, str> {
    /// A longer line is minified: its beginning says as little as its end.
    const CONTEXT_BYTES_MAX: usize = 120;
    let line = frame.context_line.as_deref().unwrap_or("").trim();
    if line.len() > CONTEXT_BYTES_MAX && frame.colno.is_some_and(|column| column > 1000) {
        return Cow::Borrowed("");
    }
    let line = &line[..line.floor_char_boundary(CONTEXT_BYTES_MAX)];
    if line.as_bytes().windows(2).any(|pair| pair == b"  ") || line.contains('\t') {
        return Cow::Owned(line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Cow::Borrowed(line)
}

/// Drops the last frames if they repeat those before them.
fn collapse_recursion(frames: &mut Vec<NormalFrame<'_>>) {
    let len = frames.len();
    for period in 1..=RECURSION_PERIOD_MAX.min(len / 2) {
        if frames[len - period..] == frames[len - 2 * period..len - period] {
            frames.truncate(len - period);
            return;
        }
    }
}
