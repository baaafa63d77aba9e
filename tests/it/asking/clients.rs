//! Databases, mail servers and buckets that are none, or mean harm; and this machine.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::probes::condition::Condition;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};

use super::hostile::{peak_kb, reset};
use super::server::{Server, drain};
use super::{LIMIT, ask, ask_within, failure, holds, knows_every_field, read};

/// A target of each kind at a server, with what it must hear before it gets far.
fn kinds(server: &Server) -> Vec<Value> {
    let (ip, port) = (server.address.ip(), server.address.port());
    vec![
        json!({"kind": "smtp", "host": ip, "port": port, "tls": "none"}),
        json!({"kind": "redis", "url": format!("redis://{ip}:{port}"), "key": "queue"}),
        json!({"kind": "postgres", "url": format!("postgres://shop:{{{{key}}}}@{ip}:{port}/shop?sslmode=disable")}),
        json!({"kind": "postgres", "url": format!("postgres://shop@{ip}:{port}/shop"), "table": "orders"}),
        json!({"kind": "s3", "endpoint": server.url(""), "bucket": "shop", "access_key": "A", "secret_key": "{{key}}"}),
    ]
}

/// Says `first`, then `again` for ever, and hears whatever is said meanwhile.
async fn endless(first: &'static [u8], again: &'static [u8]) -> Server {
    Server::raw("127.0.0.1:0", move |stream, _| async move {
        let (mut heard, mut said) = stream.into_split();
        let mut result = said.write_all(first).await;
        let hearing = drain(&mut heard);
        let saying = async {
            while result.is_ok() {
                result = said.write_all(again).await;
            }
        };
        tokio::join!(hearing, saying);
    })
    .await
}

/// What PostgreSQL says to somebody who needs no password.
const SIGNED_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

#[tokio::test]
async fn whatever_comes_without_end_is_read_to_its_bound() {
    let streams: [(&[u8], &[u8]); 17] = [
        (b"", &[b'a'; 4096]),
        (b"", &[0; 4096]),
        (b"", &[0xff; 4096]),
        (b"", b"220-more\r\n"),
        (b"220 mail\r\n", b"250-more\r\n"),
        (b"", b"+PONG\r\n"),
        (b"+PONG\r\n$9223372036854775807\r\n", &[b'a'; 4096]),
        (b"+PONG\r\n$1000000000\r\n", &[b'a'; 4096]),
        // Lists in lists in lists.
        (b"", b"*1\r\n"),
        (b"+PONG\r\n", b"*1\r\n"),
        // A row of 2 GB is announced; notices for ever; parameters for ever.
        (b"D\x7f\xff\xff\xff", &[0; 4096]),
        (b"", b"N\0\0\0\x0bSNOTICE\0"),
        // Signed in: errors for ever, parameters for ever, rows for ever; a wish for a password without end.
        (SIGNED_IN, b"E\0\0\0\x0cMno\0C1\0\0"),
        (SIGNED_IN, b"S\0\0\0\x08a\0b\0"),
        (SIGNED_IN, b"D\0\0\0\x0a\0\x01\xff\xff\xff\xff"),
        (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", b"R\0\0\0\x10\0\0\0\x0br=a,s=b="),
        (b"HTTP/1.1 200 OK\r\n\r\n<ListBucketResult>", b"<Contents></Contents>"),
    ];
    let mut before = None;
    for (first, again) in streams {
        let server = endless(first, again).await;
        for target in kinds(&server) {
            let began = Instant::now();
            let seen = ask_within(Duration::from_secs(4), target.clone()).await;
            assert!(seen.failed.is_some(), "{target}: {:?}", seen.sample);
            let took = began.elapsed();
            assert!(took < LIMIT, "{target} with {:?} took {took:?}", String::from_utf8_lossy(first));
            assert!(!seen.failed.unwrap().may_be_ours, "{target}");
        }
        // Everything that is made once is there after the first.
        before.get_or_insert_with(peak_kb);
    }
    let grown = peak_kb() - before.unwrap();
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn a_message_is_measured_before_anybody_makes_room_for_it() {
    let server = endless(b"R\0\0\0\x08\0\0\0\0D\x7f\xff\xff\xff", &[0; 4096]).await;
    let target = &kinds(&server)[2];
    let seen = ask(target.clone()).await;
    assert!(failure(&seen).contains("more than is read"), "{}", failure(&seen));
}

#[tokio::test]
async fn whoever_hangs_up_or_says_something_else_is_named_so() {
    let silent = Server::raw("127.0.0.1:0", |mut stream, _| async move { drain(&mut stream).await }).await;
    for target in kinds(&silent) {
        let seen = ask_within(Duration::from_millis(300), target.clone()).await;
        assert!(failure(&seen).ends_with("nothing came within 300ms"), "{target}: {}", failure(&seen));
    }
    let closed = Server::raw("127.0.0.1:0", |stream, _| async move { drop(stream) }).await;
    for target in kinds(&closed) {
        let told = failure(&ask(target.clone()).await);
        assert!(told.contains("closed") || told.contains("reset"), "{target}: {told}");
    }
    let resets = Server::raw("127.0.0.1:0", |stream, _| async move { reset(stream) }).await;
    for target in kinds(&resets) {
        let told = failure(&ask(target.clone()).await);
        assert!(told.contains("closed") || told.contains("reset"), "{target}: {told}");
    }
    let ssh = Server::raw("127.0.0.1:0", |mut stream, _| async move {
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.ok();
        drain(&mut stream).await;
    })
    .await;
    // Its first letter is what PostgreSQL says to a wish for encryption.
    for (target, words) in
        kinds(&ssh).into_iter().zip(["no mail server", "no Redis", "", "does not speak TLS", "no HTTP"])
    {
        let told = failure(&ask_within(Duration::from_secs(2), target.clone()).await);
        assert!(!told.is_empty() && told.contains(words), "{target}: {told}");
    }
}

#[tokio::test]
async fn byte_by_byte_costs_the_time_limit() {
    let slow = Server::raw("127.0.0.1:0", |mut stream, _| async move {
        while stream.write_all(b"2").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let (ip, port) = (slow.address.ip(), slow.address.port());
    let dialogue = json!({"kind": "tcp", "host": ip, "port": port, "dialogue": [{"expect": "b"}]});
    for target in kinds(&slow).into_iter().chain([dialogue]) {
        let began = Instant::now();
        let seen = ask_within(Duration::from_millis(700), target.clone()).await;
        assert!(seen.failed.is_some() && began.elapsed() < LIMIT, "{target}");
    }
}

#[tokio::test]
async fn what_hides_in_an_answer_is_written_out() {
    let answers: [(usize, &[u8]); 4] = [
        (0, "220 mail \u{202e}liam\x1b[2J\r\n250 ok\r\n".as_bytes()),
        (1, "-ERR \u{202e}on\x1b[2J\r\n".as_bytes()),
        (2, b"E\0\0\0\x21SERROR\0C28P01\0Mno\n\x1b[2J\xe2\x80\xaeon\0\0"),
        (4, b"HTTP/1.1 403 No\r\n\r\n<Error><Code>\x1b[2J</Code><Message>\xe2\x80\xae</Message></Error>"),
    ];
    for (kind, answer) in answers {
        let server = Server::raw("127.0.0.1:0", move |mut stream, _| async move {
            stream.write_all(answer).await.ok();
            stream.shutdown().await.ok();
            drain(&mut stream).await;
        })
        .await;
        let target = kinds(&server).remove(kind);
        let seen = ask(target.clone()).await;
        let shown = format!("{}{}", failure(&seen), serde_json::to_string(&seen.sample).unwrap());
        assert!(shown.contains("\\u{1b}[2J"), "{target}: {shown}");
        assert!(!shown.contains(|c: char| c.is_control() || c == '\u{202e}'), "{target}: {shown}");
    }
}

#[tokio::test]
async fn a_secret_that_a_server_repeats_is_hidden() {
    let echo = Server::raw("127.0.0.1:0", |mut stream, _| async move {
        let mut heard = vec![0; 1024];
        let length = stream.read(&mut heard).await.unwrap();
        let said = String::from_utf8_lossy(&heard[..length]).replace("\r\n", " ");
        stream.write_all(format!("-ERR you said {said}\r\n").as_bytes()).await.unwrap();
    })
    .await;
    let (ip, port) = (echo.address.ip(), echo.address.port());
    let seen = ask(json!({"kind": "redis", "url": format!("redis://:{{{{key}}}}@{ip}:{port}")})).await;
    let told = failure(&seen);
    assert!(told.contains("you said") && told.contains("[secret]") && !told.contains("sesame"), "{told}");
}

#[tokio::test]
async fn what_a_mail_server_repeats_of_a_sign_in_is_hidden_in_any_form() {
    // It repeats what it was told, in base64 as it came, and long enough to be cut.
    let echo = Server::raw("127.0.0.1:0", |stream, _| async move {
        let (heard, mut said) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(heard).lines();
        said.write_all(b"220 mail\r\n").await.ok();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match line.split(' ').next() {
                Some("EHLO") => "250-mail\r\n250 AUTH PLAIN\r\n".to_owned(),
                _ => format!("535 {} you said {line}\r\n", "x".repeat(165)),
            };
            said.write_all(answer.as_bytes()).await.ok();
        }
    })
    .await;
    let target = json!({
        "kind": "smtp", "host": echo.address.ip(), "port": echo.address.port(), "tls": "none",
        "username": "shop@example.com", "password": "{{key}}",
    });
    let told = failure(&ask(target).await);
    assert!(told.contains("535 xxx") && told.ends_with("AUTH PLAIN [secret]"), "{told}");
}

#[tokio::test]
async fn a_farewell_that_nobody_answers_changes_nothing() {
    let rude = Server::raw("127.0.0.1:0", |stream, _| async move {
        let (heard, mut said) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(heard).lines();
        said.write_all(b"220 mail\r\n").await.ok();
        while let Ok(Some(line)) = lines.next_line().await {
            if line != "QUIT" {
                said.write_all(b"250 mail\r\n").await.ok();
            }
        }
    })
    .await;
    let target =
        json!({"kind": "smtp", "host": rude.address.ip(), "port": rude.address.port(), "tls": "none"});
    // Also where its time limit comes before the end of the farewell.
    for limit in [Duration::from_millis(600), LIMIT] {
        let seen = ask_within(limit, target.clone()).await;
        assert_eq!(failure(&seen), "", "{:?}", seen.sample);
        assert!(seen.phases.total < Duration::from_millis(600), "{:?}", seen.phases);
    }
}

/// A bucket that lists `pages` of one object each, the newest on the last.
async fn bucket(pages: usize) -> Server {
    Server::raw("127.0.0.1:0", move |mut stream, told| async move {
        let head = super::server::request_head(&mut stream).await;
        let asked = head.split("continuation-token=").nth(1).and_then(|rest| rest.split(['&', ' ']).next());
        let page: usize = asked.map_or(0, |token| token.trim_start_matches("a%2B").parse().unwrap());
        told.push(head);
        let more = if page + 1 < pages {
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>a+{}</NextContinuationToken>", page + 1)
        } else {
            "<IsTruncated>false</IsTruncated>".to_owned()
        };
        let at = format!("2020-01-{:02}T00:00:00Z", page + 1);
        let body = format!(
            "<ListBucketResult>{more}<Contents><Key>k{page}</Key><LastModified>{at}</LastModified></Contents></ListBucketResult>"
        );
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok();
    })
    .await
}

#[tokio::test]
async fn the_newest_object_is_found_on_a_later_page_or_cannot_be_told() {
    let target = |server: &Server| json!({"kind": "s3", "endpoint": server.url(""), "bucket": "shop", "access_key": "A", "secret_key": "{{key}}"});
    let three = bucket(3).await;
    let seen = ask(target(&three)).await;
    holds(&read(target(&three)), &seen, &["objects == 3", "newest_object.age > 1d"]);
    assert!(
        seen.sample.lines.iter().any(|(_, value)| value.starts_with("k2, 2020-01-03")),
        "{:?}",
        seen.sample
    );
    assert_eq!(three.asked().len(), 3);
    let endless = bucket(25).await;
    let seen = ask(target(&endless)).await;
    assert_eq!((failure(&seen).as_str(), endless.asked().len()), ("", 20));
    for condition in ["newest_object.age < 1d", "not (newest_object.age > 1d)"] {
        let condition = Condition::parse(condition, &read(target(&endless)).kind().fields()).unwrap();
        let told = format!("{:?}", condition.check(&seen.facts));
        assert!(told.contains("cannot be told: more than 20 objects") && told.contains("`prefix`"), "{told}");
    }
}

#[tokio::test]
async fn this_machine_tells_everything_that_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let me = std::fs::read_to_string("/proc/self/comm").unwrap();
    for target in [
        json!({"kind": "disk", "path": "/"}),
        json!({"kind": "process", "name": me.trim()}),
        json!({"kind": "file", "path": folder.path().join("file")}),
    ] {
        let seen = ask(target.clone()).await;
        knows_every_field(&read(target), &seen);
    }
    let machine = json!({"kind": "machine"});
    let seen = ask(machine.clone()).await;
    let known = ["memory.used < 100%", "memory.available > 1MB", "load1 >= 0", "load5 >= 0", "load15 >= 0"];
    holds(&read(machine.clone()), &seen, &known);
    holds(&read(machine), &seen, &["load.per_core >= 0", "swap.used >= 0% or swap.used not exists"]);
    let gone = ask(json!({"kind": "disk", "path": "/no/such/place"})).await;
    assert_eq!(failure(&gone), "answer: /no/such/place: there is no such file");
}
