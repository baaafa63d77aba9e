//! What an answer says, as conditions ask for it and as people read it.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, Version};
use serde_json::{Map, Value as Json};

use crate::prober::clients::question::Looking;
use crate::probes::condition::{Tree, Unit, Value};

/// The status line and the headers.
pub(super) fn state_head<B>(response: &Response<B>, looking: &mut Looking) {
    let status = response.status();
    let own_words = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = own_words.map_or_else(
        || status.canonical_reason().unwrap_or_default().to_owned(),
        |words| String::from_utf8_lossy(words.as_bytes()).into_owned(),
    );
    let version = if response.version() == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let line = format!("{version} {} {reason}", status.as_u16());
    line.trim_end().clone_into(&mut looking.sample.head);
    looking.facts.set("status", Value::plain(f64::from(status.as_u16())));
    looking.sample.lines = lines(response.headers());
    looking.facts.set_tree("header", Tree::of_json(tree(response.headers())));
}

/// The body that was read.
pub(super) fn state_body(is_whole: bool, looking: &mut Looking) {
    let body = std::mem::take(&mut looking.body);
    #[expect(clippy::cast_precision_loss, reason = "a body of a mebibyte is exact")]
    let size = body.len() as f64;
    looking.facts.set("size", Value::Number(size, Unit::Bytes));
    if !is_whole {
        let line = format!("read up to here, {} KiB", body.len() / 1024);
        looking.sample.lines.insert(0, ("body".to_owned(), line));
    }
    let text = String::from_utf8(body)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    looking.sample.body.clone_from(&text);
    looking.facts.set_tree("body", Tree::of_text(text));
}

/// A line per header.
fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text_of(value))).collect()
}

/// By name; values of a name that comes several times follow each other.
fn tree(headers: &HeaderMap) -> Json {
    let value = |name: &HeaderName| {
        let values: Vec<String> = headers.get_all(name).iter().map(text_of).collect();
        Json::from(values.join(", "))
    };
    Json::Object(headers.keys().map(|name| (name.as_str().to_owned(), value(name))).collect::<Map<_, _>>())
}

fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
