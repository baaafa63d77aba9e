//! Show-it 1: every recorded request of real SDKs is accepted, and every error event in it is found again.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
};

use reqwest::Method;
use serde_json::Value;

use crate::support::{
    server::{Project, Server, Setup},
    tools::tests_file,
};

/// Where the recordings lie, below `tests`.
const CORPUS: &str = "corpus";
/// The key of the recordings, which a replay maps to a project's own.
const RECORDED_KEY: &str = "0123456789abcdef0123456789abcdef";
/// Headers that belong to the recorded connection, not to the message.
const CONNECTION_HEADERS: &[&str] =
    &["host", "connection", "content-length", "transfer-encoding", "keep-alive"];

/// A recorded request.
pub(crate) struct Recording {
    name: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

#[test]
fn every_recorded_request_is_accepted_and_every_error_is_found() {
    let server = Server::start(Setup::default());
    let project = server.project("recorded");
    let recordings = replay(&server, &project);

    let api = server.api();
    let expected: BTreeMap<String, (&str, Value)> = recordings
        .iter()
        .flat_map(|recording| {
            events_of(recording).into_iter().map(move |(id, event)| (id, (&*recording.name, event)))
        })
        .collect();
    assert!(expected.len() >= 40, "the recordings hold too few errors: {}", expected.len());
    for (event_id, (name, sent)) in &expected {
        let found = api.get(&format!("/api/v1/events/{event_id}?project={}", project.slug));
        assert_eq!(found["event_id"], event_id.as_str(), "{name}");
        assert_ne!(found["title"].as_str().unwrap_or_default(), "", "{name}: {found}");
        let thrown = exceptions(&sent["exception"]).last().map(|exception| &exception["type"]);
        let shown = found["exceptions"].as_array().and_then(|all| all.last());
        // The stack of a message without an exception is shown as one that has no type.
        let is_bare_stack = thrown.is_none() && sent["stacktrace"]["frames"].is_array();
        let expected = if is_bare_stack { Some(&Value::Null) } else { thrown };
        assert_eq!(shown.map(|last| &last["type"]), expected, "{name}");
        if is_bare_stack {
            let frames = |of: &Value| of["frames"].as_array().map(Vec::len);
            assert_eq!(shown.and_then(frames), frames(&sent["stacktrace"]), "{name}");
        }
    }
    let issues = api.list(&format!("/api/v1/issues?project={}", project.slug));
    let counted: u64 = issues.iter().map(|issue| issue["count"].as_u64().unwrap_or_default()).sum();
    assert_eq!(counted, u64::try_from(expected.len()).unwrap(), "each error counts once");
}

/// Sends every recorded request to the project; each must be accepted.
pub(crate) fn replay(server: &Server, project: &Project) -> Vec<Recording> {
    let (recordings, stranger) = (recordings(), server.stranger());
    for recording in &recordings {
        let (path, headers) = addressed_to(recording, project);
        let answer = stranger
            .send(Method::POST, &path, &headers, recording.body.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", recording.name));
        assert_eq!(answer.status, 200, "{}: {}", recording.name, answer.text());
    }
    recordings
}

fn recordings() -> Vec<Recording> {
    let folder = tests_file(CORPUS);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".body").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 100, "only {} recordings in {}", names.len(), folder.display());
    names.into_iter().map(|name| read(&name)).collect()
}

fn read(name: &str) -> Recording {
    let path = |suffix: &str| tests_file(CORPUS).join(format!("{name}.{suffix}"));
    let head: Value = serde_json::from_slice(&fs::read(path("json")).unwrap()).unwrap();
    assert_eq!(head["method"], "POST", "{name}");
    let headers = head["headers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Recording {
        name: name.to_owned(),
        path: text(&head["path"]),
        headers: headers.map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1]))).collect(),
        body: fs::read(path("body")).unwrap(),
    }
}

/// Path and headers of the recording with our project's number and key; the body stays as recorded.
fn addressed_to(recording: &Recording, project: &Project) -> (String, Vec<(String, String)>) {
    let rest =
        recording.path.strip_prefix("/api/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
    let rest = rest.unwrap_or_else(|| panic!("{}: {}", recording.name, recording.path));
    let path = format!("/api/{}/{rest}", project.id).replace(RECORDED_KEY, &project.public_key);
    let headers = recording
        .headers
        .iter()
        .filter(|(name, _)| !CONNECTION_HEADERS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.replace(RECORDED_KEY, &project.public_key)))
        .collect();
    (path, headers)
}

/// The error events of a recording by their ids; a feedback may stand among them and says so itself.
fn events_of(recording: &Recording) -> Vec<(String, Value)> {
    let body = decoded(recording);
    let events = if recording.path.contains("/store/") {
        vec![serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{}: {error}", recording.name))]
    } else {
        envelope_events(&body)
    };
    let id_of = |event: &Value| event["event_id"].as_str().expect("an event has an id").replace('-', "");
    let is_error = |event: &Value| event["type"] != "feedback";
    events.into_iter().filter(is_error).map(|event| (id_of(&event), event)).collect()
}

fn decoded(recording: &Recording) -> Vec<u8> {
    let encoding = recording.headers.iter().find(|(name, _)| name == "content-encoding");
    let mut plain = Vec::new();
    match encoding.map(|(_, value)| value.as_str()) {
        Some("gzip") => {
            flate2::read::MultiGzDecoder::new(&recording.body[..]).read_to_end(&mut plain).unwrap();
        }
        Some("deflate") => {
            flate2::read::ZlibDecoder::new(&recording.body[..]).read_to_end(&mut plain).unwrap();
        }
        Some("br") => {
            let mut decoder = brotli_decompressor::DecompressorWriter::new(&mut plain, 4096);
            decoder.write_all(&recording.body).unwrap();
            decoder.close().unwrap();
        }
        Some(other) => panic!("{}: encoding {other}", recording.name),
        None => plain.extend_from_slice(&recording.body),
    }
    plain
}

/// The payloads of the items of type `event`.
fn envelope_events(body: &[u8]) -> Vec<Value> {
    let mut rest = after_line(body).1;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (line, after) = after_line(rest);
        if line.is_empty() {
            rest = after;
            continue;
        }
        let header: Value = serde_json::from_slice(line).unwrap();
        let length = header["length"].as_u64().and_then(|length| usize::try_from(length).ok());
        let payload = length.map_or_else(|| after_line(after).0, |length| &after[..length]);
        rest = &after[payload.len()..];
        if header["type"] == "event" {
            events.push(serde_json::from_slice(payload).unwrap());
        }
    }
    events
}

/// The first line without its end, and what follows it.
fn after_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

/// Exceptions in any of the forms in which SDKs send them.
fn exceptions(sent: &Value) -> Vec<&Value> {
    match sent.get("values").unwrap_or(sent) {
        Value::Array(all) => all.iter().collect(),
        Value::Object(_) => vec![sent],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
