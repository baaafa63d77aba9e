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
/// What servers say to a probe; before it the number of the target in `answers`.
const SERVED: [(u8, &[u8]); 14] = [
    (0, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}"),
    (0, b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    (1, b"+OK\r\nb"),
    (2, b"\x15\x03\x03\0\x02\x02("),
    (3, b"220 m\r\n250-m\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 1\r\n235 ok\r\n221 bye\r\n"),
    (3, b"220 m\r\n250-m\r\n250 AUTH LOGIN\r\n334 a\r\n334 b\r\n535 no\r\n"),
    (4, b"220 m\r\n250-m\r\n250 STARTTLS\r\n220 go\r\n"),
    (5, b"+OK\r\n+OK\r\n+PONG\r\n$101\r\n# Server\r\nredis_version:7.0.15\r\nrole:master\r\nused_memory:1000\r\nmaxmemory:4000\r\ndb0:keys=5,expires=1\r\n\r\n+list\r\n:3\r\n"),
    (5, b"-NOAUTH no\r\n"),
    (6, b"R\0\0\0\x17\0\0\0\nSCRAM-SHA-256\0\0R\0\0\0\x19\0\0\0\x0br=a,s=YQ==,i=4096"),
    (6, b"R\0\0\0\x08\0\0\0\0S\0\0\0\x16server_version\015\0Z\0\0\0\x05IC\0\0\0\nBEGIN\0C\0\0\0\x08SET\0Z\0\0\0\x05T1\0\0\0\x042\0\0\0\x04T\0\0\0\x1a\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0D\0\0\0\x11\0\x01\0\0\0\x07{\"a\":1}C\0\0\0\rSELECT 1\0Z\0\0\0\x05TE\0\0\0\x17SERROR\0C57014\0Mno\0\0Z\0\0\0\x05E"),
    (7, b"NR\0\0\0\x08\0\0\0\0S\0\0\0\x16server_version\015\0Z\0\0\0\x05IC\0\0\0\nBEGIN\0C\0\0\0\x08SET\0Z\0\0\0\x05T1\0\0\0\x042\0\0\0\x04T\0\0\0\x1a\0\x01c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0D\0\0\0\x11\0\x01\0\0\0\x07{\"a\":1}C\0\0\0\rSELECT 1\0Z\0\0\0\x05T"),
    (8, b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult><Contents><Key>a+b%2B</Key><LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"),
    (8, b"HTTP/1.1 403 No\r\n\r\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>"),
];
/// Lines, one with a time zone of its own.
const CRONTABS: [&str; 5] = [
    "0 3 * * *",
    "*/7 9-17 1,15 JAN-JUN MON-FRI",
    "30 2 L * SUN#2",
    "@monthly",
    "0 0 29 2 *\nAfrica/Casablanca",
];
/// Probes, and an address.
const DEFINITIONS: [&str; 8] = [
    r#"{"target":{"kind":"http","url":"https://a.example/{{key}}","headers":{"x":"y"},"redirects":3},"conditions":["status < 300"]}"#,
    r#"{"target":{"kind":"tcp","host":"bücher.example","port":25,"dialogue":[{"expect":"220"},{"send":"QUIT\\r\\n"}]}}"#,
    r#"{"target":{"kind":"dns","name":"a.example","record":"MX","server":"[::1]:53"},"policy":{"interval":"5m"}}"#,
    r#"{"target":{"kind":"postgres","url":"postgres://u:{{key}}@db:5432/shop?sslmode=verify-full","table":"public.orders"}}"#,
    r#"{"target":{"kind":"redis","url":"rediss://:{{key}}@cache:6380/1","key":"queue"},"slow_after":"10ms"}"#,
    r#"{"target":{"kind":"smtp","host":"0x7f.1","tls":"tls","username":"u","password":"{{key}}"},"labels":{"a":"b"}}"#,
    r#"{"target":{"kind":"s3","endpoint":"https://s3.example:9000","bucket":"b","access_key":"A","secret_key":"{{key}}"}}"#,
    "postgres://us%65r:pa:ss@[::1]:5432/db?options=-c%20a",
];
/// Webhooks; before each the number of its provider in their list.
const WEBHOOKS: [(u8, &str); 7] = [
    (0, "https://a/x\nstripe-signature:t=1800000000,v1=00,v0=\n\n{\"id\":\"evt_1\",\"type\":\"a.b\"}"),
    (1, "https://a/x\nx-hub-signature-256:sha256=00\nx-github-event:deployment_status\n\n{\"action\":\"created\",\"deployment_status\":{\"state\":\"success\"},\"deployment\":{\"sha\":\"a\"}}"),
    (2, "https://u:p@a:443/x?bodySHA256=00&y=It's+z\nx-twilio-signature:AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nA=1&B=%2B&A=2"),
    (3, "https://a/x\nx-slack-signature:v0=00\nx-slack-request-timestamp:1800000000\n\n{\"type\":\"url_verification\",\"challenge\":\"c\"}"),
    (5, "https://a/x\nwebhook-id:m\nwebhook-timestamp:1800000000\nwebhook-signature:v1a,AA== v1,AA==\n\n{}"),
    (15, "https://a/x\ncontent-type:application/x-www-form-urlencoded\n\nwebhook_id=1"),
    (17, "https://a/x\nauthorization:Basic dG9jc2luOmE=\n\n{\"MessageID\":\"m\",\"RecordType\":\"Bounce\",\"ID\":4}"),
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
    for (at, (target, said)) in SERVED.iter().enumerate() {
        write(Path::new(folder), "answers", &at.to_string(), &[&[*target], *said].concat())?;
    }
    for (at, line) in CRONTABS.iter().enumerate() {
        write(Path::new(folder), "crontab", &at.to_string(), &[b"\0", line.as_bytes()].concat())?;
    }
    for (at, text) in DEFINITIONS.iter().enumerate() {
        write(Path::new(folder), "definition", &at.to_string(), text.as_bytes())?;
    }
    for (at, condition) in CONDITIONS.iter().enumerate() {
        write(Path::new(folder), "condition", &at.to_string(), &[b"\0".as_slice(), condition.as_bytes()].concat())?;
    }
    for (at, (provider, call)) in WEBHOOKS.iter().enumerate() {
        write(Path::new(folder), "webhook_verify", &at.to_string(), &[&[*provider], call.as_bytes()].concat())?;
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
