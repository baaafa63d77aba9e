//! HTTP as servers should speak it.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::server::Server;
use super::{ask, asker, failure, holds, knows_every_field, question, read};

const GOOD: &str = "HTTP/1.1 200 Fine\r\ncontent-type: application/json\r\nset-cookie: sid=abc; Secure\r\n\
    set-cookie: b=c\r\ncontent-length: 26\r\n\r\n{\"queue\":{\"depth\":[7,12]}}";

#[tokio::test]
async fn an_answer_can_be_asked_about_everything_in_it() {
    let server = Server::saying(GOOD).await;
    let target =
        json!({"kind": "http", "url": server.url("/health?deep=1"), "headers": {"X-Key": "{{key}}"}});
    let seen = ask(target.clone()).await;
    holds(
        &read(target),
        &seen,
        &[
            "status == 200",
            "body.queue.depth[1] < 100",
            "all(body.queue.depth[*]) < 13",
            "body contains 'depth'",
            "header.content-type == 'application/json'",
            "header.set-cookie contains 'Secure'",
            "size == 26B",
            "time.total < 5s",
            "time.first_byte < 5s and time.connect < 5s",
        ],
    );
    let head = server.asked().remove(0);
    assert!(head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("host: {}", server.address),
        "x-key: open sesame".to_owned(),
        "accept-encoding: identity".to_owned(),
        concat!("user-agent: tocsin/", env!("CARGO_PKG_VERSION")).to_owned(),
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
    assert_eq!(seen.sample.head, "HTTP/1.1 200 Fine");
    assert_eq!(seen.sample.address, Some(server.address.ip()));
    for cookie in ["sid=[Filtered]; Secure", "b=[Filtered]"] {
        assert!(
            seen.sample.lines.contains(&("set-cookie".to_owned(), cookie.to_owned())),
            "{:?}",
            seen.sample
        );
    }
    assert!(seen.sample.body.contains("depth"));
}

#[tokio::test]
async fn a_body_is_sent_and_what_repeats_a_secret_is_hidden() {
    let server = Server::raw("127.0.0.1:0", |mut stream, told| async move {
        let head = super::server::request_head(&mut stream).await;
        let mut body = vec![0; 19];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.unwrap();
        told.push(head + &String::from_utf8(body).unwrap());
        let answer = "HTTP/1.1 418 \r\nx-told: open sesame\r\n\r\nyou said open sesame";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let target =
        json!({"kind": "http", "url": server.url("/"), "method": "POST", "body": "{\"k\":\"{{key}}\"}"});
    let seen = ask(target.clone()).await;
    holds(&read(target), &seen, &["status == 418", "body contains 'open sesame'"]);
    assert_eq!(seen.sample.body, "you said [secret]");
    assert!(seen.sample.lines.contains(&("x-told".to_owned(), "[secret]".to_owned())));
    assert_eq!(seen.sample.head, "HTTP/1.1 418");
    let told = server.asked().remove(0);
    assert!(told.contains("content-length: 19\r\n") && told.ends_with("{\"k\":\"open sesame\"}"), "{told}");
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_wanted_and_keys_stay_behind() {
    let goal = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngoal").await;
    let away =
        Server::saying(format!("HTTP/1.1 302 Found\r\nlocation: {}\r\n\r\n", goal.url("/goal?token=x")))
            .await;
    let target = |redirects: u8| {
        json!({
            "kind": "http", "url": away.url("/start"), "redirects": redirects,
            "headers": {"authorization": "Bearer {{key}}", "cookie": "a=b", "x-api-key": "{{key}}"},
        })
    };
    let unfollowed = ask(target(0)).await;
    holds(&read(target(0)), &unfollowed, &["status == 302", "header.location contains '/goal'"]);
    let seen = ask(target(1)).await;
    holds(&read(target(1)), &seen, &["status == 200", "body == 'goal'"]);
    assert_eq!(seen.sample.lines[0], ("redirected from".to_owned(), away.url("/start")));
    let head = goal.asked().remove(0);
    assert!(head.starts_with("GET /goal?token=x HTTP/1.1\r\n"), "{head}");
    assert!(
        !head.contains("authorization") && !head.contains("cookie") && !head.contains("sesame"),
        "{head}"
    );
    assert!(away.asked()[1].contains("authorization: Bearer open sesame\r\n"));
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    let server =
        Server::saying("HTTP/1.1 301 Moved\r\nlocation: /again?secret\r\ncontent-length: 0\r\n\r\n").await;
    let seen = ask(json!({"kind": "http", "url": server.url("/"), "redirects": 3})).await;
    assert_eq!(
        failure(&seen),
        format!("answer: more than 3 redirects, the last to {}", server.url("/again"))
    );
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn every_field_of_the_kind_is_seen() {
    let server = super::tls::Papers::good().serve(&[&rustls::version::TLS13]).await;
    let target = json!({"kind": "http", "url": format!("https://localhost:{}/", server.address.port())});
    let seen = asker(Some(&server.authority)).ask(&question(target.clone())).await;
    knows_every_field(&read(target.clone()), &seen);
    holds(
        &read(target.clone()),
        &seen,
        &["status == 200", "cert.expires_in > 14d", "cert.subject contains 'tests'"],
    );
    let distrusted = ask(target.clone()).await;
    let unvouched = "TLS: nobody who is trusted here vouches for the certificate: name its authority in `outbound.ca_file`, or set `verify = false`";
    assert_eq!(failure(&distrusted), unvouched);
    let mut lenient = target;
    lenient["verify"] = json!(false);
    holds(&read(lenient.clone()), &ask(lenient).await, &["status == 200"]);
}

#[tokio::test]
async fn heads_alone_and_answers_without_a_body_are_answers() {
    let server = Server::saying("HTTP/1.1 204 No Content\r\n\r\n").await;
    let target = json!({"kind": "http", "url": server.url("/")});
    holds(&read(target.clone()), &ask(target).await, &["status == 204", "size == 0B"]);
    let server = Server::saying("HTTP/1.1 200 OK\r\ncontent-length: 4000000000\r\n\r\n").await;
    let target = json!({"kind": "http", "url": server.url("/"), "method": "HEAD"});
    holds(&read(target.clone()), &ask(target).await, &["status == 200", "size == 0B"]);
}
