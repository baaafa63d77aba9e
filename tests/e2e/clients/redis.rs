//! Redis, well and broken.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{asker::Eye, certificates::Certificates, database::Redis, peer::Peer};

fn target(server: &Redis, sign_in: &str) -> Value {
    json!({"kind": "redis", "url": format!("redis://{sign_in}127.0.0.1:{}", server.daemon.port)})
}

fn key(server: &Redis, key: &str) -> Value {
    let mut target = target(server, "");
    target["key"] = key.into();
    target
}

#[tokio::test]
async fn a_server_tells_its_memory_and_its_keys() {
    let server = Redis::start(&[]);
    let eye = Eye::new(None);
    let look = eye.ask(target(&server, ""), &[]).await;
    look.holds(&[
        "used_memory > 100kB",
        "used_memory < 1GB",
        "memory.used not exists",
        "clients >= 1",
        "role == 'master'",
        "info.redis_version exists",
        "info.loading == 0",
        "time.ping < 5s",
        "time.total < 10s",
        "time.connect < 5s",
    ]);
    assert!(look.seen.phases.answer.is_some());
    server.say(&["CONFIG SET maxmemory 50mb", "SET text hello", "RPUSH queue a b c", "HSET hash a 1 b 2"]);
    server.say(&["SADD set 1", "ZADD zset 1 a", "XADD stream * a 1", "SELECT 3", "SET there 1"]);
    eye.ask(target(&server, ""), &[]).await.holds(&[
        "memory.used > 0%",
        "memory.used < 100%",
        "info.db0.keys == 6",
    ]);
    server.say(&["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 200kb"]);
    let full = eye.ask(target(&server, ""), &[]).await;
    full.breaks("memory.used < 90%", "memory.used was");
    full.breaks("used_memory < 100kB", "used_memory was");
    server.say(&["CONFIG SET maxmemory 50mb"]);
    for (name, kind, length) in [
        ("text", "string", 5),
        ("queue", "list", 3),
        ("hash", "hash", 2),
        ("set", "set", 1),
        ("zset", "zset", 1),
        ("stream", "stream", 1),
    ] {
        let look = eye.ask(key(&server, name), &[]).await;
        look.holds(&["key.exists", &format!("key.type == '{kind}'"), &format!("key.length == {length}")]);
    }
    let look = eye.ask(key(&server, "no such\r\nkey"), &[]).await;
    look.holds(&["not key.exists", "key.length == 0", "key.type == 'none'"]);
    look.breaks("key.exists", "key.exists was false");
    eye.ask(key(&server, "queue"), &[]).await.breaks("key.length < 3", "key.length was 3");
    let mut third = key(&server, "there");
    third["url"] = format!("redis://127.0.0.1:{}/3", server.daemon.port).into();
    eye.ask(third.clone(), &[]).await.holds(&["key.exists"]);
    third["url"] = format!("redis://127.0.0.1:{}/99", server.daemon.port).into();
    eye.ask(third, &[]).await.fails_with("ERR DB index is out of range");
}

#[tokio::test]
async fn a_sign_in_is_refused_as_the_server_says_it() {
    let server = Redis::start(&["--requirepass", "s3cret@/:pass"]);
    let eye = Eye::new(None);
    eye.ask(target(&server, ""), &[])
        .await
        .fails_with("answer: NOAUTH Authentication required. Write the password");
    let look = eye.ask(target(&server, ":{{password}}@"), &[("password", "wrong-one")]).await;
    look.fails_with("answer: WRONGPASS invalid username-password pair");
    assert!(!look.reason().contains("wrong-one"));
    let secrets = &[("password", "s3cret@/:pass")];
    eye.ask(target(&server, ":{{password}}@"), secrets).await.holds(&["role == 'master'"]);
    server.say(&[
        "AUTH s3cret@/:pass",
        "ACL SETUSER watcher on >pw1234 ~* +ping +type +strlen",
        "ACL SETUSER blind on >pw1234 -@all +auth",
    ]);
    let look = eye.ask(target(&server, "watcher:{{password}}@"), &[("password", "pw1234")]).await;
    look.holds(&["used_memory not exists", "time.ping < 5s"]);
    assert!(format!("{:?}", look.seen.sample.lines).contains("NOPERM"));
    let look = eye.ask(target(&server, "blind:{{password}}@"), &[("password", "pw1234")]).await;
    look.fails_with("NOPERM");
}

#[tokio::test]
async fn a_server_that_loads_hangs_or_is_gone_is_told_apart() {
    let eye = Eye::new(None);
    let folder = TempDir::new().unwrap();
    let server = Redis::start(&[]);
    server.say(&["EVAL \"for i=1,2000 do redis.call('set', i, string.rep('x', 4000)) end\" 0", "SAVE"]);
    let dump = server.daemon.path().join("dump.rdb");
    fs::copy(dump, folder.path().join("dump.rdb")).unwrap();
    // A millisecond and more for each key.
    let slow = &["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"];
    let loading = Redis::start_in(folder, slow);
    eye.ask(target(&loading, ""), &[]).await.fails_with("answer: LOADING");

    server.daemon.freeze();
    let limit = Duration::from_secs(1);
    let frozen = eye.ask_within(limit, target(&server, ""), &[]).await;
    server.daemon.thaw();
    frozen.fails_with("answer: nothing came within 1s");
    eye.ask(target(&server, ""), &[]).await.holds(&["role == 'master'"]);
    // A copy that lost its master takes no writes.
    server.say(&["REPLICAOF 127.0.0.1 1"]);
    let copy = eye.ask(target(&server, ""), &[]).await;
    copy.breaks("role == 'master'", "role was");
    copy.breaks("info.master_link_status == 'up'", "down");
    let gone = target(&server, "");
    drop(server);
    eye.ask(gone, &[]).await.fails_with("connection refused");

    let peer = Peer::start(&[]);
    let url = peer.url("").replace("http://", "redis://");
    let other = eye.ask_within(limit, json!({"kind": "redis", "url": url}), &[]).await;
    other.reason();
}

#[tokio::test]
async fn tls_wants_a_certificate_that_somebody_vouches_for() {
    let certificates = Certificates::for_localhost();
    let server = Redis::start_encrypted(&certificates);
    let trusting = Eye::new(Some(&certificates.authority));
    let target = |scheme: &str, host: &str| json!({"kind": "redis", "url": format!("{scheme}://{host}:{}", server.daemon.port)});
    trusting.ask(target("rediss", "localhost"), &[]).await.holds(&["role == 'master'", "time.tls < 5s"]);
    trusting.ask(target("rediss", "127.0.0.1"), &[]).await.fails_with("TLS: the certificate names another");
    Eye::new(None)
        .ask(target("rediss", "localhost"), &[])
        .await
        .fails_with("TLS: nobody who is trusted here");
    trusting.ask_within(Duration::from_secs(2), target("redis", "localhost"), &[]).await.reason();
}
