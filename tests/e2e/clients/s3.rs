//! Buckets, well and broken. The server checks names and keys; signatures of V4 it only reads.

use std::time::Duration;

use rusty_s3::{Bucket as Name, Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};

use crate::support::{asker::Eye, database::Bucket, peer::Peer, peer::Reply};

const SECRETS: &[(&str, &str)] = &[("secret_key", Bucket::KEY)];

fn target(server: &Bucket) -> Value {
    json!({
        "kind": "s3", "endpoint": server.url(), "bucket": "shop", "access_key": Bucket::KEY,
        "secret_key": "{{secret_key}}",
    })
}

async fn put(server: &Bucket, key: &str) {
    let name = Name::new(server.url().parse().unwrap(), UrlStyle::Path, "shop", "us-east-1").unwrap();
    let credentials = Credentials::new(Bucket::KEY, Bucket::KEY);
    let url = name.put_object(Some(&credentials), key).sign(Duration::from_mins(1));
    let answer = reqwest::Client::new().put(url).body("backup").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_bucket_tells_how_many_objects_it_has_and_how_new_they_are() {
    tocsin::outbound::install_crypto_provider();
    let server = Bucket::start();
    let eye = Eye::new(None);
    eye.ask(target(&server), SECRETS).await.holds(&[
        "status == 200",
        "objects == 0",
        "newest_object.age not exists",
    ]);
    for key in ["daily/1 one.tar", "daily/2+two.tar", "weekly/1.tar"] {
        put(&server, key).await;
    }
    let look = eye.ask(target(&server), SECRETS).await;
    look.holds(&["objects == 3", "newest_object.age < 1m", "time.total < 10s"]);
    assert!(look.seen.phases.answer.is_some());
    let mut below = target(&server);
    below["prefix"] = "daily/".into();
    eye.ask(below, SECRETS).await.holds(&["objects == 2"]);

    let mut other = target(&server);
    other["bucket"] = "nowhere".into();
    eye.ask(other, SECRETS)
        .await
        .fails_with("404 Not Found: NoSuchBucket: The specified bucket does not exist");
    let mut unknown = target(&server);
    unknown["access_key"] = "AKIAUNKNOWN".into();
    eye.ask(unknown, SECRETS).await.fails_with("403 Forbidden: InvalidAccessKeyId");
    let gone = target(&server);
    drop(server);
    eye.ask(gone, SECRETS).await.fails_with("connection refused");
}

#[tokio::test]
async fn what_is_no_bucket_costs_its_limits_and_no_more() {
    let eye = Eye::new(None);
    let endless = "x".repeat(2 * 1024 * 1024);
    let skewed =
        "<Error><Code>RequestTimeTooSkewed</Code><Message>The clocks differ.</Message></Error>".to_owned();
    let mismatched =
        "<Error><Code>SignatureDoesNotMatch</Code><Message>Check your key.</Message></Error>".to_owned();
    let peer = Peer::start(&[
        Reply::Status(200, Vec::new(), endless),
        Reply::Status(403, Vec::new(), skewed),
        // The server above takes any signature of a key that it knows.
        Reply::Status(403, Vec::new(), mismatched),
        Reply::Status(200, Vec::new(), "<html>welcome</html>".to_owned()),
        Reply::status(503),
        Reply::Silence(Duration::from_secs(20)),
    ]);
    let target = json!({
        "kind": "s3", "endpoint": peer.url(""), "bucket": "shop", "access_key": "A", "secret_key": "{{secret_key}}",
    });
    for words in [
        "larger than 1 MiB",
        "403 Forbidden: RequestTimeTooSkewed: The clocks differ.",
        "403 Forbidden: SignatureDoesNotMatch: Check your key.",
        "no list of objects",
        "503 Service Unavailable",
        "nothing came within 1s",
    ] {
        eye.ask_within(Duration::from_secs(1), target.clone(), SECRETS).await.fails_with(words);
    }
}
