//! Dialogues.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::server::Server;
use super::{ask, ask_within, asker, failure, holds, knows_every_field, question, read};

/// Greets in two pieces, and answers one command.
async fn greeter() -> Server {
    Server::raw("127.0.0.1:0", |mut stream, told| async move {
        stream.write_all(b"220 mail.exa").await.unwrap();
        stream.flush().await.unwrap();
        stream.write_all(b"mple ready\r\n").await.unwrap();
        let mut command = [0; 6];
        stream.read_exact(&mut command).await.ok();
        told.push(String::from_utf8_lossy(&command).into_owned());
        stream.write_all(b"221 bye\r\n").await.ok();
    })
    .await
}

#[tokio::test]
async fn a_dialogue_goes_turn_by_turn() {
    let server = greeter().await;
    let target = json!({
        "kind": "tcp", "host": "127.0.0.1", "port": server.address.port(),
        "dialogue": [{"expect": "example ready"}, {"send": "QUIT\\r\\n", "expect": "221 "}],
    });
    let seen = ask(target.clone()).await;
    holds(&read(target), &seen, &["answer contains '221 bye'", "time.total < 5s", "time.connect < 5s"]);
    assert_eq!(server.asked(), ["QUIT\r\n"]);
    assert_eq!(seen.sample.lines[1], ("sent".to_owned(), "QUIT\\r\\n".to_owned()));
    assert!(seen.phases.answer.is_some());
}

#[tokio::test]
async fn an_open_port_is_enough_where_nothing_is_said() {
    let server = greeter().await;
    let target = json!({"kind": "tcp", "host": "localhost", "port": server.address.port()});
    let seen = ask(target.clone()).await;
    holds(&read(target), &seen, &["time.connect < 5s", "time.dns < 5s"]);
    assert_eq!(seen.sample.address, Some(server.address.ip()));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_told_with_what_came_instead() {
    let server = greeter().await;
    let port = server.address.port();
    let target = json!({
        "kind": "tcp", "host": "127.0.0.1", "port": port,
        "dialogue": [{"expect": "ready"}, {"send": "NOOP\\r\\n", "expect": "250"}],
    });
    let seen = ask(target).await;
    assert_eq!(
        failure(&seen),
        "answer: the connection was closed without “250”, after “\\r\\n221 bye\\r\\n”"
    );
    let silent = json!({"kind": "tcp", "host": "127.0.0.1", "port": port, "dialogue": [{"expect": "250"}]});
    let seen = ask_within(Duration::from_millis(300), silent).await;
    assert_eq!(
        failure(&seen),
        "answer: nothing came within 300ms".replace("nothing came", "the answer did not end")
    );
    assert!(seen.sample.body.starts_with("220 mail.example ready"));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::raw("127.0.0.1:0", |mut stream, _| async move {
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    })
    .await;
    let target = json!({"kind": "tcp", "host": "127.0.0.1", "port": server.address.port(), "dialogue": [{"expect": "b"}]});
    let seen = failure(&ask(target).await);
    assert!(seen.starts_with("answer: 64 KiB came without “b”, after “aaaa"), "{seen}");
}

#[tokio::test]
async fn every_field_of_the_kind_is_seen() {
    let server = super::tls::Papers::good().serve(&[&rustls::version::TLS12]).await;
    let target = json!({
        "kind": "tcp", "host": "localhost", "port": server.address.port(), "tls": true,
        "dialogue": [{"send": "GET / HTTP/1.0\\r\\n\\r\\n", "expect": "200"}],
    });
    let seen = asker(Some(&server.authority)).ask(&question(target.clone())).await;
    knows_every_field(&read(target.clone()), &seen);
    assert_eq!(
        failure(&ask(target).await),
        "TLS: nobody who is trusted here vouches for the certificate: name its authority in `outbound.ca_file`"
    );
}
