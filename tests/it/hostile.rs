//! What a client could send to make it panic, block or grow: each gets its answer, and the next good event is taken.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tocsin::app::first_words;
use tocsin::config::Config;
use tocsin::outbound::header::{HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{House, json};

/// Far longer than any answer here takes.
const WITHIN: Duration = Duration::from_secs(20);

struct Door {
    house: House,
    key: String,
}

impl Door {
    async fn open() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let changed = |config: &mut Config| {
            config.ingest.events_per_minute = 100_000;
            change(config);
        };
        let house = House::with(changed).await;
        let key = first_words(&house.state).await.unwrap().public_key;
        Self { house, key }
    }

    fn path(&self, path: &str) -> String {
        format!("{path}?sentry_key={}", self.key)
    }

    async fn envelope(&self, encoding: Option<&'static str>, body: Vec<u8>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert("content-encoding", HeaderValue::from_static(encoding));
        }
        self.house.send_with(Method::POST, &self.path("/api/1/envelope/"), headers, body).await
    }

    async fn event(&self, event: &[u8]) -> Response {
        let head = format!("{{}}\n{{\"type\":\"event\",\"length\":{}}}\n", event.len());
        self.envelope(None, [head.as_bytes(), event].concat()).await
    }

    /// Sends bytes as they are and reads the status of the answer; `None` where the connection is closed instead.
    async fn raw(&self, request: &[u8]) -> Option<u16> {
        let mut stream = TcpStream::connect(self.house.address).await.unwrap();
        // The server may answer and close before it has read all.
        stream.write_all(request).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer))
            .await
            .expect("an answer or a close")
            .ok();
        let text = String::from_utf8_lossy(&answer);
        text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    async fn stored(&self) -> i64 {
        self.house.number("SELECT count(*) FROM events").await
    }

    /// The good event that must still be taken.
    async fn close(self) {
        let before = self.stored().await;
        let id = "fedcba9876543210fedcba9876543210";
        let good = self.event(json!({ "event_id": id, "message": "good" }).to_string().as_bytes()).await;
        assert_eq!((good.status, &json(&good)["id"]), (200, &json!(id)));
        assert_eq!(self.stored().await, before + 1);
        assert_eq!(self.house.get("/health/ready", None).await.status, 200);
        self.house.stop().await;
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_odd_is_taken_as_far_as_it_can_be() {
    let door = Door::open().await;
    let deep = |open: &str, close: &str| {
        format!("{{\"message\":\"m\",\"extra\":{{\"a\":{}1{}}}}}", open.repeat(50_000), close.repeat(50_000))
    };
    let long_list = format!("{{\"message\":\"m\",\"extra\":{{\"a\":[{}]}}}}", vec!["0"; 300_000].join(","));
    let mut many_keys = String::from("{\"message\":\"m\"");
    for at in 0..30_000 {
        write!(many_keys, ",\"key{at}\":{at}").unwrap();
    }
    many_keys.push('}');
    let odd: Vec<Vec<u8>> = vec![
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        long_list.into_bytes(),
        many_keys.into_bytes(),
        b"{\"message\":\"\xff\xfe\x80\"}".to_vec(),
        br#"{"message":"\ud800 \udc00\ud83d"}"#.to_vec(),
        br#"{"message":"m","extra":{"n":NaN,"i":-Infinity,"big":1e99999}}"#.to_vec(),
        br#"{"event_id":"abc","message":"m"}"#.to_vec(),
        br#"{"event_id":123,"message":{"a":[]},"level":[],"tags":7,"user":"u"}"#.to_vec(),
        br#"{"timestamp":-1e300,"message":"m"}"#.to_vec(),
        br#"{"timestamp":1e300,"message":"m"}"#.to_vec(),
        br#"{"timestamp":"9999-12-31T23:59:59Z","message":"m"}"#.to_vec(),
        br#"{"timestamp":"0001-01-01T00:00:00Z","message":"m"}"#.to_vec(),
        br#"{"message":"a","message":"b","exception":{"values":[null,7,[],{"type":[]}]}}"#.to_vec(),
        b"{\"message\":\"\x00\x01\n\"}".to_vec(),
        b"{}".to_vec(),
    ];
    for (at, event) in odd.iter().enumerate() {
        let taken = door.event(event).await;
        assert_eq!(taken.status, 200, "event {at}: {}", taken.text());
        assert_eq!(json(&taken)["id"].as_str().map(str::len), Some(32), "event {at}");
        assert_eq!(door.stored().await, i64::try_from(at).unwrap() + 1, "event {at}");
    }
    let read = door.house.number("SELECT max(timestamp) - min(timestamp) FROM events").await;
    assert!((0..=31 * 86_400_000_000).contains(&read), "times are believable: {read}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_is_too_much_or_broken_is_refused_whole() {
    let door = Door::open().await;
    let event = b"{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}\n".to_vec();
    let long_header = format!("{{\"a\":\"{}\"}}\n", "x".repeat(40_000));
    let bomb = gzip(&vec![b' '; 60 << 20]);
    for (what, encoding, body, status) in [
        ("a million items", None, format!("{{}}\n{}", "{}\n\n".repeat(1_000_000)).into_bytes(), 413),
        ("a long header", None, long_header.clone().into_bytes(), 400),
        ("a long item header", None, format!("{{}}\n{long_header}").into_bytes(), 400),
        ("gzip twice, said", Some("gzip, gzip"), gzip(&gzip(&event)), 415),
        ("gzip twice, not said", Some("gzip"), gzip(&gzip(&event)), 400),
        ("an unknown encoding", Some("lzma"), event.clone(), 415),
        ("no gzip", Some("gzip"), event.clone(), 400),
        ("half a gzip", Some("gzip"), gzip(&event)[..20].to_vec(), 400),
        ("a bomb", Some("gzip"), bomb, 413),
        ("too large", None, vec![b' '; 11 << 20], 413),
        ("a length beyond the end", None, b"{}\n{\"type\":\"event\",\"length\":99}\n{}".to_vec(), 400),
        ("a negative length", None, b"{}\n{\"type\":\"event\",\"length\":-1}\n{}".to_vec(), 400),
        (
            "a huge length",
            None,
            b"{}\n{\"type\":\"event\",\"length\":18446744073709551616}\n{}".to_vec(),
            400,
        ),
        ("no event", None, b"{}\n{\"type\":\"event\"}\n[1]".to_vec(), 400),
        ("half an event", None, b"{}\n{\"type\":\"event\"}\n{\"a\":".to_vec(), 400),
    ] {
        let refused = door.envelope(encoding, body).await;
        assert_eq!(refused.status, status, "{what}: {}", refused.text());
        assert!(refused.headers.contains_key("x-sentry-error"), "{what}");
    }
    assert_eq!(door.stored().await, 0);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_lies_about_its_body_stores_nothing() {
    let door = Door::open().await;
    let path = door.path("/api/1/envelope/");
    let body = "{}\n{\"type\":\"event\"}\n{\"message\":\"m\"}";
    let head =
        |headers: &str| format!("POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n");
    let length = body.len();
    for (what, request, allowed) in [
        (
            "less than stated",
            format!("{}{body}", head(&format!("Content-Length: {}\r\n", length + 9))),
            [400, 400],
        ),
        ("far more stated than may be", head("Content-Length: 999999999999\r\n"), [413, 413]),
        ("no number", format!("{}{body}", head("Content-Length: many\r\n")), [400, 400]),
        ("two lengths", format!("{}{body}", head("Content-Length: 3\r\nContent-Length: 4\r\n")), [400, 400]),
        (
            "a length and chunks",
            format!("{}0\r\n\r\n", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
            [400, 200],
        ),
        ("a broken chunk", format!("{}zz\r\n{body}\r\n", head("Transfer-Encoding: chunked\r\n")), [400, 400]),
        ("half a chunk", format!("{}ff\r\n{body}", head("Transfer-Encoding: chunked\r\n")), [400, 400]),
        ("a huge head", head(&format!("X-Filler: {}\r\n", "x".repeat(300_000))), [400, 431]),
        ("no HTTP at all", "\u{16}\u{3}\u{1}\u{2}\u{0}".to_owned(), [400, 400]),
    ] {
        let status = door.raw(request.as_bytes()).await;
        assert!(status.is_none_or(|status| allowed.contains(&status)), "{what}: {status:?}");
    }
    let binary = [head("X-Sentry-Auth: ").as_bytes(), b"\xff\xfe\r\nContent-Length: 0\r\n\r\n"].concat();
    let status = door.raw(&binary).await;
    assert!(status.is_none_or(|status| status < 500), "{status:?}");
    assert_eq!(door.stored().await, 0);
    let chunk = format!("{length:x}\r\n{body}\r\n0\r\nX-Trailer: yes\r\n\r\n");
    let status = door.raw(format!("{}{chunk}", head("Transfer-Encoding: chunked\r\n")).as_bytes()).await;
    assert!(status.is_none_or(|status| [200, 400].contains(&status)), "trailers: {status:?}");
    assert_eq!(
        door.raw(format!("{}{body}", head(&format!("Content-Length: {length}\r\n"))).as_bytes()).await,
        Some(200)
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_being_read_are_bounded_together() {
    let door = Door::with(|config| config.limits.waiting_bytes_max = 2 << 20).await;
    let memory = door.house.state.store.memory().clone();
    let errors = door.path("/api/v1/errors");
    let mut slow = TcpStream::connect(door.house.address).await.unwrap();
    let head = format!("POST {errors} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n");
    slow.write_all(&[head.as_bytes(), &vec![b' '; 600_000]].concat()).await.unwrap();
    until(|| memory.held() > 500_000).await;

    let large = json!({ "message": "x".repeat(1_000_000) }).to_string().into_bytes();
    let send =
        async |path: &str| door.house.send_with(Method::POST, path, HeaderMap::new(), large.clone()).await;
    let crowded = send(&errors).await;
    assert_eq!(crowded.status, 503, "{}", crowded.text());
    assert_eq!(crowded.headers["retry-after"], "2");
    assert_eq!(send(&door.path("/api/1/envelope/")).await.status, 429, "SDKs wait on 429");
    let small = door.event(br#"{"message":"m"}"#).await;
    assert_eq!(small.status, 200, "few large ones keep small ones not out: {}", small.text());

    drop(slow);
    until(|| memory.held() == 0).await;
    assert_eq!(send(&errors).await.status, 201);
    until(|| memory.held() == 0).await;
    door.close().await;
}

/// Waits for what another thread does.
async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, waiting).await.expect("it happens");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_endpoints_are_bounded_too() {
    let door = Door::open().await;
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let points = |count: usize| Value::from(vec![json!({ "type": "a", "value": 1 }); count]).to_string();
    for (path, body, status) in [
        ("/api/v1/errors", format!("{{\"message\":\"m\",\"context\":{nested}}}"), 201),
        ("/api/v1/errors", format!("{{\"message\":\"{}\"}}", "x".repeat(2 << 20)), 413),
        ("/api/v1/errors", "{\"message\":\"m\",\"timestamp\":-1e308,\"event_id\":\"zz\"}".to_owned(), 201),
        ("/api/v1/metrics", "[{},".repeat(200_000), 400),
        ("/api/v1/metrics", points(1001), 400),
        ("/api/v1/metrics", format!("[{}]", "{},".repeat(300_000).trim_end_matches(',')), 400),
        (
            "/api/v1/metrics",
            format!("{{\"type\":\"a\",\"value\":1,\"metadata\":{{\"a\":{}}}}}", "[".repeat(4000)),
            400,
        ),
        (
            "/api/v1/metrics",
            "{\"type\":\"a\",\"value\":-0.0,\"at\":\"1970-01-01T00:00:00Z\"}".to_owned(),
            201,
        ),
        ("/api/v1/metrics", "{\"type\":\"a\",\"value\":1,\"at\":\"-5000-01-01T00:00:00Z\"}".to_owned(), 400),
        ("/api/v1/metrics", "{\"type\":\"a\",\"value\":1,\"at\":\"9999-01-01T00:00:00Z\"}".to_owned(), 201),
        ("/api/v1/deploys", format!("{{\"release\":\"{}\",\"environment\":\"p\"}}", "x".repeat(201)), 400),
        (
            "/api/v1/deploys",
            "{\"release\":\"1\",\"environment\":\"p\",\"at\":\"9999-01-01T00:00:00Z\"}".to_owned(),
            201,
        ),
    ] {
        let answer = door
            .house
            .send_with(Method::POST, &door.path(path), HeaderMap::new(), body.clone().into_bytes())
            .await;
        let start = body.get(..60).unwrap_or(&body);
        assert_eq!(answer.status, status, "{path} {start}: {}", answer.text());
    }
    let later = "SELECT (SELECT max(at) FROM deploys) + (SELECT max(at) FROM metric_points)";
    assert_eq!(
        door.house.number(later).await,
        2 * super::support::START.as_micros(),
        "nothing is in the future"
    );
    door.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_names_no_project_is_answered() {
    let door = Door::open().await;
    for (path, status) in [
        ("/api/99999999999999999999/envelope/", 404),
        ("/api/-1/envelope/", 403),
        ("/api/0/envelope/", 403),
        ("/api/shop/envelope/", 404),
        ("/api/%F0%28/envelope/", 404),
    ] {
        let answer =
            door.house.send_with(Method::POST, &door.path(path), HeaderMap::new(), b"{}\n".to_vec()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        for header in ["x-sentry-error", "access-control-allow-origin"] {
            assert!(answer.headers.contains_key(header), "{path}: a browser's SDK is told why");
        }
    }
    door.close().await;
}
