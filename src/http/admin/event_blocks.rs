//! One stored event as blocks of a page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::stack::{self, ExceptionBlock};
use super::values::{Pair, pairs, text};
use super::wording::When;
use crate::base::Timestamp;
use crate::issues::EventView;

/// What an event says, in the order in which it is read.
pub(super) struct EventBlocks {
    pub(super) id: String,
    pub(super) project: String,
    pub(super) at: When,
    pub(super) level: &'static str,
    /// Beside the exceptions; empty where the title says the same.
    pub(super) message: String,
    pub(super) exceptions: Vec<ExceptionBlock>,
    pub(super) crumbs: Vec<Crumb>,
    /// Older breadcrumbs, folded.
    pub(super) older_crumbs: Vec<Crumb>,
    pub(super) tags: Vec<Tag>,
    pub(super) user: Vec<Pair>,
    pub(super) request: Option<RequestBlock>,
    pub(super) contexts: Vec<(String, Vec<Pair>)>,
    pub(super) extra: Vec<Pair>,
    pub(super) warnings: Vec<Pair>,
}

/// A tag; a few can be searched for.
pub(super) struct Tag {
    pub(super) name: String,
    pub(super) value: String,
    /// The list of what shares it; empty where lists cannot tell.
    pub(super) address: String,
}

pub(super) struct RequestBlock {
    /// `POST https://shop.example/pay?n=1`
    pub(super) line: String,
    pub(super) headers: Vec<Pair>,
    pub(super) cookies: Vec<Pair>,
    /// The body, the environment and whatever else was sent.
    pub(super) rest: Vec<Pair>,
}

pub(super) struct Crumb {
    /// `03:02:09.120`
    pub(super) at: String,
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) is_bad: bool,
}

/// What happened just before is what tells; the rest is folded.
const CRUMBS_SHOWN: usize = 15;

impl EventBlocks {
    pub(super) fn new(event: EventView, now: Timestamp) -> Self {
        let tags = tags(&event);
        let mut crumbs: Vec<Crumb> = event.breadcrumbs.iter().filter_map(crumb).collect();
        let recent = crumbs.split_off(crumbs.len().saturating_sub(CRUMBS_SHOWN));
        let message = event.message.filter(|message| !event.title.contains(message.as_str()));
        Self {
            id: event.event_id.to_string(),
            project: event.project,
            at: When::new(event.timestamp, now),
            level: event.level.as_str(),
            message: message.unwrap_or_default(),
            exceptions: stack::blocks(event.exceptions),
            crumbs: recent,
            older_crumbs: crumbs,
            tags,
            user: pairs(event.user),
            request: request(event.request),
            contexts: event.contexts.into_iter().filter_map(context).collect(),
            extra: pairs(event.extra),
            warnings: event.warnings.into_iter().map(warning).collect(),
        }
    }
}

fn warning(warning: crate::issues::Warning) -> Pair {
    let name = if warning.path.is_empty() { "event".to_owned() } else { warning.path.into_owned() };
    Pair { name, value: warning.detail.into_owned() }
}

fn tags(event: &EventView) -> Vec<Tag> {
    let word = |name: &str, value: &str| {
        let is_word = !value.is_empty() && !value.contains(char::is_whitespace);
        let query = format!("{name}:{value}");
        let query = utf8_percent_encode(&query, NON_ALPHANUMERIC);
        if is_word { format!("/issues?query={query}") } else { String::new() }
    };
    let known = [("environment", Some(&event.environment)), ("release", event.release.as_ref())];
    let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut tags: Vec<Tag> = known
        .map(|(name, value)| Tag { name: name.to_owned(), value: value.clone(), address: word(name, value) })
        .collect();
    let more = [("transaction", event.transaction.as_deref()), ("platform", Some(event.platform.as_str()))];
    let more = more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let sent = event.tags.iter().map(|(name, value)| (name.clone(), value.clone()));
    tags.extend(more.chain(sent).map(|(name, value)| Tag { name, value, address: String::new() }));
    tags
}

fn request(mut request: Map<String, Value>) -> Option<RequestBlock> {
    let mut take = |name: &str| request.remove(name);
    let as_text = |value: Option<Value>| value.map_or_else(String::new, |value| text(&value));
    let as_pairs = |value: Option<Value>| match value {
        Some(Value::Object(object)) => pairs(object),
        Some(_) | None => Vec::new(),
    };
    let (method, url, query) = (as_text(take("method")), as_text(take("url")), as_text(take("query_string")));
    let query = if query.is_empty() || url.contains('?') { String::new() } else { format!("?{query}") };
    let line = format!("{method} {url}{query}").trim().to_owned();
    let (headers, cookies) = (as_pairs(take("headers")), as_pairs(take("cookies")));
    let block = RequestBlock { line, headers, cookies, rest: pairs(request) };
    let is_empty = block.line.is_empty() && block.headers.is_empty() && block.rest.is_empty();
    (!is_empty).then_some(block)
}

fn context((name, value): (String, Value)) -> Option<(String, Vec<Pair>)> {
    let Value::Object(mut members) = value else {
        return Some((name, vec![Pair { name: String::new(), value: text(&value) }]));
    };
    // Says what kind of context it is, which its name says already.
    if members.get("type").and_then(Value::as_str) == Some(name.as_str()) {
        members.remove("type");
    }
    (!members.is_empty()).then(|| (name, pairs(members)))
}

fn crumb(crumb: &Value) -> Option<Crumb> {
    let field = |name: &str| crumb.get(name).and_then(Value::as_str).unwrap_or("");
    let kind = [field("category"), field("type")].into_iter().find(|kind| !kind.is_empty()).unwrap_or("");
    let said = [field("message").to_owned(), data_text(crumb.get("data"))];
    let said: Vec<&str> = said.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let at = Timestamp::parse_rfc3339(field("timestamp"));
    let is_empty = kind.is_empty() && said.is_empty();
    (!is_empty).then(|| Crumb {
        at: at.map_or_else(String::new, |at| at.to_chrono().format("%H:%M:%S%.3f").to_string()),
        kind: kind.to_owned(),
        text: said.join(" "),
        is_bad: matches!(field("level"), "error" | "fatal" | "critical"),
    })
}

/// Requests read as requests, anything else as names and values.
fn data_text(data: Option<&Value>) -> String {
    let Some(Value::Object(data)) = data else { return String::new() };
    let text_of = |name: &str| data.get(name).map(text);
    if let Some(url) = text_of("url") {
        let parts = [text_of("method"), Some(url), text_of("status_code")];
        return parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    data.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_breadcrumb_is_one_line() {
        let line =
            crumb(&json!({"timestamp": "2026-01-02T03:04:05.678Z", "category": "http", "level": "error",
            "data": {"url": "https://api", "method": "POST", "status_code": 500, "x": 1}}))
            .unwrap();
        assert_eq!((line.at.as_str(), line.kind.as_str()), ("03:04:05.678", "http"));
        assert_eq!(line.text, "POST https://api 500");
        assert!(line.is_bad);
        assert!(crumb(&json!({"timestamp": "2026-01-02T03:04:05Z"})).is_none(), "nothing to say");
    }

    #[test]
    fn a_request_reads_as_a_request() {
        let Value::Object(sent) = json!({"url": "http://x/pay", "method": "POST", "query_string": "n=1",
            "headers": {"Host": "x"}, "data": {"a": 1}})
        else {
            unreachable!()
        };
        let block = request(sent).unwrap();
        assert_eq!(block.line, "POST http://x/pay?n=1");
        assert_eq!(block.headers.len(), 1);
        assert_eq!(block.rest, [Pair { name: "data".to_owned(), value: r#"{"a":1}"#.to_owned() }]);
        assert!(request(Map::new()).is_none());
    }

    #[test]
    fn a_context_does_not_repeat_its_name() {
        let of = |value| context(("os".to_owned(), value));
        assert_eq!(of(json!({"type": "os", "name": "Linux"})).unwrap().1.len(), 1);
        assert!(of(json!({"type": "os"})).is_none());
    }
}
