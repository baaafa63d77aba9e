//! The bodies of the load: one recorded error event made into many, each sent with a fresh id without
//! being compressed again.

use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Map, Value, json};
use tocsin::base::Timestamp;

use crate::load::Requests;
use crate::wire::Target;

/// The recorded request that every body is made from: 7.5 kB, 2.8 kB as gzip.
const RECORDED: &str = "tests/corpus/python2x-flask-017.body";
/// Bodies per issue, so that neither side profits from seeing the same bytes again and again.
const VARIANTS: usize = 20;
/// What SDKs and `gzip` use.
const LEVEL: u32 = 6;
const SEED: u64 = 17;

const ID: &str = "00000000000000000000000000000000";
const TIME: &str = "2000-01-01T00:00:00.000000Z";

/// A whole HTTP request with holes for the event id and the time.
///
/// Its gzip body is one stored deflate block (envelope header, item header and the first two members of
/// the event: everything that changes) and one compressed block (the rest). To send it again only the holes
/// and the checksum are written.
pub(crate) struct Template {
    request: Vec<u8>,
    stored: Range<usize>,
    ids: Vec<usize>,
    times: Vec<usize>,
    checksum_at: usize,
    /// The compressed part in plain, for the checksum.
    rest: Vec<u8>,
}

/// Makes `issues` × [`VARIANTS`] events for one project and checks that each of them is the gzip stream it claims to be.
pub(crate) fn requests(target: &Target, issues: usize) -> Result<Requests> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED);
    let event = recorded_event(&path).with_context(|| format!("read {}", path.display()))?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut templates = Vec::with_capacity(issues * VARIANTS);
    for issue in 0..issues {
        for _ in 0..VARIANTS {
            let template = Template::new(target, &vary(&event, issue, &mut random))?;
            template.check()?;
            templates.push(template);
        }
    }
    Ok(Requests::Events(templates))
}

impl Template {
    fn new(target: &Target, event: &Map<String, Value>) -> Result<Self> {
        let Target { address, project, public_key } = target;
        let members = serde_json::to_string(event)?;
        let rest = format!("{}\n", members.trim_start_matches('{')).into_bytes();
        let event_start = format!(r#"{{"event_id":"{ID}","timestamp":"{TIME}","#);
        let length = event_start.len() + rest.len() - 1;
        let stored = format!(
            "{{\"event_id\":\"{ID}\",\"sent_at\":\"{TIME}\",\"dsn\":\"http://{public_key}@{address}/{project}\"}}\n\
             {{\"type\":\"event\",\"content_type\":\"application/json\",\"length\":{length}}}\n{event_start}"
        );
        let (body, stored_at) = gzip(stored.as_bytes(), &rest)?;
        let mut request = format!(
            "POST /api/{project}/envelope/ HTTP/1.1\r\nHost: {address}\r\nUser-Agent: sentry.python.flask/2.75.0\r\n\
             Content-Type: application/x-sentry-envelope\r\nContent-Encoding: gzip\r\nX-Sentry-Auth: Sentry \
             sentry_key={public_key}, sentry_version=7, sentry_client=sentry.python/2.75.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        let stored_at = request.len() + stored_at;
        request.extend_from_slice(&body);
        let holes = |needle| stored.match_indices(needle).map(|(at, _)| stored_at + at).collect();
        Ok(Self {
            ids: holes(ID),
            times: holes(TIME),
            stored: stored_at..stored_at + stored.len(),
            checksum_at: request.len() - 8,
            request,
            rest,
        })
    }

    /// Writes the request into `buffer` with a new random event id and the time given.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>, random: &mut fastrand::Rng, now: Timestamp) {
        let id = uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid().simple();
        let (id, time) = (id.to_string(), now.to_rfc3339());
        buffer.clear();
        buffer.extend_from_slice(&self.request);
        for &at in &self.ids {
            buffer[at..at + ID.len()].copy_from_slice(id.as_bytes());
        }
        for &at in &self.times {
            buffer[at..at + TIME.len()].copy_from_slice(time.as_bytes());
        }
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&buffer[self.stored.clone()]);
        checksum.update(&self.rest);
        buffer[self.checksum_at..self.checksum_at + 4].copy_from_slice(&checksum.finalize().to_le_bytes());
    }

    fn check(&self) -> Result<()> {
        let mut buffer = Vec::new();
        self.write(&mut buffer, &mut fastrand::Rng::with_seed(SEED), Timestamp::EPOCH);
        let head = buffer.windows(4).position(|end| end == b"\r\n\r\n").context("no end of head")? + 4;
        let mut plain = Vec::new();
        GzDecoder::new(&buffer[head..]).read_to_end(&mut plain)?;
        ensure!(plain.ends_with(&self.rest), "the body does not unpack to what was packed");
        ensure!(self.ids.len() == 2 && self.times.len() == 2, "an id or a time would stay the same");
        ensure!(!buffer.windows(ID.len()).any(|bytes| bytes == ID.as_bytes()), "an id was not replaced");
        Ok(())
    }
}

/// One gzip member: `stored` as it is, then `rest` compressed. Returns where in it `stored` begins.
fn gzip(stored: &[u8], rest: &[u8]) -> Result<(Vec<u8>, usize)> {
    let length = u16::try_from(stored.len())?;
    let plain_length = u32::try_from(stored.len() + rest.len())?;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 0];
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    let stored_at = out.len();
    out.extend_from_slice(stored);
    let mut encoder = DeflateEncoder::new(out, Compression::new(LEVEL));
    encoder.write_all(rest)?;
    let mut out = encoder.finish()?;
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&plain_length.to_le_bytes());
    Ok((out, stored_at))
}

fn recorded_event(path: &Path) -> Result<Value> {
    let mut plain = Vec::new();
    GzDecoder::new(&std::fs::read(path)?[..]).read_to_end(&mut plain)?;
    let payload = plain.splitn(3, |&byte| byte == b'\n').nth(2).context("no item in the envelope")?;
    let mut values = serde_json::Deserializer::from_slice(payload).into_iter();
    Ok(values.next().context("no event in the envelope")??)
}

/// Another event of the same kind: exception, culprit and line tell the issue; user, breadcrumbs and local
/// variables differ from event to event. The id and the time are left out.
fn vary(event: &Value, issue: usize, random: &mut fastrand::Rng) -> Map<String, Value> {
    let mut event = event.clone();
    for exception in list(&mut event, "/exception/values") {
        append(&mut exception["type"], &format!("G{issue:03}"));
        append(&mut exception["value"], &format!(" [{issue}]"));
        for frame in list(exception, "/stacktrace/frames") {
            if let Some(vars) = frame["vars"].as_object_mut() {
                vars.insert("request_nonce".to_owned(), json!(format!("'{:016x}'", random.u64(..))));
            }
        }
        if let Some(crashed) = list(exception, "/stacktrace/frames").last_mut() {
            append(&mut crashed["function"], &format!("_{issue}"));
            crashed["lineno"] = json!(100 + issue);
        }
    }
    for breadcrumb in list(&mut event, "/breadcrumbs/values") {
        append(&mut breadcrumb["message"], &format!(" #{}", random.u32(..1_000_000)));
    }
    append(&mut event["transaction"], &format!("_{}", issue % 10));
    let user = random.u32(..100_000);
    event["user"] = json!({
        "id": user.to_string(),
        "email": format!("user{user}@example.com"),
        "username": format!("u{user}"),
        "ip_address": format!("203.0.{}.{}", random.u8(..), random.u8(..)),
    });
    let mut members = match event {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    members.remove("event_id");
    members.remove("timestamp");
    members
}

fn list<'a>(value: &'a mut Value, pointer: &str) -> &'a mut [Value] {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

fn append(text: &mut Value, suffix: &str) {
    if let Value::String(text) = text {
        text.push_str(suffix);
    }
}
