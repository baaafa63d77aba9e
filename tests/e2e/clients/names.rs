//! A name server (nsd), well and broken.

use std::{net::UdpSocket, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    asker::Eye,
    web::{MANY, NameServer},
};

fn ask_for(server: &NameServer, name: &str, record: &str) -> Value {
    json!({"kind": "dns", "name": name, "record": record, "server": server.address()})
}

#[tokio::test]
async fn every_record_is_a_text() {
    let server = NameServer::start();
    let eye = Eye::new(None);
    let soa = "ns.example.test ops.example.test 7 3600 600 86400 60";
    for (name, record, says) in [
        ("www.example.test", "A", "192.0.2.7"),
        ("WWW.example.test.", "AAAA", "2001:db8::7"),
        ("shop.example.test", "CNAME", "www.example.test"),
        ("example.test", "NS", "ns.example.test"),
        ("example.test", "MX", "10 mail.example.test"),
        ("example.test", "TXT", "v=spf1 -all and more"),
        ("example.test", "CAA", "0 issue \"letsencrypt.org\""),
        ("example.test", "SOA", soa),
        ("_sip._tcp.example.test", "SRV", "1 2 5060 sip.example.test"),
        ("192.0.2.7", "PTR", "www.example.test"),
    ] {
        let look = eye.ask(ask_for(&server, name, record), &[]).await;
        look.holds(&["rcode == 'NOERROR'", &format!("records[0] == '{says}'"), "ttl > 0s", "ttl <= 5m"]);
    }
    // An alias is followed, and its own time counts.
    let look = eye.ask(ask_for(&server, "shop.example.test", "A"), &[]).await;
    look.holds(&["length(records) == 2", "records[1] == '192.0.2.8'", "ttl == 30s"]);
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp() {
    let server = NameServer::start();
    let look = Eye::new(None).ask(ask_for(&server, "many.example.test", "TXT"), &[]).await;
    look.holds(&[&format!("length(records) == {MANY}"), "any(records[*]) == 'record number 99'"]);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let server = NameServer::start();
    let eye = Eye::new(None);
    eye.ask(ask_for(&server, "nobody.example.test", "A"), &[]).await.holds(&["rcode == 'NXDOMAIN'"]);
    let look = eye.ask(ask_for(&server, "www.example.test", "MX"), &[]).await;
    look.holds(&["rcode == 'NOERROR'", "length(records) == 0"]);
    eye.ask(ask_for(&server, "example.org", "A"), &[]).await.holds(&["rcode == 'REFUSED'"]);
    let broken = eye.ask(ask_for(&server, "www.broken.test", "A"), &[]).await;
    broken.breaks("rcode == 'NOERROR'", "SERVFAIL");
    let moved = eye.ask(ask_for(&server, "www.example.test", "A"), &[]).await;
    moved.breaks("any(records[*]) == '192.0.2.9'", "192.0.2.9");
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = json!({
        "kind": "dns", "name": "www.example.test", "record": "A", "server": silent.local_addr().unwrap().to_string(),
    });
    let look = eye.ask_within(Duration::from_millis(500), target, &[]).await;
    look.fails_with("nothing came within 500ms");
    let target = ask_for(&server, "example.test", "NS");
    drop(server);
    eye.ask(target, &[]).await.fails_with("connection refused");
}
