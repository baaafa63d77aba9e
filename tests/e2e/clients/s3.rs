//! Buckets, well and broken, of a store that checks every signature.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use serde_json::{Value, json};
use tocsin::base::{Clock, Timestamp};

use crate::support::{api::Api, asker::Eye, database::ObjectStore, peer::Peer, peer::Reply, wait_until};

const SECRETS: &[(&str, &str)] = &[("secret_key", ObjectStore::SECRET_KEY)];
/// A store that has just begun to listen looks for its own parts first.
const TAKEN_WITHIN: Duration = Duration::from_mins(1);
/// A signature is good for 15 minutes.
const TOO_FAR: Duration = Duration::from_mins(20);

/// The bucket `shop`, with some fields changed.
fn target(server: &ObjectStore, but: &[(&str, &str)]) -> Value {
    let mut target = json!({
        "kind": "s3", "endpoint": server.url(), "bucket": "shop", "access_key": ObjectStore::ACCESS_KEY,
        "secret_key": "{{secret_key}}",
    });
    for (field, value) in but {
        target[*field] = json!(value);
    }
    target
}

/// Makes the bucket `shop` and puts objects into it.
fn fill(server: &ObjectStore, keys: &[&str]) {
    let bucket = Bucket::new(server.url().parse().unwrap(), UrlStyle::Path, "shop", "us-east-1").unwrap();
    let credentials = Credentials::new(ObjectStore::ACCESS_KEY, ObjectStore::SECRET_KEY);
    let objects = keys.iter().map(|key| bucket.put_object(Some(&credentials), key).sign(TAKEN_WITHIN));
    let api = Api::stranger(SocketAddr::from(([127, 0, 0, 1], server.daemon.port)));
    for url in [bucket.create_bucket(&credentials).sign(TAKEN_WITHIN)].into_iter().chain(objects) {
        wait_until("the store takes what is put", TAKEN_WITHIN, || {
            let path = url.as_str().strip_prefix(&server.url()).expect("it is an address of the store");
            let answer = api.send(Method::PUT, path, &[], b"backup".to_vec());
            answer.ok().filter(|answer| answer.status == 200)
        });
    }
}

/// A store with the bucket `shop` and what lies in it.
async fn store(keys: &'static [&'static str]) -> ObjectStore {
    let starting = tokio::task::spawn_blocking(move || {
        let server = ObjectStore::start();
        fill(&server, keys);
        server
    });
    starting.await.unwrap()
}

#[tokio::test]
async fn a_bucket_tells_how_many_objects_it_has_and_how_new_they_are() {
    let server = store(&["daily/1 one.tar", "daily/2+two.tar", "weekly/1.tar"]).await;
    let eye = Eye::new(None);
    let look = eye.ask(target(&server, &[]), SECRETS).await;
    look.holds(&["status == 200", "objects == 3", "newest_object.age < 2m", "time.total < 10s"]);
    assert!(look.seen.phases.answer.is_some());
    look.breaks("objects >= 4", "objects was 3");
    look.breaks("newest_object.age > 1h", "newest_object.age was");
    let below = eye.ask(target(&server, &[("prefix", "daily/")]), SECRETS).await;
    below.holds(&["objects == 2"]);
    let none = eye.ask(target(&server, &[("prefix", "monthly/")]), SECRETS).await;
    none.holds(&["status == 200", "objects == 0", "newest_object.age not exists"]);
}

#[tokio::test]
async fn a_signature_is_checked_and_the_server_says_what_is_wrong_with_it() {
    let server = store(&[]).await;
    let eye = Eye::new(None);
    eye.ask(target(&server, &[]), SECRETS).await.holds(&["status == 200", "objects == 0"]);

    let wrong = eye.ask(target(&server, &[]), &[("secret_key", "wrong-one")]).await;
    wrong.fails_with("403 Forbidden: SignatureDoesNotMatch: The request signature we calculated");
    assert!(!format!("{:?}", wrong.seen).contains("wrong-one"));
    let unknown = eye.ask(target(&server, &[("access_key", "AKIAUNKNOWN")]), SECRETS).await;
    unknown.fails_with("403 Forbidden: InvalidAccessKeyId");
    let guest = eye.ask(target(&server, &[("access_key", ObjectStore::GUEST)]), SECRETS).await;
    guest.fails_with("403 Forbidden: AccessDenied");
    let elsewhere = eye.ask(target(&server, &[("bucket", "nowhere")]), SECRETS).await;
    elsewhere.fails_with("404 Not Found: NoSuchBucket: The specified bucket does not exist");

    let late = Clock::system().now().as_micros() - i64::try_from(TOO_FAR.as_micros()).unwrap();
    let skewed = Eye::at(Timestamp::from_micros(late)).ask(target(&server, &[]), SECRETS).await;
    skewed.fails_with("403 Forbidden: AccessDenied: Request has expired");
    let gone = target(&server, &[]);
    drop(server);
    eye.ask(gone, SECRETS).await.fails_with("connection refused");
}

#[tokio::test]
async fn what_is_no_bucket_costs_its_limits_and_no_more() {
    let eye = Eye::new(None);
    let endless = "x".repeat(2 * 1024 * 1024);
    // As S3 itself says it; the store above takes every region, and signatures of tomorrow.
    let early = "<Error><Code>RequestTimeTooSkewed</Code><Message>The clocks differ.</Message></Error>";
    let region = "<Error><Code>AuthorizationQueryParametersError</Code><Message>the region 'us-east-1' is wrong; expecting 'eu-central-1'</Message></Error>";
    let peer = Peer::start(&[
        Reply::Status(200, Vec::new(), endless),
        Reply::Status(403, Vec::new(), early.to_owned()),
        Reply::Status(400, Vec::new(), region.to_owned()),
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
        "expecting 'eu-central-1'",
        "no list of objects",
        "503 Service Unavailable",
        "nothing came within 1s",
    ] {
        eye.ask_within(Duration::from_secs(1), target.clone(), SECRETS).await.fails_with(words);
    }
}
