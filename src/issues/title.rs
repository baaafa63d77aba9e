//! What an issue is called, and where it happened.

use std::borrow::Cow;

use super::frame::crash_frame;
use super::head::{EventHead, Exception, Frame};
use crate::base::text::{clip, first_line};

/// A subject line and a phone's screen hold no more.
pub const TITLE_CHARS_MAX: usize = 160;
/// Sentry's own bound for a culprit.
pub const CULPRIT_CHARS_MAX: usize = 200;

/// What an event without any text is called.
const UNTITLED: &str = "Unnamed event";

/// `type: first line of the value`; for messages their first line; for signals the function that crashed.
///
/// One line without control characters, at most 160 characters, never empty.
pub fn title(head: &EventHead<'_>) -> String {
    let title = head.thrown().map(|thrown| exception_title(thrown, head)).unwrap_or_default();
    let title = if title.is_empty() {
        head.message.text().map_or(Cow::Borrowed(""), |text| Cow::Borrowed(first_line(text)))
    } else {
        title
    };
    let title = one_line(&title);
    if title.is_empty() { UNTITLED.to_owned() } else { clip(&title, TITLE_CHARS_MAX).into_owned() }
}

/// `module or file in function` of the last in-app frame, else the transaction; empty where neither is known.
pub fn culprit(head: &EventHead<'_>) -> String {
    let frames = head.thrown().map(|thrown| thrown.stacktrace.frames.as_slice());
    let frames = frames.filter(|frames| !frames.is_empty()).unwrap_or_else(|| head.bare_stack());
    let culprit = crash_frame(frames).map(place_and_function).unwrap_or_default();
    let culprit = if culprit.is_empty() { head.transaction.as_deref().unwrap_or("").into() } else { culprit };
    clip(&one_line(&culprit), CULPRIT_CHARS_MAX).into_owned()
}

fn exception_title<'a>(exception: &'a Exception<'a>, head: &EventHead<'_>) -> Cow<'a, str> {
    let value = first_line(exception.value.as_deref().unwrap_or(""));
    let error_type = exception.error_type.as_deref().unwrap_or("").trim();
    let name = if exception.mechanism.synthetic {
        let captured = exception.mechanism.handled != Some(false);
        let frames = &exception.stacktrace.frames;
        let frames = if frames.is_empty() { head.bare_stack() } else { frames };
        match crash_frame(frames).and_then(known_function) {
            _ if captured && !value.is_empty() => Cow::Borrowed(""),
            Some(function) => Cow::Owned(function.to_owned()),
            None => Cow::Borrowed(error_type),
        }
    } else {
        Cow::Borrowed(error_type)
    };
    match (name.is_empty(), value.is_empty()) {
        (_, true) => name,
        (true, false) => Cow::Borrowed(value),
        (false, false) => Cow::Owned(format!("{name}: {value}")),
    }
}

fn known_function<'f>(frame: &'f Frame<'_>) -> Option<&'f str> {
    let function = frame.function.as_deref().or(frame.raw_function.as_deref())?.trim();
    (!matches!(function, "" | "?" | "<anonymous>" | "<unknown>" | "<redacted>")).then_some(function)
}

fn place_and_function(frame: &Frame<'_>) -> String {
    let module = frame.module.as_deref().filter(|module| *module != "__main__");
    let file = || frame.filename.as_deref().or(frame.abs_path.as_deref()).or(frame.package.as_deref());
    let place = module.or_else(file).or(frame.module.as_deref()).unwrap_or("");
    let place = without_origin(place);
    match known_function(frame) {
        Some(function) if place.is_empty() => function.to_owned(),
        Some(function) => format!("{place} in {function}"),
        None => place.to_owned(),
    }
}

/// `https://host/static/app.js?v=1` as `/static/app.js`: the host is in the tags, not in the code.
fn without_origin(place: &str) -> &str {
    let Some((_scheme, rest)) = place.split_once("://") else { return place };
    let path = rest.find('/').map_or(rest, |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or(path)
}

/// Control characters and runs of white space as one blank: titles stand in mail subjects.
fn one_line(text: &str) -> Cow<'_, str> {
    let clean = |text: &str| {
        !text.chars().any(char::is_control) && !text.contains("  ") && text.trim().len() == text.len()
    };
    if clean(text) {
        return Cow::Borrowed(text);
    }
    let words: Vec<&str> =
        text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    Cow::Owned(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(json: &str) -> (String, String) {
        let head = EventHead::parse(json).unwrap();
        (title(&head), culprit(&head))
    }

    #[test]
    fn a_title_says_what_and_a_culprit_where() {
        let table = [
            (r#"{"exception":{"type":"E","value":"a\nb"}}"#, "E: a", ""),
            (r#"{"exception":{"type":"E"},"transaction":"/pay"}"#, "E", "/pay"),
            (r#"{"exception":{"value":"only"}}"#, "only", ""),
            (r#"{"message":"\n  first \n second"}"#, "first", ""),
            (r#"{"logentry":{"message":"t %s","formatted":"t 1"}}"#, "t 1", ""),
            (r#"{"message":"a\u0000b\tc"}"#, "a b c", ""),
            (r"{}", "Unnamed event", ""),
            (
                r#"{"exception":{"type":"SIGSEGV","value":"Segfault","mechanism":{"synthetic":true,"handled":false},
                    "stacktrace":{"frames":[{"function":"pay","package":"/opt/shop"}]}}}"#,
                "pay: Segfault",
                "/opt/shop in pay",
            ),
            (
                r#"{"exception":{"type":"Error","value":"a string","mechanism":{"synthetic":true,"handled":true},
                    "stacktrace":{"frames":[{"function":"pay"}]}}}"#,
                "a string",
                "pay",
            ),
            (
                r#"{"exception":{"type":"E","stacktrace":{"frames":[
                    {"function":"lib","filename":"l.py","in_app":false},
                    {"function":"mine","filename":"https://x/static/app.js?v=1","in_app":true},
                    {"function":"lib","filename":"l.py","in_app":false}]}}}"#,
                "E",
                "/static/app.js in mine",
            ),
            (
                r#"{"exception":{"type":"panic","stacktrace":{"frames":[
                    {"function":"shop::pay","filename":"main.rs","in_app":true},
                    {"function":"__rustc::rust_begin_unwind","filename":"panicking.rs","in_app":true},
                    {"function":"sentry_panic::panic_handler","filename":"lib.rs","in_app":true}]}}}"#,
                "panic",
                "main.rs in shop::pay",
            ),
            (
                r#"{"exception":{"type":"panic","stacktrace":{"frames":[
                    {"function":"shop::pay"},{"function":"core::panicking::panic_fmt"}]}}}"#,
                "panic",
                "shop::pay",
            ),
            (
                r#"{"exception":{"type":"E","stacktrace":{"frames":[{"function":"?","module":"__main__","filename":"a.py"}]}}}"#,
                "E",
                "a.py",
            ),
        ];
        for (json, what, place) in table {
            assert_eq!(both(json), (what.to_owned(), place.to_owned()), "{json}");
        }
    }

    #[test]
    fn a_long_title_is_clipped() {
        let json = format!(r#"{{"message":"{}"}}"#, "ä".repeat(500));
        assert_eq!(both(&json).0.chars().count(), TITLE_CHARS_MAX);
    }
}
