//! A message as Slack's `text` and `blocks`, inside Slack's limits.

use serde_json::{Value, json};

use super::super::message::{List, Message};
use crate::base::text::clip;

/// Slack: a header is at most 150 characters.
const HEADER_CHARS_MAX: usize = 150;
/// Slack: the text of a section is at most 3,000 characters.
const SECTION_CHARS_MAX: usize = 3_000;
/// All blocks together: Slack refuses about 13,200 characters (`msg_blocks_too_long`, not documented).
const TOTAL_CHARS_MAX: usize = 12_000;
/// Slack advises 4,000 characters for `text`; it is what a phone shows on its lock screen.
const TEXT_CHARS_MAX: usize = 1_000;

pub(in super::super) fn body(message: &Message) -> Value {
    let mut room = TOTAL_CHARS_MAX;
    let headline = clip(&message.headline, HEADER_CHARS_MAX);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": headline, "emoji": false },
    })];
    let lines: Vec<String> =
        message.lines.iter().map(|line| format!("*{}*  {}", line.label, escape(&line.text))).collect();
    let sections = [lines.join("\n")].into_iter().chain(message.lists.iter().map(list_text));
    for text in sections.filter(|text| !text.is_empty()) {
        let text = cut(&text, SECTION_CHARS_MAX.min(room));
        room = room.saturating_sub(text.chars().count());
        blocks.push(section(&text));
    }
    if let Some(link) = &message.link {
        // A link in text, not a button: an app without interactivity shows an error beside every button.
        blocks.push(section(&format!("*<{}|{}>*", escape(&link.url), escape(link.label))));
    }
    let context: Vec<&str> = message.note.as_deref().into_iter().chain([message.sender.as_str()]).collect();
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "plain_text", "text": context.join(" · "), "emoji": false }],
    }));
    json!({
        "text": cut(&escape(&fallback(message)), TEXT_CHARS_MAX),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// What notifications and screen readers get: the project and the first lines.
fn fallback(message: &Message) -> String {
    let what = message.lines.first().map_or("", |line| line.text.as_str());
    format!("{} ({})\n{what}", message.headline, message.sender)
}

fn section(text: &str) -> Value {
    // `verbatim` keeps Slack from turning words of strangers into links and mentions.
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

fn list_text(list: &List) -> String {
    let items = list.items.iter().map(|item| format!("\n• {}", escape(item)));
    let more = list.more.iter().map(|more| format!("\n{}", escape(more)));
    std::iter::once(format!("*{}*", escape(&list.title))).chain(items).chain(more).collect()
}

/// Slack's three control characters (`&`, `<`, `>`) as entities; back quotes would open code.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            other => out.push(other),
        }
    }
    out
}

/// Cut between characters and never inside an entity, marked by `…`.
fn cut(text: &str, chars_max: usize) -> String {
    let cut = clip(text, chars_max);
    match cut.rfind('&') {
        Some(at) if cut.ends_with('…') && !cut[at..].contains(';') => format!("{}…", &cut[..at]),
        Some(_) | None => cut.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_a_mention_a_link_or_half_an_entity(text: String, chars_max in 1usize..40) {
            let shown = cut(&escape(&text), chars_max);
            prop_assert!(shown.chars().count() <= chars_max);
            prop_assert!(!shown.contains(['<', '>', '`']));
            for part in shown.split('&').skip(1) {
                prop_assert!(["amp;", "lt;", "gt;"].iter().any(|entity| part.starts_with(entity)), "{}", shown);
            }
        }
    }
}
