//! Entries as types: every key that is unknown, missing or of the wrong kind, told at its line.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::tree::Entry;
use crate::base::nearest::nearest;
use crate::base::text::clip;

/// Whoever has this many to mend in one entry mends some and asks again.
const TOLD_MAX: usize = 20;
/// Several times what the largest has. Finding who is at fault takes a look at each.
const FIELDS_MAX: usize = 200;

/// The entry as a `T`, which must refuse fields that it does not know.
pub(super) fn read<T: DeserializeOwned>(entry: &Entry, problems: &mut Vec<Problem>) -> Option<T> {
    read_with(entry, problems, |fields| {
        serde_json::from_value(Value::Object(fields.clone())).map_err(|error| error.to_string())
    })
}

/// The entry as whatever `understand` makes of its fields. What it says on failure is read as serde's words; it is asked
/// again without the fields that were told, so that one run tells all.
pub(super) fn read_with<T>(
    entry: &Entry,
    problems: &mut Vec<Problem>,
    understand: impl Fn(&Map<String, Value>) -> Result<T, String>,
) -> Option<T> {
    if entry.fields.len() > FIELDS_MAX {
        problems.push(entry.problem("", format!("at most {FIELDS_MAX} keys")));
        return None;
    }
    let (mut fields, mut is_whole) = (entry.fields.clone(), true);
    // Each round takes one field away.
    for _ in 0..TOLD_MAX {
        let error = match understand(&fields) {
            Ok(read) => return is_whole.then_some(read),
            Err(error) => error,
        };
        // What is missing once something was told may be what was told: misspelt, or of the wrong kind.
        if !is_whole && missing(&error).is_some() {
            return None;
        }
        is_whole = false;
        let culprit = culprit(&fields, &error, &understand);
        problems.push(told(entry, culprit.as_deref(), &error));
        match culprit {
            Some(name) => drop(fields.remove(&name)),
            None => return None,
        }
    }
    None
}

/// The field without which it fails otherwise, or not at all.
fn culprit<T>(
    fields: &Map<String, Value>,
    error: &str,
    understand: &impl Fn(&Map<String, Value>) -> Result<T, String>,
) -> Option<String> {
    if missing(error).is_some() {
        return None;
    }
    let is_it = |name: &&String| {
        let mut without = fields.clone();
        without.remove(*name);
        match understand(&without) {
            Ok(_) => true,
            Err(other) => other != error,
        }
    };
    // Without its kind everything is another thing: that is looked at last.
    let rest =
        || fields.keys().filter(|name| *name != "kind").chain(fields.keys().filter(|name| *name == "kind"));
    let named = unknown(error).map(|(name, _)| name).or_else(|| error.split_once(": ").map(|(name, _)| name));
    let named = named.and_then(|name| fields.keys().find(|field| *field == name));
    named.filter(is_it).or_else(|| rest().find(is_it)).cloned()
}

fn told(entry: &Entry, culprit: Option<&str>, error: &str) -> Problem {
    if let Some(name) = missing(error) {
        return entry.problem("", format!("{name} is missing"));
    }
    let Some(field) = culprit else { return entry.problem("", words(error)) };
    let Some((name, known)) = unknown(error) else {
        let words = words(error);
        let text = if words.starts_with(field) { words } else { format!("{field}: {words}") };
        return entry.problem(field, text);
    };
    let (path, before) = if name == field {
        (field.to_owned(), String::new())
    } else {
        (format!("{field}.{name}"), format!("{field}: "))
    };
    entry.problem(&path, format!("{before}{}", unknown_words(name, &known)))
}

/// `is no key` with the one that was probably meant.
pub(super) fn unknown_words(name: &str, known: &[&str]) -> String {
    let shown = clip(name, 80);
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("`{shown}` is not a key here; did you mean `{near}`?"),
        None if known.is_empty() => format!("`{shown}` is not a key here; there are none"),
        None => format!("`{shown}` is not a key here; there are {}", known.join(", ")),
    }
}

/// Of serde's `missing field`.
fn missing(error: &str) -> Option<&str> {
    between(error, "missing field `")
}

/// Of serde's `unknown field`: its name and those that are known.
pub(super) fn unknown(error: &str) -> Option<(&str, Vec<&str>)> {
    let name = between(error, "unknown field `")?;
    let expected = error.split_once(", expected ").map_or("", |(_, after)| after);
    Some((name, expected.split('`').skip(1).step_by(2).collect()))
}

fn between<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(before)?;
    after.split_once('`').map(|(inside, _)| inside)
}

/// serde's words for people. What was found is not repeated: it might be a secret in the wrong place.
fn words(error: &str) -> String {
    let error = error.split_once(" at line ").map_or(error, |(before, _)| before);
    if let Some((found, expected)) = split(error, "invalid type: ") {
        return format!("takes {}; found {}", kind(expected), kind(found));
    }
    if let Some((_, expected)) = split(error, "invalid value: ") {
        return format!("is out of bounds: takes {}", kind(expected));
    }
    if let Some(found) = between(error, "unknown variant `") {
        let expected = error.split_once(", expected ").map_or("", |(_, after)| after);
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let hint = nearest(found, known.iter().copied());
        let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return format!("takes one of {}{hint}", known.join(", "));
    }
    error.to_owned()
}

fn split<'a>(error: &'a str, before: &str) -> Option<(&'a str, &'a str)> {
    error.split_once(before)?.1.rsplit_once(", expected ")
}

fn kind(word: &str) -> &str {
    match word.split_whitespace().next().unwrap_or_default() {
        "string" => "text",
        "integer" | "i64" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "floating" | "f64" => "a number",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" | "struct" => "a table",
        "null" => "nothing",
        "a" | "an" => match word {
            "a string" => "text",
            "a boolean" => "true or false",
            "a sequence" => "a list",
            "a map" => "a table",
            other => other,
        },
        _ => word,
    }
}
