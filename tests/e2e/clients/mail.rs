//! Mail servers, well and broken.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    asker::Eye,
    certificates::Certificates,
    database::Redis,
    mail::{MailServer, Mode, PASSWORD, USERNAME},
};

const SECRETS: &[(&str, &str)] = &[("password", PASSWORD)];

fn eye(server: &MailServer) -> Eye {
    Eye::new(Some(&fs::read_to_string(server.authority()).unwrap()))
}

fn target(server: &MailServer, tls: &str) -> Value {
    json!({
        "kind": "smtp", "host": "127.0.0.1", "port": server.port(), "tls": tls, "username": USERNAME,
        "password": "{{password}}",
    })
}

#[tokio::test]
async fn a_server_is_asked_up_to_the_sign_in() {
    for (server, tls) in [(MailServer::start(), "starttls"), (MailServer::start_encrypted(), "tls")] {
        let eye = eye(&server);
        let look = eye.ask(target(&server, tls), SECRETS).await;
        look.holds(&[
            "banner contains '220 '",
            "extensions contains 'SMTPUTF8'",
            "encrypted",
            "signed_in",
            "cert.expires_in > 1d",
            "time.total < 10s",
            "time.connect < 5s",
            "time.tls < 5s",
        ]);
        assert!(look.seen.phases.answer.is_some() && look.seen.sample.head.starts_with("220 "));
        assert!(server.sign_ins().iter().all(|sign_in| sign_in["tls"] == true && sign_in["good"] == true));

        let wrong = eye.ask(target(&server, tls), &[("password", "wrong-one")]).await;
        wrong.fails_with("answer: the sign-in was refused: 535");
        assert!(!wrong.reason().contains("wrong-one"));
        let mut unsigned = target(&server, tls);
        unsigned.as_object_mut().unwrap().retain(|name, _| name != "username" && name != "password");
        eye.ask(unsigned.clone(), &[]).await.holds(&["encrypted", "not signed_in"]);
        Eye::new(None).ask(unsigned, &[]).await.fails_with("TLS: nobody who is trusted here");
        assert!(server.mails().is_empty(), "no mail is sent");
    }
}

#[tokio::test]
async fn a_server_without_encryption_is_told_apart_from_one_that_is_none() {
    let mut server = MailServer::start_plain();
    let eye = Eye::new(None);
    eye.ask(target(&server, "starttls"), SECRETS).await.fails_with("TLS: the server offers no STARTTLS");
    eye.ask(target(&server, "tls"), SECRETS).await.fails_with("TLS: ");
    // This machine may hear a password.
    eye.ask(target(&server, "none"), SECRETS).await.holds(&["not encrypted", "signed_in"]);
    assert_eq!(server.sign_ins().len(), 1, "nothing was said before");

    let gone = target(&server, "starttls");
    server.die();
    eye.ask(gone, SECRETS).await.fails_with("connection refused");
    let redis = Redis::start(&[]);
    let mut other = target(&server, "none");
    other["port"] = redis.daemon.port.into();
    let limit = Duration::from_secs(1);
    eye.ask_within(limit, other, SECRETS).await.fails_with("answer: nothing came within 1s");
}

#[tokio::test]
async fn a_server_that_is_closed_slow_or_out_of_date_is_told_apart() {
    let server = MailServer::start();
    let eye = eye(&server);
    server.set_mode(Mode::Closed);
    let closed = eye.ask(target(&server, "starttls"), SECRETS).await;
    closed.fails_with("answer: it does not greet back: 554 5.3.2 closed for repairs");
    server.set_mode(Mode::Accept);
    server.freeze();
    let frozen = eye.ask_within(Duration::from_millis(500), target(&server, "starttls"), SECRETS).await;
    server.thaw();
    frozen.fails_with("answer: nothing came within 500ms");
    eye.ask(target(&server, "starttls"), SECRETS).await.holds(&["signed_in"]);

    let over = Certificates::expired();
    let server = MailServer::start_with(&over);
    let mut expired = target(&server, "starttls");
    expired["host"] = "localhost".into();
    let look = Eye::new(Some(&over.authority)).ask(expired, SECRETS).await;
    look.fails_with("TLS: the certificate has expired");
    assert!(server.sign_ins().is_empty(), "no password is said to it");
}
