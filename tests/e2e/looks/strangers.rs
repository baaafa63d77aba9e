//! The public status page: with an outage, a time that nobody saw, and planned work; and with nothing on it yet.

use reqwest::Method;
use serde_json::{Value, json};

use super::{BASE, OWNER, PASSWORD, SENT_WITHIN, look, no_complaints};
use crate::support::{
    api::Api,
    server::{Server, Setup, twelve_minutes_ago},
    wait_until,
};

#[test]
fn strangers_can_read_the_status_page_in_good_days_and_bad() {
    let mut setup = house();
    setup.settings.extend(twelve_minutes_ago());
    let mut server = Server::start(setup);
    let reports = watch(&server.api());
    for (path, status) in &reports {
        let report = json!({"status": status, "message": "told by a test"});
        server.stranger().write(Method::POST, path, &report);
    }
    shows(&server, &["Checkout is not available", "We are looking into it"]);
    assert!(server.stop(), "{}", server.log_tail());
    // Nobody looked for twelve minutes.
    server.setup = house();
    server.launch();
    shows(&server, &["Checkout is not available", "not seen for 1", "Database upgrade", "Search is slow"]);
    let strangers = [page("/status", "status"), page("/status/history", "history")];
    no_complaints(&look(&server, &json!({"prefix": "public-", "start": [], "strangers": strangers})));
}

#[test]
fn strangers_can_read_a_status_page_with_nothing_on_it() {
    let server = Server::start(house());
    let page_of = json!({"enabled": true, "title": "Shop status", "sections": []});
    server.api().write(Method::PUT, "/api/v1/status-page", &page_of);
    shows(&server, &["No service is shown here yet"]);
    let strangers = [page("/status", "status-empty"), page("/status/history", "history-empty")];
    no_complaints(&look(&server, &json!({"prefix": "public-", "start": [], "strangers": strangers})));
}

fn house() -> Setup {
    Setup::with(&[
        ("TOCSIN_BASE_URL", BASE),
        ("TOCSIN_ADMIN_EMAIL", OWNER),
        ("TOCSIN_ADMIN_PASSWORD", PASSWORD),
    ])
}

fn page(path: &str, name: &str) -> Value {
    json!({"path": path, "name": name, "status": 200})
}

fn shows(server: &Server, words: &[&str]) {
    wait_until(&format!("the page shows {words:?}"), SENT_WITHIN * 2, || {
        let text = server.stranger().try_get("/status")?.text();
        words.iter().all(|word| text.contains(word)).then_some(())
    });
}

/// Services that are reported to, on a page with planned work and a post by hand; the addresses for reports, and what
/// is to be said.
fn watch(api: &Api) -> Vec<(String, &'static str)> {
    let services =
        [("checkout", "Checkout", "down"), ("search", "Search", "degraded"), ("mail", "Mail", "up")];
    let reports = services.map(|(key, name, status)| {
        let definition = json!({"target": {"kind": "push"}, "policy": {"bad": 1, "of": 1, "interval": "1h"}});
        let probe = json!({"key": key, "name": name, "project": "default", "definition": definition});
        let made = api.write(Method::POST, "/api/v1/probes", &probe);
        let service =
            json!({"key": key, "project": "default", "name": name, "critical": true, "members": [key]});
        api.write(Method::POST, "/api/v1/services", &service);
        (made["push_path"].as_str().expect("results are reported to an address").to_owned(), status)
    });
    let upgrade = json!({"project": "default", "title": "Database upgrade", "schedule": "0 3 * * SUN",
                         "duration": "2h", "time_zone": "Europe/Berlin", "is_public": true,
                         "message": "Orders wait for some minutes."});
    api.write(Method::POST, "/api/v1/maintenances", &upgrade);
    let entries: Vec<Value> = services
        .iter()
        .map(|(key, name, _)| json!({"service": key, "title": name, "latency": true}))
        .collect();
    let (buying, inside) = entries.split_at(2);
    let page = json!({"enabled": true, "title": "Shop status", "description": "How our shop is doing.",
        "settings": {"publish": "automatically", "support_url": "mailto:help@shop.example"},
        "sections": [{"title": "Buying", "entries": buying}, {"title": "Everything else", "entries": inside}]});
    api.write(Method::PUT, "/api/v1/status-page", &page);
    let post = json!({"title": "Search is slow", "text": "We look into it.", "services": ["search"], "published": true});
    api.write(Method::POST, "/api/v1/status-page/posts", &post);
    reports.into()
}
