//! What a probe that was made on the page cannot reach, in any spelling and by any detour.

use std::sync::Arc;

use serde_json::{Value, json};
use tocsin::prober::{Question, Reach};
use tocsin::probes::seen::Phase;

use super::server::Server;
use super::{asker, failure, holds, question, read};

async fn ask_from_the_page(opened: &[&str], target: Value) -> tocsin::probes::Seen {
    let opened: Arc<[_]> = opened.iter().map(|network| network.parse().unwrap()).collect();
    asker(None).ask(&Question { reach: Reach::Public(opened), ..question(target) }).await
}

#[tokio::test]
async fn this_machine_and_metadata_are_out_of_reach_in_every_spelling() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    let port = server.address.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "0x7f.1",
        "0177.1",
        "2130706433",
        "127.1",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[::ffff:a9fe:a9fe]",
        "0251.0376.0251.0376",
        "2852039166",
        "0.0.0.0",
        "[::]",
        "[::7f00:1]",
        // The same through a network that translates to IPv4.
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
    ];
    for host in hosts {
        for target in [
            json!({"kind": "http", "url": format!("http://{host}:{port}/")}),
            json!({"kind": "tcp", "host": host, "port": port}),
            json!({"kind": "tls", "host": host, "port": port}),
            json!({"kind": "dns", "name": "example.com", "server": format!("{host}:{port}")}),
        ] {
            let seen = ask_from_the_page(&[], target.clone()).await;
            let failed = seen.failed.unwrap_or_else(|| panic!("{target} was asked"));
            assert_eq!((failed.phase, failed.may_be_ours), (Phase::Setup, false), "{target}: {failed}");
        }
    }
    assert_eq!(server.connections(), 0);
    let metadata = json!({"kind": "http", "url": "http://169.254.169.254/latest/meta-data/"});
    let seen = failure(&super::ask(metadata).await);
    assert!(seen.ends_with("no probe may ask there"), "{seen}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_the_target_could_not_be() {
    let inside = Server::saying("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    for location in [inside.url("/"), "http://169.254.169.254/".to_owned(), "http://localhost:1/".to_owned()]
    {
        // One address of this machine stands for the internet.
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let outside = Server::raw("127.0.0.2:0", move |mut stream, told| {
            let answer = answer.clone();
            async move {
                told.push(super::server::request_head(&mut stream).await);
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.ok();
            }
        })
        .await;
        let target = json!({"kind": "http", "url": outside.url("/"), "redirects": 5});
        let seen = ask_from_the_page(&["127.0.0.2/32"], target.clone()).await;
        let failed = seen.failed.unwrap();
        assert_eq!((failed.phase, failed.may_be_ours), (Phase::Setup, false), "{location}: {failed}");
        assert_eq!(outside.connections(), 1);
    }
    assert_eq!(inside.connections(), 0);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_judged_by_its_address() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let target = json!({"kind": "http", "url": format!("http://{}:{}/", name.trim(), server.address.port())});
    let seen = ask_from_the_page(&[], target).await;
    // Where this machine does not know its own name, nothing is dialled either.
    assert!(matches!(seen.failed.unwrap().phase, Phase::Setup | Phase::Dns));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_opened_network_is_within_reach() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\nhello").await;
    let target = json!({"kind": "http", "url": server.url("/")});
    holds(&read(target.clone()), &ask_from_the_page(&["127.0.0.0/8"], target).await, &["status == 200"]);
}

#[tokio::test]
async fn a_secret_that_turns_a_target_inwards_gains_nothing() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    let target = json!({"kind": "http", "url": "http://{{key}}/"});
    let mut question = question(target);
    question.reach = Reach::Public(Arc::new([]));
    question.secrets.0.insert("key".to_owned(), tocsin::base::Secret::new(server.address.to_string()));
    let failed = asker(None).ask(&question).await.failed.unwrap();
    assert_eq!(failed.phase, Phase::Setup);
    assert_eq!(server.connections(), 0);
}
