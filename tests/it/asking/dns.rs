//! Name servers that answer wrongly, or not at all; the right ones are real (`tests/e2e`).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::{ask, ask_within, failure, holds, knows_every_field, read};

type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

struct NameServer {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// Answers each question with all of what `answers` makes of it, over UDP; over TCP with the last.
async fn name_server(answers: Answers) -> NameServer {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut question = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut question).await {
            for answer in answers(&question[..length]) {
                udp.send_to(&answer, from).await.ok();
            }
        }
    });
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            let mut answer = answers(&question).pop().unwrap();
            // Over TCP nothing is cut.
            answer[2] &= !0x02;
            stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    NameServer { address, _tasks: tasks }
}

/// The question's head and name, with `flags`, and `records` of a minute's life for the name that was asked for.
fn answer(question: &[u8], flags: [u8; 2], records: &[[u8; 4]]) -> Vec<u8> {
    // The name ends at the first empty label; type and class follow.
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let count = u8::try_from(records.len()).unwrap();
    let mut answer = [&question[..2], &flags, &[0, 1, 0, count, 0, 0, 0, 0], &question[12..end]].concat();
    for address in records {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend_from_slice(address);
    }
    answer
}

const GOOD: [u8; 2] = [0x81, 0x80];

fn target(server: &NameServer) -> Value {
    json!({"kind": "dns", "name": "www.example.com", "server": server.address.to_string()})
}

#[tokio::test]
async fn every_field_of_the_kind_is_seen() {
    let server =
        name_server(|question| vec![answer(question, GOOD, &[[192, 0, 2, 2], [192, 0, 2, 1]])]).await;
    let seen = ask(target(&server)).await;
    knows_every_field(&read(target(&server)), &seen);
    holds(
        &read(target(&server)),
        &seen,
        &[
            "rcode == 'NOERROR'",
            "records[0] == '192.0.2.1'",
            "length(records) == 2",
            "ttl == 60s",
            "time.total < 5s",
        ],
    );
    assert_eq!(
        (seen.sample.head.as_str(), seen.sample.body.as_str()),
        ("NOERROR, 2 records", "192.0.2.1\n192.0.2.2")
    );
    assert_eq!(seen.sample.address, Some(server.address.ip()));
}

#[tokio::test]
async fn answers_of_others_are_passed_over() {
    let server = name_server(|question| {
        let good = answer(question, GOOD, &[[192, 0, 2, 1]]);
        let mut guessed = answer(question, GOOD, &[[6, 6, 6, 6]]);
        guessed[0] ^= 1;
        let mut other = answer(question, GOOD, &[[6, 6, 6, 6]]);
        other[13] = b'x';
        vec![Vec::new(), b"?".to_vec(), guessed, other, question.to_vec(), good]
    })
    .await;
    holds(&read(target(&server)), &ask(target(&server)).await, &["records[0] == '192.0.2.1'"]);
    let flood = name_server(|question| {
        let mut guessed = answer(question, GOOD, &[]);
        guessed[0] ^= 1;
        vec![guessed; 150]
    })
    .await;
    let seen = failure(&ask(target(&flood)).await);
    assert!(seen.ends_with("answers other questions than the one asked"), "{seen}");
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_again_over_tcp() {
    let server = name_server(|question| {
        vec![answer(question, [0x83, 0x80], &(0..200).map(|n| [192, 0, 2, n]).collect::<Vec<_>>())]
    })
    .await;
    let seen = ask(target(&server)).await;
    holds(&read(target(&server)), &seen, &["length(records) == 200", "any(records[*]) == '192.0.2.199'"]);
}

#[tokio::test]
async fn refusals_are_answers_and_damage_is_none() {
    for (code, says) in [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED")] {
        let answers: fn(&[u8]) -> Vec<Vec<u8>> = match code {
            2 => |question| vec![answer(question, [0x81, 0x82], &[])],
            3 => |question| vec![answer(question, [0x81, 0x83], &[])],
            _ => |question| vec![answer(question, [0x81, 0x85], &[])],
        };
        let server = name_server(answers).await;
        let seen = ask(target(&server)).await;
        holds(
            &read(target(&server)),
            &seen,
            &[&format!("rcode == '{says}'"), "length(records) == 0", "not ttl exists"],
        );
    }
    let damaged = name_server(|question| {
        let mut whole = answer(question, GOOD, &[[192, 0, 2, 1]]);
        whole.truncate(whole.len() - 3);
        vec![whole]
    })
    .await;
    assert_eq!(
        failure(&ask(target(&damaged)).await),
        format!("answer: {}: the answer cannot be read", damaged.address)
    );
}

#[tokio::test]
async fn names_that_lead_in_circles_are_damage() {
    let circles: [Answers; 2] = [
        |question| vec![with_names(question, |at| [at, at + 16])],
        |question| vec![with_names(question, |at| [at + 16, at])],
    ];
    for answers in circles {
        let server = name_server(answers).await;
        let seen = failure(&ask(target(&server)).await);
        assert_eq!(seen, format!("answer: {}: the answer cannot be read", server.address));
    }
}

/// Two records; their names lead to where `names` says, by where the first begins.
fn with_names(question: &[u8], names: fn(usize) -> [usize; 2]) -> Vec<u8> {
    let mut answer = answer(question, GOOD, &[[192, 0, 2, 1], [192, 0, 2, 2]]);
    let first = answer.len() - 32;
    for (at, leads_to) in [first, first + 16].into_iter().zip(names(first)) {
        answer[at + 1] = u8::try_from(leads_to).unwrap();
    }
    answer
}

#[tokio::test]
async fn a_silent_name_server_costs_the_time_limit() {
    let silent = name_server(|_| Vec::new()).await;
    let seen = ask_within(Duration::from_millis(300), target(&silent)).await;
    assert_eq!(failure(&seen), "answer: nothing came within 300ms");
    // A question that was lost is sent again.
    let mut gone = target(&silent);
    let closed = { UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    gone["server"] = json!(closed.to_string());
    assert_eq!(failure(&ask(gone).await), format!("answer: {closed}: connection refused"));
}
