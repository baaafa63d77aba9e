//! HTTP as nobody should speak it: it costs its time and its bytes, and no more.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::server::{Server, drain};
use super::{LIMIT, ask, ask_within, failure, holds, read};

fn get(server: &Server) -> Value {
    json!({"kind": "http", "url": server.url("/"), "body_kb": 64})
}

/// Writes for ever, or until the other side has heard enough.
async fn for_ever(mut stream: TcpStream, first: &str, again: &[u8]) {
    let mut result = stream.write_all(first.as_bytes()).await;
    while result.is_ok() {
        result = stream.write_all(again).await;
    }
}

#[tokio::test]
async fn a_body_without_end_is_read_to_its_limit() {
    let heads = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 4294967296\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n",
    ];
    for head in heads {
        let server = Server::http(move |stream| for_ever(stream, head, &[b'a'; 16_384])).await;
        let seen = ask(get(&server)).await;
        holds(&read(get(&server)), &seen, &["status == 200", "size == 64KiB", "length(body) == 65536"]);
        assert_eq!(seen.sample.lines[0], ("body".to_owned(), "read up to here, 64 KiB".to_owned()));
    }
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let server = Server::http(move |stream| for_ever(stream, head, b"1\r\na\r\n")).await;
    let seen = ask(get(&server)).await;
    holds(&read(get(&server)), &seen, &["size == 64KiB"]);
}

#[tokio::test]
async fn memory_stays_bounded_whatever_a_server_sends() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 4294967296\r\n\r\n";
    let bodies = Server::http(move |stream| for_ever(stream, head, &[b'a'; 16_384])).await;
    let heads = Server::http(|stream| for_ever(stream, "HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n")).await;
    // Everything that is made once is there before it is measured.
    ask(get(&bodies)).await;
    let before = peak_kb();
    let questions = (0..100).map(|n| ask(get(if n % 2 == 0 { &bodies } else { &heads })));
    let seen = futures_util::future::join_all(questions).await;
    let grown = peak_kb() - before;
    assert!(seen.iter().step_by(2).all(|seen| failure(seen).is_empty()));
    // 100 answers of 64 KiB, with room to read them, to keep them, and for the server's own writes.
    assert!(grown < 60 * 1024, "{grown} KiB for 100 questions");
}

/// The most that this process ever held in memory.
pub(super) fn peak_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    std::io::copy(&mut std::io::repeat(0).take(128 << 20), &mut packed).unwrap();
    let packed: Arc<[u8]> = packed.finish().unwrap().into();
    let bomb = Server::http(move |mut stream| {
        let packed = Arc::clone(&packed);
        async move {
            let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok();
            stream.write_all(&packed).await.ok();
        }
    })
    .await;
    // Everything that is made once is there before it is measured.
    ask(get(&Server::saying("HTTP/1.1 200 OK\r\n\r\nhello").await)).await;
    let before = peak_kb();
    let seen = ask(get(&bomb)).await;
    holds(&read(get(&bomb)), &seen, &["status == 200", "size == 64KiB"]);
    assert!(peak_kb() - before < 8 * 1024, "it was unpacked");
    let head = bomb.asked().remove(0).to_lowercase();
    assert!(head.contains("accept-encoding: identity\r\n"), "nobody asked for it: {head}");
}

#[tokio::test]
async fn a_head_without_end_is_too_much() {
    const TOO_LARGE: &str =
        "answer: the head of the answer is larger than 64 KiB or has more than 100 headers";
    let line = format!("x-long: {}\r\n", "a".repeat(1024 * 1024));
    let cases: Vec<(&'static str, Vec<u8>)> = vec![
        ("HTTP/1.1 200 OK\r\n", line.into_bytes()),
        ("HTTP/1.1 200 OK\r\n", b"x-more: and more\r\n".to_vec()),
        ("HTTP/1.1 200 ", b"OK".to_vec()),
        // Answers that only say that one is to come.
        ("", b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        ("", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec()),
    ];
    for (first, again) in cases {
        let shown = String::from_utf8_lossy(&again[..again.len().min(10)]).into_owned();
        let server = Server::http(move |stream| {
            let again = again.clone();
            async move { for_ever(stream, first, &again).await }
        })
        .await;
        let seen = ask(get(&server)).await;
        assert_eq!(failure(&seen), TOO_LARGE, "{first} {shown}");
    }
}

#[tokio::test]
async fn lies_about_the_length_are_found() {
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes.").await;
    let seen = ask(get(&server)).await;
    assert_eq!(failure(&seen), "transfer: the connection was closed in the middle of the answer");
    assert_eq!((seen.sample.head.as_str(), seen.sample.body.as_str()), ("HTTP/1.1 200 OK", "ten bytes."));
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfive!and more").await;
    holds(&read(get(&server)), &ask(get(&server)).await, &["body == 'five!'", "size == 5B"]);
    for lie in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "content-length: 18446744073709551615",
        "transfer-encoding: chunked",
    ] {
        let server = Server::saying(format!("HTTP/1.1 200 OK\r\n{lie}\r\n\r\nnonsense")).await;
        let seen = ask(get(&server)).await;
        assert!(seen.failed.is_some(), "{lie}: {:?}", seen.sample);
    }
}

#[tokio::test]
async fn whoever_hangs_up_or_says_something_else_is_told_apart() {
    let reset = Server::http(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome").await.unwrap();
        stream.flush().await.unwrap();
        reset(stream);
    })
    .await;
    let seen = ask(get(&reset)).await;
    assert!(failure(&seen).ends_with(": connection reset"), "{}", failure(&seen));
    let closed = Server::http(|stream| async move { drop(stream) }).await;
    assert_eq!(failure(&ask(get(&closed)).await), "answer: the connection was closed without an answer");
    let other = Server::saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    let seen = failure(&ask(get(&other)).await);
    assert!(seen.starts_with("answer: the answer is no HTTP that can be read"), "{seen}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let seen = failure(&ask(json!({"kind": "http", "url": format!("http://{gone}/")})).await);
    assert_eq!(seen, format!("connection: {gone}: connection refused"));
}

/// Takes the connection back instead of closing it.
pub(super) fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test]
async fn whoever_answers_byte_by_byte_costs_the_time_limit() {
    let limit = Duration::from_millis(1500);
    let cases = [
        ("", "answer: the answer did not end within 1s500ms"),
        ("HTTP/1.1 200 OK\r\n\r\nfirst", "transfer: the answer did not end within 1s500ms"),
    ];
    for (first, says) in cases {
        let server = Server::http(move |mut stream| async move {
            let mut result = stream.write_all(first.as_bytes()).await;
            while result.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                result = stream.write_all(b"H").await;
            }
        })
        .await;
        let began = Instant::now();
        let seen = ask_within(limit, get(&server)).await;
        assert_eq!(failure(&seen), says);
        assert!(began.elapsed() < LIMIT);
        // What came until then is kept.
        assert!(seen.sample.body.starts_with(first.split("\r\n\r\n").nth(1).unwrap_or_default()));
    }
}

#[tokio::test]
async fn silence_on_this_machine_costs_the_time_limit_and_is_no_fault_of_the_uplink() {
    let silent = Server::http(|mut stream| async move { drain(&mut stream).await }).await;
    let seen = ask_within(Duration::from_millis(300), get(&silent)).await;
    assert_eq!(failure(&seen), "answer: nothing came within 300ms");
}
