//! Writes the first inputs of every target from the recorded requests: `seeds CORPUS FOLDER`.

use std::error::Error;
use std::path::Path;

// Brings the runtime that the instrumentation calls.
use libfuzzer_sys as _;
use serde_json::Value;
use tocsin::sentry::{Body, BodyLimits, Encoding, Envelope, ItemKind};

const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 1 << 20, decompressed_bytes: 16 << 20 };
/// Texts near which faults were found: long walks that lead nowhere, values in keys, numbers too long to be codes.
const TEXTS: [&str; 12] = [
    "-eyJ-eyJ-eyJ-eyJ",
    "ask-ask-ask-sk-",
    "token=bearer bearer bearer token abc",
    "password=[password=[password=[",
    "token=token=token=(",
    r"token=\''token=\''",
    "password='$2b$12$R9h/cIPz0gi.URNNX3kh2O'",
    "password=%(pw)s token=${TOKEN} otp={{ otp }} pwd=<pwd>",
    r#"{"password":"hunter2"}"#,
    "cookie: %cookie: %cookie: {",
    "job_12345678901.5",
    "job_11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
];
/// Conditions of a probe over HTTP, each with an answer.
const CONDITIONS: [&str; 8] = [
    "status < 300\n",
    "body.queue.depth < 100 and not header.x-ill exists\n{\"queue\":{\"depth\":7}}",
    "all(body.items[*].ok) == true or any(body.items[*].n) in (1, 2)\n{\"items\":[{\"ok\":true,\"n\":2}]}",
    "length(body.items) > 0\n{\"items\":[]}",
    "age(body.at) < 15m\n{\"at\":\"2027-01-15T08:00:00Z\"}",
    "body['a b'][0].c matches '^x*y$' and time.total <= 500ms\n{\"a b\":[{\"c\":\"xxy\"}]}",
    "(size < 1.5MiB or cert.expires_in > 14d) and cert.issuer contains \"R3\"\n[]",
    "not (body not contains 'no' or status not in (200, 204))\nyes",
];
/// Answers of a name server without their question: a count, then records; before them the number of the record asked
/// for, twice, and one.
const ANSWERS: [(u8, &[u8]); 6] = [
    (0, b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01"),
    (2, b"\xc0\x0c\x01\x01\0\x01\0\0\0\x3c\0\x16\0\x05issueletsencrypt.org"),
    (4, b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x09\0\x0a\x04mail\xc0\x10"),
    (7, b"\xc0\x0c\0\x06\0\x01\0\0\0\x3c\0\x18\xc0\x0c\xc0\x0c\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05"),
    (8, b"\xc0\x0c\0\x21\0\x01\0\0\0\x3c\0\x08\0\x01\0\x02\x13\xc4\xc0\x0c"),
    (9, b"\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x06\x02ab\x02cd"),
];
/// A path, and behind a line break its query.
const PINGS: [&str; 4] = [
    "/ping/0190c2f4-8c1e-7d3a-9b5e-3f2a1c4d5e6f/start\nrid=0190c2f4-8c1e-7d3a-9b5e-3f2a1c4d5e6f",
    "/ping/abcDEF_-0123456789abcd/db-backup/255/\ncreate=1",
    "/ping/abcDEF_-0123456789abcd/db-backup/log\n",
    "/ping/0190C2F4-8C1E-7D3A-9B5E-3F2A1C4D5E6F\ncreate=%31&rid=",
];
const CHECK_INS: [&str; 2] = [
    r#"{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"a","status":"ok","duration":1.5,"monitor_config":
        {"schedule":{"type":"crontab","value":"0 3 * * MON-FRI"},"timezone":"Europe/Berlin","checkin_margin":5}}"#,
    r#"{"monitor_slug":"a b","status":"in_progress","environment":"x","monitor_config":
        {"schedule":{"type":"interval","value":2,"unit":"month"},"max_runtime":30,"recovery_threshold":2}}"#,
];
/// Larger inputs make a fuzzer slow and teach it little.
const SEED_BYTES_MAX: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, corpus, folder] = &arguments[..] else { return Err("usage: seeds CORPUS FOLDER".into()) };
    for entry in std::fs::read_dir(corpus)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "body") {
            seed(&path, Path::new(folder))?;
        }
    }
    for (at, text) in PINGS.iter().enumerate() {
        write(Path::new(folder), "ping", &format!("ping-{at}"), text.as_bytes())?;
    }
    for (at, text) in CHECK_INS.iter().enumerate() {
        write(Path::new(folder), "check_in", &format!("check-in-{at}"), text.as_bytes())?;
    }
    for (at, text) in TEXTS.iter().enumerate() {
        let event = serde_json::json!({
            "message": text, "extra": { *text: text }, "request": { "data": { *text: "" } },
        });
        write_event(Path::new(folder), &format!("text-{at}"), event.to_string().as_bytes())?;
    }
    for (at, condition) in CONDITIONS.iter().enumerate() {
        write(Path::new(folder), "condition", &at.to_string(), &[b"\0".as_slice(), condition.as_bytes()].concat())?;
    }
    for (at, (record, answer)) in ANSWERS.iter().enumerate() {
        write(Path::new(folder), "dns", &at.to_string(), &[[record * 2 + 1, 0, 7, 1].as_slice(), answer].concat())?;
    }
    Ok(())
}

fn seed(path: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let described: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
    let headers = described["headers"].as_array().cloned().unwrap_or_default();
    let header = headers
        .iter()
        .find(|pair| pair[0].as_str().is_some_and(|key| key.eq_ignore_ascii_case("content-encoding")));
    let encoding = Encoding::parse(header.and_then(|pair| pair[1].as_str()).unwrap_or_default())?;
    let sent = std::fs::read(path)?;
    let choice: u8 = match encoding {
        Encoding::Identity => 0,
        Encoding::Gzip => 1,
        Encoding::Deflate => 2,
        Encoding::Brotli => 3,
        Encoding::Zstd => 4,
    };
    write(folder, "body", &name, &[&[choice, 0xff], &sent[..]].concat())?;
    let mut body = Body::new(encoding, LIMITS)?;
    body.push(&sent)?;
    let decoded = body.finish()?;
    if described["path"].as_str().is_some_and(|path| path.contains("/store/")) {
        write(folder, "store", &name, &decoded)?;
        write_event(folder, &name, &decoded)?;
        return Ok(());
    }
    write(folder, "envelope", &name, &decoded)?;
    for (at, item) in Envelope::parse(&decoded)?.items.iter().enumerate() {
        if matches!(item.kind, ItemKind::Event | ItemKind::Transaction | ItemKind::Feedback) {
            write_event(folder, &format!("{name}-{at}"), item.payload)?;
        }
    }
    Ok(())
}

fn write_event(folder: &Path, name: &str, json: &[u8]) -> Result<(), Box<dyn Error>> {
    write(folder, "scrub", name, json)?;
    write(folder, "event", name, json)
}

fn write(folder: &Path, target: &str, name: &str, input: &[u8]) -> Result<(), Box<dyn Error>> {
    if input.len() <= SEED_BYTES_MAX {
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(name), input)?;
    }
    Ok(())
}
