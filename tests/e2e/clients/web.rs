//! nginx, well and broken.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    asker::Eye,
    certificates::Certificates,
    web::{LARGE_BYTES, Nginx},
};

fn get(url: &str) -> Value {
    json!({"kind": "http", "url": url})
}

#[tokio::test]
async fn a_healthy_server_is_seen_healthy() {
    let server = Nginx::start(&Certificates::for_localhost(), "TLSv1.2 TLSv1.3");
    let eye = Eye::new(None);
    let look = eye.ask(get(&server.url("/health")), &[]).await;
    // Packed answers are not asked for, so what is shown is what was said.
    look.holds(&[
        "status == 200",
        "body.queue.depth == 7",
        "age(body.at) < 1m",
        "header.server contains 'nginx'",
    ]);
    assert!(look.seen.phases.answer.is_some() && look.seen.phases.transfer.is_some());
    let mut keyed = get(&server.url("/keyed"));
    eye.ask(keyed.clone(), &[]).await.holds(&["status == 401"]);
    keyed["headers"] = json!({"Authorization": "Bearer {{key}}"});
    keyed["method"] = json!("DELETE");
    let look = eye.ask(keyed, &[("key", "open sesame")]).await;
    look.holds(&["status == 200", "body.method == 'DELETE'"]);
    assert!(!format!("{:?}", look.seen).contains("sesame"));
}

#[tokio::test]
async fn redirects_lead_to_the_answer() {
    let tls = Certificates::for_localhost();
    let server = Nginx::start(&tls, "TLSv1.3");
    let eye = Eye::new(Some(&tls.authority));
    let redirected = |path: &str| json!({"kind": "http", "url": server.url(path), "redirects": 2});
    eye.ask(get(&server.url("/moved")), &[]).await.holds(&["status == 302", "header.location exists"]);
    eye.ask(redirected("/moved"), &[]).await.holds(&["status == 200", "body.queue.depth == 7"]);
    let look = eye.ask(redirected("/encrypted"), &[]).await;
    look.holds(&["status == 200", "cert.expires_in > 14d"]);
    eye.ask(redirected("/loop"), &[]).await.fails_with("more than 2 redirects");
}

#[tokio::test]
async fn encryption_is_agreed_on_and_its_certificate_judged() {
    let tls = Certificates::for_localhost();
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let server = Nginx::start(&tls, protocol);
        let eye = Eye::new(Some(&tls.authority));
        eye.ask(get(&server.tls_url("/health")), &[]).await.holds(&["status == 200", "time.tls < 5s"]);
        let look = json!({"kind": "tls", "host": "localhost", "port": server.tls_port});
        eye.ask(look, &[])
            .await
            .holds(&["cert.trusted and cert.matches", &format!("tls.version == '{protocol}'")]);
        let stranger = Eye::new(None);
        stranger.ask(get(&server.tls_url("/health")), &[]).await.fails_with("nobody who is trusted here");
        let by_address = get(&format!("https://127.0.0.1:{}/health", server.tls_port));
        eye.ask(by_address, &[]).await.fails_with("the certificate names another server");
        let plain = get(&format!("https://localhost:{}/health", server.daemon.port));
        eye.ask(plain, &[]).await.fails_with("the other side does not speak TLS");
        // nginx says so in plain HTTP.
        let unencrypted = get(&format!("http://localhost:{}/health", server.tls_port));
        eye.ask(unencrypted, &[]).await.holds(&["status == 400", "body contains 'plain HTTP request'"]);
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_or_vouches_for_itself_is_refused() {
    let own = Certificates::self_signed();
    let server = Nginx::start(&own, "TLSv1.3");
    let url = server.tls_url("/health");
    Eye::new(None).ask(get(&url), &[]).await.fails_with("TLS: nobody who is trusted here");
    let mut unchecked = get(&url);
    unchecked["verify"] = json!(false);
    Eye::new(None).ask(unchecked, &[]).await.holds(&["status == 200", "cert.expires_in > 14d"]);
    let look = json!({"kind": "tls", "host": "localhost", "port": server.tls_port});
    Eye::new(None).ask(look, &[]).await.breaks("cert.trusted", "nobody who is trusted here");

    let over = Certificates::expired();
    let server = Nginx::start(&over, "TLSv1.3");
    let eye = Eye::new(Some(&over.authority));
    eye.ask(get(&server.tls_url("/health")), &[]).await.fails_with("TLS: the certificate has expired");
    let look = json!({"kind": "tls", "host": "localhost", "port": server.tls_port});
    eye.ask(look, &[]).await.breaks("cert.expires_in > 14d", "cert.expires_in was");
}

#[tokio::test]
async fn a_sign_in_of_http_itself_is_taken_or_refused() {
    let server = Nginx::start(&Certificates::for_localhost(), "TLSv1.3");
    let eye = Eye::new(None);
    let mut private = get(&server.url("/private"));
    eye.ask(private.clone(), &[]).await.holds(&["status == 401", "header.www-authenticate contains 'shop'"]);
    private["headers"] = json!({"Authorization": "Basic {{sign_in}}"});
    let sign_in = |password: &str| STANDARD.encode(format!("watch:{password}"));
    eye.ask(private.clone(), &[("sign_in", &sign_in("wrong-one"))]).await.holds(&["status == 401"]);
    eye.ask(private, &[("sign_in", &sign_in("open sesame"))]).await.holds(&["status == 200"]);
}

#[tokio::test]
async fn a_broken_server_is_seen_broken() {
    let server = Nginx::start(&Certificates::for_localhost(), "TLSv1.3");
    let eye = Eye::new(None);
    eye.ask(get(&server.url("/ill")), &[]).await.holds(&["status == 503"]);
    eye.ask(get(&server.url("/upstream")), &[]).await.holds(&["status == 502"]);
    eye.ask(get(&server.url("/nowhere")), &[]).await.holds(&["status == 404"]);
    let wrong = eye.ask(get(&server.url("/health")), &[]).await;
    wrong.breaks("body.queue.depth < 5", "body.queue.depth was 7");
    wrong.breaks("body.queue.oldest exists", "body.queue.oldest");
    wrong.breaks("body contains 'welcome'", "welcome");
    wrong.breaks("cert.expires_in exists", "cert.expires_in");
    eye.ask(get(&server.url("/gone")), &[]).await.fails_with("the connection was closed without an answer");
    let mut large = get(&server.url("/large"));
    large["body_kb"] = json!(100);
    eye.ask(large, &[]).await.holds(&["size == 100KiB", &format!("header.content-length == {LARGE_BYTES}")]);
    let mut drip = get(&server.url("/drip"));
    drip["body_kb"] = json!(1024);
    let began = Instant::now();
    let look = eye.ask_within(Duration::from_secs(2), drip, &[]).await;
    look.fails_with("within 2s");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert!(look.seen.sample.body.starts_with("aaaa") && look.seen.sample.head.contains("200"));
    server.daemon.freeze();
    let look = eye.ask_within(Duration::from_millis(500), get(&server.url("/health")), &[]).await;
    look.fails_with("answer: nothing came within 500ms");
    server.daemon.thaw();
    let url = server.url("/health");
    drop(server);
    let look = eye.ask(get(&url), &[]).await;
    look.fails_with("connection refused");
    assert!(!look.seen.failed.expect("it failed").may_be_ours);
}
