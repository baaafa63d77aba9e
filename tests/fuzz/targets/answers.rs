//! Any bytes as what a server says to a probe, over a real connection: read in bounds, told in bounds, nothing hidden
//! in what people read.
#![no_main]

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tocsin::base::{Clock, Entropy, Secret};
use tocsin::prober::{Asker, Question, Reach, Trust};
use tocsin::probes::condition::Condition;
use tocsin::probes::seen::{BODY_CHARS_MAX, LINES_MAX};
use tocsin::probes::{Secrets, Seen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

const TIMEOUT: Duration = Duration::from_secs(5);
const REASON_CHARS_MAX: usize = 1000;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().expect("a runtime"));
static LISTENER: LazyLock<TcpListener> = LazyLock::new(|| {
    RUNTIME.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a socket of this machine")
});
static ASKER: LazyLock<Asker> = LazyLock::new(|| Asker {
    clock: Clock::system(),
    entropy: Entropy::seeded(1),
    trust: Trust::new(None).expect("the roots that come with it"),
});

/// Of every kind that speaks over a connection, one that asks as much as it can.
fn targets(port: u16) -> [Value; 9] {
    let (host, web) = (Ipv4Addr::LOCALHOST, format!("http://127.0.0.1:{port}"));
    let database = format!("postgres://shop:{{{{key}}}}@127.0.0.1:{port}/shop?sslmode=disable");
    [
        json!({"kind": "http", "url": web}),
        json!({"kind": "tcp", "host": host, "port": port, "dialogue": [{"expect": "+"}, {"send": "a", "expect": "b"}]}),
        json!({"kind": "tls", "host": host, "port": port}),
        json!({"kind": "smtp", "host": host, "port": port, "tls": "none", "username": "u", "password": "{{key}}"}),
        json!({"kind": "smtp", "host": host, "port": port, "tls": "starttls"}),
        json!({"kind": "redis", "url": format!("redis://:{{{{key}}}}@127.0.0.1:{port}/1"), "key": "queue"}),
        json!({"kind": "postgres", "url": database, "table": "orders", "time_column": "at"}),
        json!({"kind": "postgres", "url": format!("postgres://shop@127.0.0.1:{port}/shop")}),
        json!({"kind": "s3", "endpoint": web, "bucket": "shop", "access_key": "A", "secret_key": "{{key}}"}),
    ]
}

// The first byte chooses who is asked; the rest is said at once, then the server hangs up.
fuzz_target!(|data: &[u8]| {
    let [kind, said @ ..] = data else { return };
    let port = LISTENER.local_addr().expect("it is bound").port();
    let target = targets(port)[usize::from(*kind) % 9].take();
    let target: tocsin::probes::Target = serde_json::from_value(target).expect("it is a target");
    let conditions: Vec<_> = target
        .default_conditions()
        .iter()
        .map(|asked| Condition::parse(asked, &target.kind().fields()).expect("it can be asked"))
        .collect();
    let question = Question {
        target,
        secrets: Secrets([("key".to_owned(), Secret::new("open sesame"))].into()),
        reach: Reach::Private,
        timeout: TIMEOUT,
    };
    let seen = RUNTIME.block_on(async {
        tokio::select! {
            biased;
            seen = ASKER.ask(&question) => seen,
            () = serve(said) => unreachable!("it serves until nobody asks"),
        }
    });
    told_in_bounds(&seen);
    for condition in &conditions {
        condition.check(&seen.facts);
    }
});

async fn serve(said: &[u8]) {
    loop {
        let Ok((mut stream, _)) = LISTENER.accept().await else { continue };
        if stream.write_all(said).await.is_ok() && stream.shutdown().await.is_ok() {
            // Closing with something unread would take back what was said.
            let mut heard = [0; 4096];
            while stream.read(&mut heard).await.is_ok_and(|length| length > 0) {}
        }
    }
}

fn told_in_bounds(seen: &Seen) {
    let sample = &seen.sample;
    assert!(sample.body.chars().count() <= BODY_CHARS_MAX && sample.lines.len() <= LINES_MAX);
    let lines = sample.lines.iter().flat_map(|(name, value)| [name, value]);
    let reason = seen.failed.as_ref().map(|failed| &failed.reason);
    for line in lines.chain([&sample.head]).chain(reason) {
        assert!(line.chars().count() <= REASON_CHARS_MAX, "{line}");
        assert!(!line.chars().any(|c| c.is_control()), "{line:?}");
    }
    assert!(!sample.body.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", sample.body);
    let shown = format!("{sample:?}{reason:?}");
    assert!(!shown.contains("open sesame"), "{shown}");
}
