//! What a file names: the pages show it, say where it stands, and refuse to change it.

use std::{collections::BTreeMap, sync::Arc};

use actix_web::http::StatusCode;
use tocsin::{
    accounts::{By, keys},
    base::{ProjectId, Secret, Uid},
    manifest::{self, Document, How, Manifest, Means, Source},
    store::{self, ReadTx},
};

use crate::people::Team;

const FILE: &str = r#"
[projects.default]
name = "Shop"

[projects.default.keys.web]
kind = "server"

[projects.default.rules.error_rate]
threshold = 50

[rules.regression]
severity = "medium"

[probes.api]
kind = "http"
project = "default"
url = "https://shop.example/"

[heartbeats.backup]
project = "default"
every = "1h"

[services.payment]
project = "default"
members = ["api", "default/backup"]

[maintenance.move]
title = "Moving"
project = "default"
covers = ["service:payment"]
starts_at = 2099-01-01T00:00:00Z
duration = "1h"

[status_page]
enabled = true
title = "Shop"

[channels.hook]
kind = "webhook"
secrets = { url = "env:HOOK" }

[webhooks.stripe]
project = "default"
provider = "stripe"

[webhooks.stripe.destinations.app]
url = "http://127.0.0.1:9/hook"
sign = "off"
"#;

async fn apply(team: &Team) {
    let state = &team.house.state;
    let means = Means {
        incidents: Arc::clone(&state.incidents),
        entropy: state.entropy.clone(),
        sealer: state.sealer.clone(),
    };
    let by = By::command_line(state.clock.now());
    let file = Source { name: "/etc/tocsin/shop.toml".to_owned(), text: FILE.to_owned() };
    let secrets = BTreeMap::from([("env:HOOK".to_owned(), Secret::new("http://127.0.0.1:9/hook"))]);
    let document = Document { files: vec![file], secrets, ..Document::default() };
    let (manifest, problems) = Manifest::read(&document);
    let applied = state.store.write("test", move |tx| {
        manifest::apply(tx, &by, &means, (manifest, problems), (&document, How::default()))
    });
    applied.await.unwrap();
}

#[actix_web::test]
async fn what_a_file_names_is_shown_with_its_place_and_changed_nowhere_else() {
    let team = Team::gather().await;
    apply(&team).await;
    let channel = channel(&team).await;
    let channel_page = format!("/channels/{channel}");
    let heartbeat_page = of(&team, "/heartbeats/", "SELECT uid FROM heartbeats").await;
    let heartbeat_form = format!("{heartbeat_page}/edit");
    let maintenance = of(&team, "/maintenance/", "SELECT uid FROM maintenances").await;
    let pages = [
        ("/projects/default", "/etc/tocsin/shop.toml:2 names this"),
        ("/projects/default", "/etc/tocsin/shop.toml:5 names this"),
        ("/projects/default/channels", "/etc/tocsin/shop.toml:2 names this"),
        ("/projects/default/rules", "/etc/tocsin/shop.toml:8 names this"),
        ("/rules", "/etc/tocsin/shop.toml:11 names this"),
        (channel_page.as_str(), "/etc/tocsin/shop.toml:38 names this"),
        ("/probes/api", "/etc/tocsin/shop.toml:14 names this"),
        ("/probes/api/edit", "/etc/tocsin/shop.toml:14 names this"),
        (heartbeat_page.as_str(), "/etc/tocsin/shop.toml:19 names this"),
        (heartbeat_form.as_str(), "/etc/tocsin/shop.toml:19 names this"),
        ("/services/payment", "/etc/tocsin/shop.toml:23 names this"),
        ("/services/payment/edit", "/etc/tocsin/shop.toml:23 names this"),
        (maintenance.as_str(), "/etc/tocsin/shop.toml:27 names this"),
        ("/status-page", "/etc/tocsin/shop.toml:34 names this"),
        ("/webhooks/stripe", "/etc/tocsin/shop.toml:42 names this"),
        ("/webhooks/stripe/edit", "/etc/tocsin/shop.toml:42 names this"),
        ("/webhooks/stripe/destinations/app", "/etc/tocsin/shop.toml:46 names this"),
        ("/webhooks/stripe/destinations/app/edit", "/etc/tocsin/shop.toml:46 names this"),
    ];
    for (page, told) in pages {
        let shown = team.get(&team.owner, page).await;
        assert!(shown.status == StatusCode::OK && shown.text.contains(told), "{page}: {}", shown.text);
    }
    let key = key(&team).await;
    let (of_key, revoke) =
        (format!("/projects/default/keys/{key}"), format!("/projects/default/keys/{key}/revoke"));
    let remove = format!("{channel_page}/remove");
    let forms = [
        ("/projects/default/name", vec![("name", "Other")]),
        ("/projects/default/archive", vec![]),
        ("/projects/default/channels", vec![("which", "all")]),
        (of_key.as_str(), vec![("kind", "server"), ("label", "x")]),
        (revoke.as_str(), vec![]),
        (
            "/projects/default/rules/error_rate",
            vec![("on", "1"), ("threshold", "1"), ("minutes", "1"), ("severity", "low")],
        ),
        ("/projects/default/rules/error_rate", vec![("reset", "1")]),
        (channel_page.as_str(), vec![("name", "x"), ("url", "https://hook.example"), ("signing", "none")]),
        (remove.as_str(), vec![]),
    ];
    for (place, fields) in forms {
        let refused = team.post(&team.owner, place, &fields).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{place}: {}", refused.text);
        assert!(refused.text.contains("tocsin apply"), "{place}: {}", refused.text);
    }
    let other = [("on", "1"), ("threshold", "7"), ("minutes", "5"), ("severity", "low")];
    let changed = team.post(&team.owner, "/rules/error_rate", &other).await;
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "what no file names is changed here");
}

async fn channel(team: &Team) -> String {
    let listed = team.house.state.store.read(tocsin::incidents::channels::list).await.unwrap();
    listed[0].uid.to_string()
}

/// The page of the only row.
async fn of(team: &Team, place: &str, sql: &'static str) -> String {
    let read = move |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0).map(Uid::from_bytes));
    let uid = team.house.state.store.read(read).await.map_err(|error: store::Error| error).unwrap();
    format!("{place}{uid}")
}

async fn key(team: &Team) -> String {
    let listed = team.house.state.store.read(|tx| keys::list(tx, ProjectId(1))).await.unwrap();
    let key = listed.iter().find(|key| key.settings.label == "web");
    key.unwrap().public_key.to_string()
}
