//! Every recorded request of real SDKs, from its headers and raw body to scrubbed events.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::base::{EventId, ProjectId, Severity, Timestamp};
use crate::issues::incoming::{Incoming, Origin, Tools};
use crate::issues::title::TITLE_CHARS_MAX;
use crate::scrub::Scrubber;

const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 1 << 20, decompressed_bytes: 16 << 20 };

struct Recorded {
    name: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Recorded {
    fn read(meta: &Path) -> Self {
        let described: Value = serde_json::from_slice(&std::fs::read(meta).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = described["headers"].as_array().unwrap();
        Self {
            name: meta.file_stem().unwrap().to_str().unwrap().to_owned(),
            path: text(&described["path"]),
            headers: headers.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
            body: std::fs::read(meta.with_extension("body")).unwrap(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn decoded(&self) -> Vec<u8> {
        let encoding = Encoding::parse(self.header("content-encoding").unwrap_or_default()).unwrap();
        let mut body = Body::new(encoding, LIMITS).unwrap();
        for chunk in self.body.chunks(1000) {
            body.push(chunk).unwrap();
        }
        body.finish().unwrap()
    }

    /// The JSON of the request's error events and transactions.
    fn events(&self, decoded: &[u8]) -> Vec<Vec<u8>> {
        if self.path.contains("/store/") {
            return vec![store::event_json(decoded, LIMITS.decompressed_bytes).unwrap().into_owned()];
        }
        let envelope = Envelope::parse(decoded).unwrap();
        assert!(
            envelope.items.iter().all(|item| !matches!(item.kind, ItemKind::Unknown(_))),
            "{}",
            self.name
        );
        let is_event = |item: &&Item<'_>| {
            matches!(item.kind, ItemKind::Event | ItemKind::Transaction | ItemKind::Feedback)
        };
        envelope.items.iter().filter(is_event).map(|item| item.payload.to_vec()).collect()
    }
}

fn corpus() -> Vec<Recorded> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|file| Recorded::read(file)).collect()
}

#[test]
fn every_recorded_request_names_its_key() {
    for recorded in corpus() {
        let found = auth::credentials(&AuthSources {
            x_sentry_auth: recorded.header("x-sentry-auth"),
            authorization: recorded.header("authorization"),
            query: recorded.path.split_once('?').map(|(_, query)| query),
        });
        assert_eq!(found.unwrap().public_key[..4], [0x01, 0x23, 0x45, 0x67], "{}", recorded.name);
    }
}

#[test]
fn every_recorded_request_is_decoded_framed_and_scrubbed() {
    let (mut requests, mut events) = (0, 0);
    for recorded in corpus() {
        requests += 1;
        for event in recorded.events(&recorded.decoded()) {
            events += 1;
            let scrubbed = Scrubber::default().event(&event).unwrap();
            assert_eq!(scrubbed.warnings, [], "{}", recorded.name);
            let before: Value = serde_json::from_slice(&event).unwrap();
            let after: Value = serde_json::from_slice(&scrubbed.json).unwrap();
            let mut differences = Vec::new();
            differ(&before, &after, &mut String::new(), &mut differences);
            for (path, after) in &differences {
                let filtered = after.as_str().is_some_and(|text| text.contains("[Filtered]"));
                let expected = EXPECTED.iter().any(|place| path.contains(place));
                assert!(filtered && expected, "{path} of {} became {after}", recorded.name);
            }
        }
    }
    assert!(requests > 100 && events > 50, "{requests} requests, {events} events");
}

/// What the fuzz target `event` asks of any bytes, asked of recorded events.
#[test]
fn what_is_stored_of_an_event_is_titled_and_grouped_as_what_came() {
    let origin = Origin {
        project: ProjectId(1),
        received_at: Timestamp::from_secs(1_800_000_000),
        event: None,
        fallback_event: EventId([7; 16]),
        severity_max: Severity::High,
    };
    let tools = Tools::default();
    let prepare = |json: &[u8]| Incoming::prepare(&origin, &tools, json).ok();
    let mut found = 0;
    for recorded in corpus() {
        for json in recorded.events(&recorded.decoded()) {
            // What stands there as another kind of data is none.
            let Some(event) = prepare(&json) else { continue };
            assert!(event.title.chars().count() <= TITLE_CHARS_MAX, "{}", recorded.name);
            let again = prepare(&event.payload.json().unwrap()).unwrap();
            assert_eq!((again.title, again.culprit), (event.title, event.culprit), "{}", recorded.name);
            assert_eq!(again.grouping.key, event.grouping.key, "{}", recorded.name);
            found += 1;
        }
    }
    assert!(found > 40, "{found} events");
}

#[test]
fn recorded_client_reports_are_read() {
    let mut found = 0;
    for recorded in corpus().iter().filter(|recorded| recorded.path.contains("/envelope/")) {
        let decoded = recorded.decoded();
        for item in Envelope::parse(&decoded).unwrap().items {
            if item.kind == ItemKind::ClientReport {
                found += client_report::parse(item.payload).unwrap().len();
            }
        }
    }
    assert!(found > 0);
}

/// Where the recorded applications handled secrets: a password in a variable and its source line, form tokens, the
/// DSN with its secret as an argument, and a parser's `tokens`.
const EXPECTED: [&str; 5] =
    [".password", ".pre_context.", ".csrfmiddlewaretoken", ".sys.argv.1", ".vars.tokens"];

/// Collects the places in which two values differ, and what stands there now.
fn differ(before: &Value, after: &Value, path: &mut String, found: &mut Vec<(String, Value)>) {
    let length = path.len();
    match (before, after) {
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            for (key, value) in one {
                path.extend([".", key.as_str()]);
                differ(value, other.get(key).unwrap_or(&Value::Null), path, found);
                path.truncate(length);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (value, other)) in one.iter().zip(other).enumerate() {
                path.extend([".", at.to_string().as_str()]);
                differ(value, other, path, found);
                path.truncate(length);
            }
        }
        (one, other) if one == other => {}
        (_, other) => found.push((path.clone(), other.clone())),
    }
}
