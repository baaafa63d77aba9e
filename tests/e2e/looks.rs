//! Every page looked at by real Chromium: reached by links, readable, usable by keyboard and on a phone, in both
//! schemes. Screenshots stay in `target/screenshots`.

mod strangers;

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
        ("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8"),
        ("TOCSIN_PROBES__CANARIES", ""),
    ]));
    let (api, shop) = (server.api(), fill(&server));
    let _targets = watch(&api, &shop);
    let acknowledge = wait_until("a message with its link", SENT_WITHIN, || acknowledge_path(&slack));
    for state in ["delivered", "failed", "pending"] {
        wait_until(&format!("a message that is {state}"), SENT_WITHIN, || {
            api.list(&format!("/api/v1/deliveries?state={state}")).into_iter().next()
        });
    }
    end_some(&api, &shop);
    plan(&api, &server.stranger(), &shop.slug);

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

/// Probes that are well, slow, down, unreachable, paused and reported to.
fn watch(api: &Api, shop: &Project) -> [Peer; 2] {
    let (good, bad) = (Peer::start(&[]), Peer::start(&vec![Reply::status(503); 1_000]));
    let probe = |key: &str, name: &str, definition: Value, depends_on: &[&str]| {
        let new = json!({"key": key, "name": name, "project": shop.slug, "definition": definition, "depends_on": depends_on});
        api.write(Method::POST, "/api/v1/probes", &new);
    };
    let often = json!({"interval": "5s", "retry_interval": "1s", "timeout": "2s"});
    let http = |url: String| json!({"target": {"kind": "http", "url": url}, "policy": often});
    let mut checkout = http(good.url("/checkout"));
    checkout["labels"] = json!({"team": "payments", "tier": "1"});
    checkout["conditions"] = json!(["status < 300", "time.total < 1500ms"]);
    checkout["runbook"] = "https://wiki.shop.example/checkout".into();
    probe("checkout", "Checkout", checkout, &[]);
    let mut slow = http(good.url("/search"));
    slow["slow_after"] = "1ms".into();
    probe("search", "Search, which is never as fast as that", slow, &[]);
    probe("orders", &STRANGE[1][..100], http(bad.url("/orders")), &[]);
    probe("invoices", "Invoices", http(bad.url("/invoices")), &["orders"]);
    probe("printer", "Printer in the cellar", http(good.url("/printer")), &[]);
    api.write(Method::POST, "/api/v1/probes/printer/pause", &json!({}));
    probe("backup", "Nightly backup", json!({"target": {"kind": "push"}}), &[]);
    for (key, status) in [("checkout", "healthy"), ("orders", "unhealthy"), ("invoices", "unreachable")] {
        wait_until(&format!("{key} is {status}"), SENT_WITHIN, || {
            let probe = api.get(&format!("/api/v1/probes/{key}"));
            (probe["status"] == status).then_some(())
        });
    }
    [good, bad]
}

fn post(stranger: &Api, project: &Project, what: &str, body: &Value) {
    stranger.write(Method::POST, &format!("/api/v1/{what}?sentry_key={}", project.public_key), body);
}

/// Jobs in every state with their runs, services of them, planned work and a public status page.
fn plan(api: &Api, stranger: &Api, project: &str) {
    let make = |name: &str, definition: Value| {
        let mut wanted = json!({ "project": project, "name": name });
        for (member, value) in definition.as_object().into_iter().flatten() {
            wanted[member] = value.clone();
        }
        api.write(Method::POST, "/api/v1/heartbeats", &wanted)
    };
    let ping = |made: &Value, end: &str, body: &str| {
        let id = made["ping_url"].as_str().expect("a heartbeat has an address").rsplit('/').next();
        let id = id.expect("its last part");
        let answer = stranger.send(Method::POST, &format!("/ping/{id}{end}"), &[], body.as_bytes().to_vec());
        assert_eq!(answer.expect("a ping is answered").status, 200);
    };
    let nightly = json!({ "cron": "30 3 * * *", "zone": "Europe/Berlin", "grace": "30m", "severity": "critical",
                          "runbook": "https://wiki.shop.example/backup" });
    let backup = make("Nightly backup", nightly);
    for run in 0..30 {
        ping(&backup, "/start", "");
        ping(
            &backup,
            if run % 9 == 4 { "/2" } else { "/0" },
            &format!("{}\nrun {run}", STRANGE[run % STRANGE.len()]),
        );
    }
    let report = make(
        "Report for the accountants, with a name that is rather long for a line of a phone",
        json!({ "every": "1d" }),
    );
    ping(&report, "/fail", "Traceback (most recent call last):\n  KeyError: 'total'");
    make("Never heard from", json!({ "every": "5m" }));
    let paused = make("Paused for a while", json!({ "every": "1h" }));
    let paused = paused["id"].as_str().expect("a heartbeat has an id");
    api.write(Method::POST, &format!("/api/v1/heartbeats/{paused}/pause"), &Value::Null);
    for (key, name, needs, members) in [
        ("backups", "Backups", json!("all"), vec!["nightly-backup"]),
        ("reports", "Reports", json!({ "quorum": 1 }), vec!["nightly-backup", "never-heard-from"]),
    ] {
        let members: Vec<String> = members.into_iter().map(|slug| format!("{project}/{slug}")).collect();
        let service =
            json!({ "key": key, "project": project, "name": name, "needs": needs, "members": members });
        api.write(Method::POST, "/api/v1/services", &service);
    }
    let weekly = json!({ "project": project, "title": "Database upgrade", "schedule": "0 3 * * SUN", "duration": "2h",
                         "time_zone": "Europe/Berlin", "is_public": true, "message": "Orders wait for some minutes." });
    api.write(Method::POST, "/api/v1/maintenances", &weekly);
    let moved = [format!("{project}/never-heard-from")];
    let now = json!({ "project": project, "title": "Moving the mail server", "duration": "30m", "subjects": moved });
    api.write(Method::POST, "/api/v1/maintenances", &now);
    let page = json!({ "enabled": true, "title": "Shop status", "sections": [
        { "title": "Inside", "entries": [{ "service": "backups", "title": "Backups" }, { "service": "reports" }] } ] });
    api.write(Method::PUT, "/api/v1/status-page", &page);
    let post = json!({ "title": "Reports are late", "text": "We look into it.", "services": ["reports"], "published": true });
    api.write(Method::POST, "/api/v1/status-page/posts", &post);
    wait_until("the status page", SENT_WITHIN, || {
        let answer = stranger.send(Method::GET, "/status", &[], Vec::new()).ok()?;
        (answer.status == 200).then_some(())
    });
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
