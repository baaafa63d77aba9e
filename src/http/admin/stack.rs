//! Exceptions as a page shows them: the thrown one first, the crash first, libraries folded away.

use serde_json::{Map, Value};

use super::values::{Pair, pairs};
use crate::issues::view::{ExceptionView, FrameView};

/// One exception of the chain.
pub(super) struct ExceptionBlock {
    pub(super) error_type: String,
    pub(super) value: String,
    /// How it was caught: `generic, not handled`.
    pub(super) mechanism: String,
    pub(super) runs: Vec<Run>,
}

/// Neighbouring frames that are shown alike.
pub(super) struct Run {
    /// What a folded run says of itself: `6 frames in flask`. Empty: the frames stand by themselves.
    pub(super) folded: String,
    pub(super) frames: Vec<FrameBlock>,
}

#[derive(PartialEq)]
pub(super) struct FrameBlock {
    pub(super) function: String,
    /// `shop/views.py:42`
    pub(super) place: String,
    pub(super) in_app: bool,
    pub(super) is_open: bool,
    /// How often it stands here in a row: a recursion repeats itself.
    pub(super) times: usize,
    pub(super) lines: Vec<CodeLine>,
    pub(super) vars: Vec<Pair>,
}

#[derive(PartialEq)]
pub(super) struct CodeLine {
    pub(super) number: String,
    pub(super) text: String,
    pub(super) is_hit: bool,
}

/// Fewer are shown as they are: folding them hides more than it saves.
const FOLDED_MIN: usize = 2;

/// The chain as it is read: what was thrown, then what caused it.
pub(super) fn blocks(exceptions: Vec<ExceptionView>) -> Vec<ExceptionBlock> {
    let mut blocks: Vec<ExceptionBlock> = exceptions.into_iter().rev().map(block).collect();
    // One place is open from the start: the first own frame, else where it crashed.
    let frames = || blocks.iter().flat_map(|block| &block.runs).flat_map(|run| &run.frames);
    let own = frames().position(|frame| frame.in_app);
    let open = own.or((frames().count() > 0).then_some(0));
    let all = blocks.iter_mut().flat_map(|block| &mut block.runs).flat_map(|run| &mut run.frames);
    if let Some(frame) = open.and_then(|at| all.into_iter().nth(at)) {
        frame.is_open = true;
    }
    blocks
}

fn block(exception: ExceptionView) -> ExceptionBlock {
    ExceptionBlock {
        error_type: exception.error_type.unwrap_or_else(|| "Stack".to_owned()),
        value: exception.value.unwrap_or_default(),
        mechanism: mechanism(exception.mechanism.as_ref()),
        runs: runs(exception.frames),
    }
}

fn mechanism(mechanism: Option<&Value>) -> String {
    let Some(mechanism) = mechanism else { return String::new() };
    let kind = mechanism.get("type").and_then(Value::as_str).unwrap_or("");
    let handled = match mechanism.get("handled").and_then(Value::as_bool) {
        Some(true) => "handled",
        Some(false) => "not handled",
        None => "",
    };
    [kind, handled].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ")
}

/// Cuts the frames, the crash first, into own ones and runs of others.
fn runs(frames: Vec<FrameView>) -> Vec<Run> {
    let has_own = frames.iter().any(|frame| frame.in_app == Some(true));
    let mut runs: Vec<(bool, Vec<FrameView>)> = Vec::new();
    for frame in frames.into_iter().rev() {
        let is_own = frame.in_app == Some(true) || !has_own;
        match runs.last_mut() {
            Some((own, run)) if *own == is_own => run.push(frame),
            Some(_) | None => runs.push((is_own, vec![frame])),
        }
    }
    runs.into_iter()
        .map(|(is_own, frames)| {
            let folds = !is_own && frames.len() >= FOLDED_MIN;
            let folded = if folds { folded(&frames) } else { String::new() };
            Run { folded, frames: frame_blocks(frames) }
        })
        .collect()
}

/// `6 frames in flask, werkzeug`.
fn folded(frames: &[FrameView]) -> String {
    const NAMED_MAX: usize = 3;
    let mut names: Vec<&str> = Vec::new();
    for frame in frames {
        if let Some(name) = library(frame).filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    let more = if names.len() > NAMED_MAX { " …" } else { "" };
    names.truncate(NAMED_MAX);
    let place = if names.is_empty() { String::new() } else { format!(" in {}{more}", names.join(", ")) };
    format!("{} frames{place}", frames.len())
}

/// The package a frame belongs to, as far as its place tells.
fn library(frame: &FrameView) -> Option<&str> {
    let path = frame.abs_path.as_deref().or(frame.filename.as_deref()).unwrap_or("");
    for mark in ["node_modules/", "site-packages/", "dist-packages/"] {
        if let Some((_, rest)) = path.rsplit_once(mark) {
            let mut parts = rest.split('/');
            let first = parts.next().filter(|name| !name.is_empty())?;
            // Scoped npm packages are named by two parts.
            let end = if first.starts_with('@') { parts.next().map_or(0, |name| name.len() + 1) } else { 0 };
            return rest.get(..first.len() + end);
        }
    }
    let module = frame.module.as_deref()?;
    module.split(['.', '/', ':']).next().filter(|name| !name.is_empty())
}

/// Neighbours that are equal in all that is shown become one.
fn frame_blocks(frames: Vec<FrameView>) -> Vec<FrameBlock> {
    let mut blocks: Vec<FrameBlock> = Vec::new();
    for mut block in frames.into_iter().map(frame_block) {
        if let Some(last) = blocks.last() {
            block.times = last.times;
        }
        match blocks.last_mut() {
            Some(last) if *last == block => last.times += 1,
            Some(_) | None => blocks.push(FrameBlock { times: 1, ..block }),
        }
    }
    blocks
}

fn frame_block(frame: FrameView) -> FrameBlock {
    let file = frame.filename.as_deref().or(frame.module.as_deref()).or(frame.abs_path.as_deref());
    let place = match (file, frame.lineno) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.to_owned(),
        (None, Some(line)) => format!("line {line}"),
        (None, None) => String::new(),
    };
    FrameBlock {
        function: frame.function.clone().unwrap_or_else(|| "?".to_owned()),
        place,
        in_app: frame.in_app == Some(true),
        is_open: false,
        times: 1,
        lines: code(&frame),
        vars: vars(frame.vars),
    }
}

fn vars(vars: Map<String, Value>) -> Vec<Pair> {
    pairs(vars)
}

fn code(frame: &FrameView) -> Vec<CodeLine> {
    let Some(hit) = &frame.context_line else { return Vec::new() };
    let before = i64::try_from(frame.pre_context.len()).unwrap_or(0);
    let texts = frame.pre_context.iter().chain([hit]).chain(&frame.post_context);
    texts
        .zip(0..)
        .map(|(text, at)| CodeLine {
            number: frame.lineno.map_or_else(String::new, |line| (line - before + at).to_string()),
            text: text.clone(),
            is_hit: at == before,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, in_app: bool, path: &str) -> FrameView {
        FrameView {
            function: Some(function.to_owned()),
            in_app: Some(in_app),
            filename: Some(path.to_owned()),
            abs_path: Some(path.to_owned()),
            ..FrameView::default()
        }
    }

    fn exception(error_type: &str, frames: Vec<FrameView>) -> ExceptionView {
        ExceptionView { error_type: Some(error_type.to_owned()), frames, ..ExceptionView::default() }
    }

    #[test]
    fn the_thrown_exception_and_the_crash_come_first_and_libraries_fold() {
        let frames = vec![
            frame("main", true, "app.js"),
            frame("a", false, "/x/node_modules/@scope/pkg/lib/a.js"),
            frame("b", false, "/x/node_modules/express/b.js"),
            frame("pay", true, "pay.js"),
        ];
        let blocks = blocks(vec![exception("Cause", Vec::new()), exception("Thrown", frames)]);
        assert_eq!(
            blocks.iter().map(|block| block.error_type.as_str()).collect::<Vec<_>>(),
            ["Thrown", "Cause"]
        );
        let runs: Vec<(&str, usize)> =
            blocks[0].runs.iter().map(|run| (run.folded.as_str(), run.frames.len())).collect();
        assert_eq!(runs, [("", 1), ("2 frames in express, @scope/pkg", 2), ("", 1)]);
        assert!(blocks[0].runs[0].frames[0].is_open, "the own frame nearest the crash");
    }

    #[test]
    fn without_own_frames_nothing_is_folded_and_the_crash_is_open() {
        let blocks = blocks(vec![exception("E", vec![frame("a", false, "a"), frame("b", false, "b")])]);
        assert_eq!(blocks[0].runs.len(), 1);
        assert_eq!(blocks[0].runs[0].folded, "");
        assert!(blocks[0].runs[0].frames[0].is_open);
        assert_eq!(blocks[0].runs[0].frames[0].function, "b");
    }

    #[test]
    fn a_recursion_is_told_once_with_its_depth() {
        let mut frames = vec![frame("main", true, "app.py")];
        frames.extend((0..20).map(|_| frame("descend", true, "tree.py")));
        let mut last = frame("descend", true, "tree.py");
        last.vars.insert("depth".to_owned(), 0.into());
        frames.push(last);
        let blocks = blocks(vec![exception("RecursionError", frames)]);
        let shown: Vec<(&str, usize)> =
            blocks[0].runs[0].frames.iter().map(|frame| (frame.function.as_str(), frame.times)).collect();
        assert_eq!(shown, [("descend", 1), ("descend", 20), ("main", 1)], "other variables stand apart");
    }

    #[test]
    fn code_lines_are_numbered_around_the_hit() {
        let mut frame = frame("f", true, "f.py");
        frame.lineno = Some(42);
        frame.pre_context = vec!["a".to_owned(), "b".to_owned()];
        frame.context_line = Some("c".to_owned());
        frame.post_context = vec!["d".to_owned()];
        let lines = code(&frame);
        let numbers: Vec<(&str, bool)> =
            lines.iter().map(|line| (line.number.as_str(), line.is_hit)).collect();
        assert_eq!(numbers, [("40", false), ("41", false), ("42", true), ("43", false)]);
    }
}
