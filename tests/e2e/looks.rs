//! Every page looked at by real Chromium: reached by links, readable, usable by keyboard and on a phone, in both
//! schemes. Screenshots stay in `target/screenshots`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    corpus,
    support::{
        api::Api,
        events::{accept, event, event_id},
        peer::{Peer, Reply},
        server::{Project, Server, Setup},
        tools::{json_of, node, program, tests_file},
        wait_until,
    },
};

/// What the browser calls the server. No loopback name: messages then carry links.
const BASE: &str = "http://tocsin.example";
const OWNER: &str = "ada.lovelace@analytical-engine.example";
const PASSWORD: &str = "tin whistle parade";
const SENT_WITHIN: Duration = Duration::from_secs(30);
/// Events of the loud issue.
const LOUD: usize = 40;
/// Texts that people and programs really send, and some that nobody should.
const STRANGE: [&str; 6] = [
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>",
    "AnErrorWhoseNameIsOneWordWithoutAnySpaceThatNoLineOfAPhoneCanHoldAndThatGoesOnAndOnAndOnAndOnAndOnAndOn",
    "خطأ في الدفع: تعذر الاتصال بالبوابة",
    "支払いに失敗しました：ゲートウェイがタイムアウトしました。もう一度お試しください。",
    "\u{202e}txt.exe looks like exe.txt",
    "🔥 e\u{301}\u{301}\u{301}\u{301} zero\u{200b}width",
];

#[test]
fn every_page_can_be_read_and_used_by_everybody() {
    let (hook, slack, mail) = (Peer::start(&[]), refusing(), busy());
    let server = Server::start(Setup::with(&[
        ("TOCSIN_BASE_URL", BASE),
        ("TOCSIN_ADMIN_EMAIL", OWNER),
        ("TOCSIN_ADMIN_PASSWORD", PASSWORD),
        ("TOCSIN_ALERTS__WEBHOOK_URL", &hook.url("/hook")),
        ("TOCSIN_ALERTS__SLACK_WEBHOOK_URL", &slack.url("/services/T0/B0/secret")),
        ("TOCSIN_ALERTS__EMAIL", "ops@shop.example"),
        ("TOCSIN_SMTP__HOST", "127.0.0.1"),
        ("TOCSIN_SMTP__PORT", &mail),
        ("TOCSIN_SMTP__TLS", "none"),
        ("TOCSIN_SMTP__FROM", "tocsin@shop.example"),
    ]));
    let (api, shop) = (server.api(), fill(&server));
    let acknowledge = wait_until("a message with its link", SENT_WITHIN, || acknowledge_path(&slack));
    for state in ["delivered", "failed", "pending"] {
        wait_until(&format!("a message that is {state}"), SENT_WITHIN, || {
            api.list(&format!("/api/v1/deliveries?state={state}")).into_iter().next()
        });
    }
    end_some(&api, &shop);

    let viewer = server.cli(&["user", "create", "viewer@shop.example", "--role", "viewer", "--json"]);
    let link = viewer["link"].as_str().expect("a new user gets a link").to_owned();
    let page = |path: &str, name: &str, status: u16| json!({"path": path, "name": name, "status": status});
    let link_path = link.trim_start_matches(BASE);
    let seen = look(
        &server,
        &json!({
            "prefix": "",
            "start": ["/"],
            "silences": [["database upgrade until 04:00", true], ["known, the fix is on its way", false]],
            "strangers": [
                page("/sign-in", "sign-in", 200),
                page(link_path, "link", 200),
                page("/sign-in/used-or-never-made", "link-used", 410),
                page(&acknowledge, "ack", 200),
                page("/ack/not-a-link", "ack-invalid", 404),
            ],
            "viewer": link,
        }),
    );
    assert!(seen["kinds"].as_u64() >= Some(15), "too few kinds of pages were found: {seen}");
    no_complaints(&seen);
}

#[test]
fn an_empty_house_can_be_read_and_used_by_everybody() {
    let server = Server::start(Setup::with(&[
        ("TOCSIN_BASE_URL", BASE),
        ("TOCSIN_ADMIN_EMAIL", OWNER),
        ("TOCSIN_ADMIN_PASSWORD", PASSWORD),
    ]));
    no_complaints(&look(&server, &json!({"prefix": "empty-", "start": ["/"]})));
}

/// Lets the browser look; what it found.
fn look(server: &Server, plan: &Value) -> Value {
    let mut plan = plan.clone();
    let folder = screenshots();
    for (key, value) in [
        ("base", BASE.to_owned()),
        ("address", server.stranger().host().to_owned()),
        ("email", OWNER.to_owned()),
        ("password", PASSWORD.to_owned()),
        ("folder", folder.display().to_string()),
    ] {
        plan[key] = value.into();
    }
    let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
    json_of(node().arg(tests_file("sdk/looks.cjs")).env("CHROMIUM", chromium).env("LOOKS", plan.to_string()))
}

fn screenshots() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies below target");
    let folder = target.join("screenshots");
    fs::create_dir_all(&folder).expect("a folder for screenshots can be made");
    folder
}

#[track_caller]
fn no_complaints(seen: &Value) {
    let all = seen["complaints"].as_array().expect("the browser reports complaints");
    let lines: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
    assert!(lines.is_empty(), "{} complaints:\n{}", lines.len(), lines.join("\n"));
}

/// A channel that refuses its first message for good and then is not there any more.
fn refusing() -> Peer {
    let mut replies = vec![Reply::status(404); 100];
    replies[0] = Reply::status(400);
    Peer::start(&replies)
}

/// The port of a mail server that is not there: its messages stay on the way.
fn busy() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port().to_string()
}

/// The acknowledge link in what a channel was told.
fn acknowledge_path(peer: &Peer) -> Option<String> {
    let mut bodies =
        peer.requests().into_iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    bodies.find_map(|body| path_after(&body, "/ack/"))
}

fn path_after(body: &str, start: &str) -> Option<String> {
    let at = body.find(&format!("{BASE}{start}"))? + BASE.len();
    let end = |c: char| c.is_whitespace() || "\"'<>)|\\".contains(c);
    body[at..].split(end).next().map(str::to_owned)
}

/// What a busy day leaves behind: recorded events of every SDK, strange texts, a deploy, and an outage.
fn fill(server: &Server) -> Project {
    let stranger = server.stranger();
    corpus::replay(server, &server.project("recorded"));
    let strange = server.project("Ünïcödé & <b>Söhne</b> with a name that is rather long for a menu");
    for text in STRANGE {
        let mut sent = event(&event_id(), "Strange", "warning");
        sent["exception"]["values"][0]["type"] = text.into();
        sent["exception"]["values"][0]["value"] = text.repeat(3).into();
        sent["release"] = text.repeat(2).into();
        sent["tags"] = json!({ "note": text });
        sent["user"] = json!({ "id": text, "email": "someone@shop.example" });
        sent["breadcrumbs"] = json!([{ "message": text, "category": "navigation", "level": "error" }]);
        accept(&stranger, &strange, &sent);
    }
    let shop = server.project("shop");
    let deploy =
        json!({ "release": "shop@1.4.2", "environment": "production", "url": "https://ci.example/17" });
    post(&stranger, &shop, "deploys", &deploy);
    for _ in 0..LOUD {
        accept(&stranger, &shop, &event(&event_id(), "Payment", "fatal"));
    }
    let slow = |number| json!({"type": "database_query", "value": 1500 + number, "unit": "ms", "metadata": {"query": format!("SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = {number}")}});
    post(&stranger, &shop, "metrics", &(0..8).map(slow).collect());
    for name in ["Search", "Cart", "Mail"] {
        accept(&stranger, &server.project(name), &event(&event_id(), name, "fatal"));
    }
    shop
}

fn post(stranger: &Api, project: &Project, what: &str, body: &Value) {
    stranger.write(Method::POST, &format!("/api/v1/{what}?sentry_key={}", project.public_key), body);
}

/// One incident is acknowledged, one is over, one issue is ignored and one resolved.
fn end_some(api: &Api, shop: &Project) {
    let incidents = api.list("/api/v1/incidents?state=open");
    let others: Vec<&str> = incidents
        .iter()
        .filter(|incident| incident["project"] != shop.slug.as_str())
        .filter_map(|incident| incident["id"].as_str())
        .collect();
    for (incident, act) in others.iter().zip(["acknowledge", "resolve"]) {
        api.write(Method::POST, &format!("/api/v1/incidents/{incident}/{act}"), &Value::Null);
    }
    let issues = api.list("/api/v1/issues?project=recorded");
    for (issue, status) in issues.iter().zip(["ignored", "resolved"]) {
        let path = format!("/api/v1/issues/{}", issue["id"].as_str().expect("an issue has an id"));
        api.write(Method::PATCH, &path, &json!({ "status": status }));
    }
}
