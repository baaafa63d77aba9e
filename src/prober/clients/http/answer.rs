//! What an answer says, as conditions ask for it and as people read it.

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Response, Version};
use serde_json::{Map, Value as Json};

use crate::prober::clients::question::Looking;
use crate::prober::clients::visible::{visible, visible_line};
use crate::probes::condition::{Tree, Unit, Value};

/// Headers whose values open doors.
const SECRET: [HeaderName; 2] = [header::AUTHORIZATION, header::PROXY_AUTHORIZATION];
const HIDDEN: &str = "[hidden]";

/// The status line and the headers.
pub(super) fn state_head<B>(response: &Response<B>, looking: &mut Looking) {
    let status = response.status();
    let own_words = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = own_words.map_or_else(
        || status.canonical_reason().unwrap_or_default().to_owned(),
        |words| visible_line(words.as_bytes()),
    );
    let version = if response.version() == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let line = format!("{version} {} {reason}", status.as_u16());
    line.trim_end().clone_into(&mut looking.sample.head);
    looking.facts.set("status", Value::plain(f64::from(status.as_u16())));
    looking.sample.lines = lines(response.headers());
    let tree = tree(&looking.sample.lines);
    looking.facts.set_tree("header", Tree::of_json(tree));
}

/// The body that was read; the sample keeps its beginning.
pub(super) fn state_body(is_whole: bool, looking: &mut Looking) {
    let body = std::mem::take(&mut looking.body);
    #[expect(clippy::cast_precision_loss, reason = "a body of a mebibyte is exact")]
    let size = body.len() as f64;
    looking.facts.set("size", Value::Number(size, Unit::Bytes));
    looking.sample.body = visible(&body);
    if !is_whole {
        let line = format!("read up to here, {} KiB", body.len() / 1024);
        looking.sample.lines.insert(0, ("body".to_owned(), line));
    }
    let text = String::from_utf8(body)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    looking.facts.set_tree("body", Tree::of_text(text));
}

/// A line per name; values of a name that comes several times follow each other.
fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .keys()
        .map(|name| {
            let values: Vec<String> =
                headers.get_all(name).iter().map(|value| shown(name, value.as_bytes())).collect();
            (name.as_str().to_owned(), values.join(", "))
        })
        .collect()
}

fn tree(lines: &[(String, String)]) -> Json {
    let members = lines.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str())));
    Json::Object(members.collect::<Map<_, _>>())
}

/// A value as far as people and alarms may know it. Of a cookie that is its name, and how it may be used.
fn shown(name: &HeaderName, value: &[u8]) -> String {
    if SECRET.contains(name) {
        return HIDDEN.to_owned();
    }
    let value = visible_line(value);
    if name != header::SET_COOKIE {
        return value;
    }
    let (pair, attributes) = value.split_at(value.find(';').unwrap_or(value.len()));
    match pair.split_once('=') {
        Some((name, _)) => format!("{name}={HIDDEN}{attributes}"),
        None => format!("{HIDDEN}{attributes}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_open_doors_are_hidden() {
        for (name, value, says) in [
            ("set-cookie", "sid=abc123; Path=/; Secure", "sid=[hidden]; Path=/; Secure"),
            ("set-cookie", "abc123", "[hidden]"),
            ("authorization", "Bearer x", "[hidden]"),
            ("server", "nginx\u{1b}[2J", "nginx\\u{1b}[2J"),
        ] {
            assert_eq!(shown(&name.parse().unwrap(), value.as_bytes()), says);
        }
    }
}
