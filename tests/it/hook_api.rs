//! Webhooks by the API: sources, destinations, what came and what became of it, and who may do what.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::projects::{self, NewProject};
use tocsin::accounts::tokens::{self, NewToken};
use tocsin::accounts::{By, Error as AccountError};
use tocsin::base::{ProjectId, Secret};
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::{Error, WriteTx};
use tocsin::webhooks::providers;
use tocsin::webhooks::scheme::Outgoing;

use super::support::{self, House, START};

const SECRET: &str = "whsec_0123456789abcdef";

struct Api {
    house: House,
    token: String,
}

impl Api {
    async fn open() -> Api {
        let house = House::open().await;
        let token = house.token("read,write,admin").await;
        Api { house, token }
    }

    /// With a source `stripe` and its destination `app`.
    async fn with_a_source() -> Api {
        let api = Api::open().await;
        api.made("/sources", source("stripe")).await;
        api.made("/destinations", destination("app", "stripe")).await;
        api
    }

    async fn call_as(&self, token: &str, method: Method, path: &str, body: Value) -> Response {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.house.send_with(method, &format!("/api/v1/webhooks{path}"), headers, body).await
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Response {
        self.call_as(&self.token, method, path, body).await
    }

    async fn answer(&self, method: Method, path: &str, body: Value, status: u16) -> Value {
        let answer = self.call(method, path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        if answer.body.is_empty() { Value::Null } else { support::json(&answer) }
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        self.answer(Method::POST, path, body, 201).await
    }

    async fn get(&self, path: &str) -> Value {
        self.answer(Method::GET, path, Value::Null, 200).await
    }

    /// What a refusal says.
    async fn refused(&self, method: Method, path: &str, body: Value, status: u16) -> String {
        let told = self.answer(method, path, body, status).await;
        let detail = told["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with(['.', '?']), "{detail}");
        detail
    }

    /// A call of the provider, signed with this secret.
    async fn send(&self, key: &str, secret: &str, event: &Value) -> Response {
        let path = format!("/hooks/{key}");
        let url = format!("{}{path}", self.house.state.base_url.as_str().trim_end_matches('/'));
        let body = event.to_string().into_bytes();
        let (content_type, at) = (Some("application/json"), self.house.clock.now());
        let out = Outgoing { method: "POST", url: &url, id: "", content_type, body: &body, at };
        let scheme = &providers::find("stripe").unwrap().scheme;
        let mut headers = HeaderMap::from_iter(scheme.sign(&out, &Secret::new(secret)).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
        self.house.send_with(Method::POST, &path, headers, body).await
    }

    async fn event(&self, id: &str, kind: &str) {
        let answer = self.send("stripe", SECRET, &json!({"id": id, "type": kind})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// As if the app had refused them until their deadline.
    async fn kill(&self, sql: &'static str) {
        let kill = move |tx: &WriteTx<'_>| {
            let dead = "UPDATE webhook_deliveries SET status = 'dead_letter', due_at = NULL, attempts = 3,
                        last_status = 500, error = 'the app answered 500' WHERE ";
            tx.execute(&format!("{dead}{sql}"), [])
        };
        self.house.state.store.write("test", kill).await.map_err(|error: Error| error).unwrap();
    }
}

fn source(key: &str) -> Value {
    json!({"key": key, "name": "Stripe", "project": "default", "definition": {"provider": "stripe"},
           "secrets": [SECRET]})
}

fn destination(key: &str, source: &str) -> Value {
    json!({"key": key, "source": source, "definition": {"url": "https://app.example.com/hooks"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_are_listed_with_what_to_do_there() {
    let api = Api::open().await;
    let page = api.get("/providers?limit=100").await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), providers::all().len());
    let stripe = items.iter().find(|one| one["id"] == "stripe").unwrap();
    assert!(stripe["steps"][1].as_str().unwrap().contains("{url}"), "{stripe}");
    assert_eq!(stripe["secret"]["begins_with"], json!(["whsec_"]));
    assert_eq!(stripe["scheme"]["hmac"]["signed"], "{timestamp}.{body}");
    let first = api.get("/providers?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_ne!(api.get(&format!("/providers?cursor={cursor}")).await["items"][0], first["items"][0]);
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_made_called_changed_and_removed() {
    let api = Api::open().await;
    let made = api.made("/sources", source("stripe")).await;
    assert_eq!(made["secrets"][0]["place"], 0, "{made}");
    assert!(!made.to_string().contains(SECRET) && made.get("warnings").is_none(), "{made}");
    assert!(made["url"].as_str().unwrap().ends_with("/hooks/stripe"), "{made}");
    api.event("evt_1", "invoice.paid").await;
    let shown = api.get("/sources/stripe").await;
    assert_eq!((&shown["counters"]["accepted"], &shown["health"]["destinations"]), (&json!(1), &json!(0)));
    assert_eq!(api.get("/sources").await["items"][0]["key"], "stripe");

    let version = shown["version"].clone();
    let patch = json!({"name": "Payments", "definition": {"silent_after": "1h", "labels": {"team": "a"}},
                       "version": version});
    let changed = api.answer(Method::PATCH, "/sources/stripe", patch.clone(), 200).await;
    assert_eq!(
        (&changed["name"], &changed["definition"]["silent_after"]),
        (&json!("Payments"), &json!("1h"))
    );
    let stale = api.refused(Method::PATCH, "/sources/stripe", patch, 409).await;
    assert!(stale.contains("Somebody changed this source meanwhile"), "{stale}");
    let back = json!({"definition": {"silent_after": null, "scheme": {"token": "bearer"}}});
    let changed = api.answer(Method::PATCH, "/sources/stripe", back, 200).await;
    assert_eq!(changed["definition"].get("silent_after"), None);
    let other = json!({"definition": {"scheme": {"hmac": {"signed": "{body}", "signature": {"headers": ["x-sig"]}}}}});
    let changed = api.answer(Method::PATCH, "/sources/stripe", other, 200).await;
    assert_eq!(changed["definition"]["scheme"]["hmac"]["signed"], "{body}", "another kind takes its place");
    assert_eq!(changed["definition"]["scheme"].get("token"), None);

    api.answer(Method::DELETE, "/sources/stripe", Value::Null, 204).await;
    assert_eq!(
        api.refused(Method::GET, "/sources/stripe", Value::Null, 404).await,
        "There is no such source of webhooks."
    );
    assert_eq!(api.send("stripe", SECRET, &json!({"id": "evt_2"})).await.status, 404);
    let audited = api.house.text("SELECT group_concat(action) FROM audit_log").await;
    for action in ["webhook_source.create", "webhook_source.update", "webhook_source.remove"] {
        assert!(audited.contains(action), "{audited}");
    }
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_source_is_told_with_its_cure() {
    let api = Api::open().await;
    api.made("/sources", source("stripe")).await;
    let with = |definition: Value| {
        let mut body = source("other");
        body["definition"] = definition;
        body
    };
    for (body, status, says) in [
        (source("stripe"), 409, "The key stripe is taken"),
        (source("St ripe"), 400, "is no key"),
        (with(json!({"provider": "stripes"})), 400, "did you mean stripe?"),
        (with(json!({"provider": "stripe", "silent_after": "1s"})), 400, "Silent_after: 1s is not between"),
        (with(json!({"provider": "stripe", "colour": "red"})), 400, "unknown field `colour`"),
        (
            json!({"key": "a", "project": "nobody", "definition": {"provider": "stripe"}}),
            404,
            "no such project",
        ),
        (json!({"key": "a", "definition": {"provider": "stripe"}}), 400, "missing field `project`"),
    ] {
        let told = api.refused(Method::POST, "/sources", body.clone(), status).await;
        assert!(told.contains(says), "{body}: {told}");
    }
    let wrong = json!({"definition": {"provider": null}});
    let told = api.refused(Method::PATCH, "/sources/stripe", wrong, 400).await;
    assert!(told.contains("The definition does not fit: missing field `provider`"), "{told}");
    let asked = api.refused(Method::GET, "/sources?projekt=default", Value::Null, 400).await;
    assert!(asked.contains("did you mean `project`?"), "{asked}");
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_change_without_a_gap_and_are_never_shown() {
    let api = Api::open().await;
    api.made("/sources", source("stripe")).await;
    let added = api.made("/sources/stripe/secrets", json!({"secret": "sk_live_2"})).await;
    assert_eq!(added["secrets"].as_array().unwrap().len(), 2);
    assert!(added["warnings"][0].as_str().unwrap().contains("usually begins with whsec_"), "{added}");
    assert!(!added.to_string().contains("sk_live_2"));
    for (id, secret) in [("evt_1", "sk_live_2"), ("evt_2", SECRET)] {
        assert_eq!(api.send("stripe", secret, &json!({"id": id})).await.status, 200);
    }
    let twice =
        api.refused(Method::POST, "/sources/stripe/secrets", json!({"secret": "sk_live_2"}), 409).await;
    assert_eq!(twice, "Stripe has this secret already.");
    let stale = format!("/sources/stripe/secrets/1?version={}", added["version"].as_i64().unwrap() - 1);
    api.refused(Method::DELETE, &stale, Value::Null, 409).await;
    let left = api.answer(Method::DELETE, "/sources/stripe/secrets/1", Value::Null, 200).await;
    assert_eq!(left["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(api.send("stripe", SECRET, &json!({"id": "evt_3"})).await.status, 401);
    for place in ["7", "newest"] {
        let path = format!("/sources/stripe/secrets/{place}");
        api.refused(Method::DELETE, &path, Value::Null, 404).await;
    }
    let last = api.refused(Method::DELETE, "/sources/stripe/secrets/0", Value::Null, 409).await;
    assert!(last.contains("enter another one before this one goes"), "{last}");
    let audited = api.house.text("SELECT group_concat(action || detail) FROM audit_log").await;
    assert!(audited.contains("webhook_source.add_secret") && !audited.contains("sk_live_2"), "{audited}");

    api.house.run("webhooks.refusals").await;
    let refusals = api.get("/sources/stripe/refusals").await;
    assert_eq!(refusals["items"][0]["reason"], "signature_wrong", "{refusals}");
    assert_eq!(refusals["next_cursor"], Value::Null);
    api.refused(Method::GET, "/sources/nobody/refusals", Value::Null, 404).await;
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_made_changed_held_and_removed() {
    let api = Api::open().await;
    api.made("/sources", source("stripe")).await;
    let mut wanted = destination("app", "stripe");
    wanted["definition"]["headers"] = json!({"x-key": "{{key}}"});
    let told = api.refused(Method::POST, "/destinations", wanted.clone(), 400).await;
    assert!(told.contains("enter it under this name"), "{told}");
    wanted["secrets"] = json!({"key": "s3cret"});
    let made = api.made("/destinations", wanted).await;
    assert_eq!((&made["secrets"], &made["breaker"]), (&json!(["key"]), &json!("closed")));
    assert_eq!((&made["source"], &made["project"]), (&json!("stripe"), &json!("default")));
    assert!(!made.to_string().contains("s3cret"), "{made}");
    assert_eq!(made["last_day"]["attempts"], 0);

    let patch = json!({"definition": {"in_order": true, "filter": {"types": ["invoice.*"]}}, "version": made["version"]});
    let changed = api.answer(Method::PATCH, "/destinations/app", patch.clone(), 200).await;
    assert_eq!(changed["definition"]["filter"]["types"], json!(["invoice.*"]));
    assert_eq!(changed["secrets"], json!(["key"]), "it keeps its secret");
    api.refused(Method::PATCH, "/destinations/app", patch, 409).await;
    let elsewhere = json!({"definition": {"url": "https://evil.example/"}});
    let told = api.refused(Method::PATCH, "/destinations/app", elsewhere, 400).await;
    assert!(told.contains("goes to another place now"), "{told}");
    let inside = json!({"key": "in", "source": "stripe", "definition": {"url": "http://127.0.0.1:9/"}});
    let told = api.refused(Method::POST, "/destinations", inside, 400).await;
    assert!(told.contains("name one here in a file"), "{told}");
    api.refused(Method::POST, "/destinations", destination("b", "nobody"), 404).await;

    let held = api.answer(Method::POST, "/destinations/app/hold", Value::Null, 200).await;
    assert_eq!(held["held"]["by"], "token test", "{held}");
    assert_eq!(api.get("/sources/stripe").await["health"]["held"], 1);
    let resumed = api.answer(Method::POST, "/destinations/app/resume", Value::Null, 200).await;
    assert_eq!(resumed["held"], Value::Null);

    api.made("/sources", source("second")).await;
    api.made("/destinations", destination("other", "second")).await;
    let keys = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(&api.get("/destinations").await), ["app", "other"]);
    assert_eq!(keys(&api.get("/destinations?source=second").await), ["other"]);
    let first = api.get("/destinations?limit=1").await;
    let rest =
        api.get(&format!("/destinations?limit=1&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!((keys(&first), keys(&rest)), (vec!["app".to_owned()], vec!["other".to_owned()]));
    api.answer(Method::DELETE, "/destinations/app", Value::Null, 204).await;
    api.refused(Method::GET, "/destinations/app", Value::Null, 404).await;
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_found_and_shown_with_all_that_is_known() {
    let api = Api::with_a_source().await;
    api.event("evt_1", "invoice.paid").await;
    api.house.clock.advance(Duration::from_mins(10));
    let later = api.house.clock.now().to_string();
    api.event("evt_2", "charge.failed").await;
    api.event("evt_2", "charge.failed").await;
    let ids = |page: Value| -> Vec<String> {
        let id = |one: &Value| one["event_id"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(id).collect()
    };
    for (query, found) in [
        ("", vec!["evt_2", "evt_1"]),
        ("?type=invoice.paid", vec!["evt_1"]),
        ("?event_id=evt_2", vec!["evt_2"]),
        ("?source=stripe&status=pending", vec!["evt_2", "evt_1"]),
        ("?status=completed", vec![]),
        (&format!("?since={later}"), vec!["evt_2"]),
        ("?project=default&limit=1", vec!["evt_2"]),
    ] {
        assert_eq!(ids(api.get(&format!("/requests{query}")).await), found, "{query}");
    }
    let first = api.get("/requests?limit=1").await;
    assert_eq!((&first["items"][0]["repeats"], &first["items"][0]["source"]), (&json!(1), &json!("stripe")));
    assert_eq!(first["items"][0]["deliveries"][0]["destination"], "app");
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(ids(api.get(&format!("/requests?limit=1&cursor={cursor}")).await), ["evt_1"]);
    for (query, says) in [
        ("?status=gone", "`status` is one of pending, processing"),
        ("?since=yesterday", "`since` is a time such as"),
        ("?cursor=x", "`cursor` is none of ours"),
    ] {
        let told = api.refused(Method::GET, &format!("/requests{query}"), Value::Null, 400).await;
        assert!(told.starts_with(says), "{told}");
    }
    api.refused(Method::GET, "/requests?source=nobody", Value::Null, 404).await;

    let id = first["items"][0]["id"].as_str().unwrap().to_owned();
    let shown = api.get(&format!("/requests/{id}")).await;
    assert_eq!(shown["verified"], json!({"secret": 0, "signed_at": later}));
    assert_eq!(
        (&shown["deliveries"][0]["status"], &shown["deliveries"][0]["log"]),
        (&json!("pending"), &json!([]))
    );
    assert_eq!((shown.get("payload"), &shown["after"]), (None, &json!([])));
    let whole = api.get(&format!("/requests/{id}?payload=true")).await["payload"].clone();
    assert_eq!(whole["body_base64"], "eyJpZCI6ImV2dF8yIiwidHlwZSI6ImNoYXJnZS5mYWlsZWQifQ==");
    let headers = whole["headers"].as_array().unwrap();
    let header = |name: &str| headers.iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(header("content-type")["value"], "application/json");
    assert_eq!(header("x-bytes")["value_base64"], "/w==", "{headers:?}");

    let gone = |tx: &WriteTx<'_>| tx.execute("DELETE FROM webhook_payloads", []);
    api.house.state.store.write("test", gone).await.map_err(|error: Error| error).unwrap();
    assert_eq!(api.get(&format!("/requests/{id}?payload=true")).await["payload"], Value::Null);
    for id in ["nobody", "00000000-0000-7000-8000-000000000000"] {
        api.refused(Method::GET, &format!("/requests/{id}"), Value::Null, 404).await;
    }
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_replayed_settled_and_reopened() {
    let api = Api::with_a_source().await;
    for number in 1..=3 {
        api.event(&format!("evt_{number}"), "invoice.paid").await;
    }
    api.kill("id < 3").await;
    let dead = api.get("/deliveries?status=dead_letter").await;
    let events = |page: &Value| -> Vec<String> {
        let id = |one: &Value| one["event_id"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(id).collect()
    };
    assert_eq!(events(&dead), ["evt_2", "evt_1"]);
    assert_eq!(dead["items"][0]["error"], "the app answered 500");
    assert_eq!(events(&api.get("/deliveries?status=pending&destination=app").await), ["evt_3"]);
    assert_eq!(events(&api.get("/deliveries?source=stripe").await).len(), 3);
    let first = api.get("/deliveries?status=dead_letter&limit=1").await;
    let next = format!("/deliveries?status=dead_letter&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(events(&api.get(&next).await), ["evt_1"]);
    let told = api.refused(Method::GET, "/deliveries?status=pending&settled=true", Value::Null, 400).await;
    assert!(told.contains("`settled` is asked of dead letters alone"), "{told}");

    let path = |line: usize, step: &str| {
        format!("/deliveries/{}{step}", dead["items"][line]["id"].as_str().unwrap())
    };
    let settled = api.answer(Method::POST, &path(0, "/settle"), Value::Null, 200).await;
    assert_eq!(settled["settled_by"], "token test");
    assert_eq!(events(&api.get("/deliveries?settled=false").await), ["evt_1"]);
    assert_eq!(events(&api.get("/deliveries?settled=true").await), ["evt_2"]);
    api.refused(Method::POST, &path(0, "/settle"), Value::Null, 409).await;
    let reopened = api.answer(Method::POST, &path(0, "/reopen"), Value::Null, 200).await;
    assert_eq!(reopened["settled_at"], Value::Null);
    let told = api.refused(Method::POST, &path(0, "/reopen"), Value::Null, 409).await;
    assert_eq!(told, "Nobody said that it is dealt with.");

    let replayed = api.answer(Method::POST, &path(1, "/replay"), Value::Null, 200).await;
    assert_eq!((&replayed["status"], &replayed["attempts"]), (&json!("pending"), &json!(3)));
    let told = api.refused(Method::POST, &path(1, "/replay"), Value::Null, 409).await;
    assert!(told.contains("wait for what comes of it"), "{told}");
    assert_eq!(api.get(&path(1, "")).await["log"], json!([]));
    let gone = |tx: &WriteTx<'_>| tx.execute("DELETE FROM webhook_payloads", []);
    api.house.state.store.write("test", gone).await.map_err(|error: Error| error).unwrap();
    let told = api.refused(Method::POST, &path(0, "/replay"), Value::Null, 409).await;
    assert!(told.contains("ask the provider to send the event again"), "{told}");
    for step in ["", "/replay", "/settle", "/reopen"] {
        let method = if step.is_empty() { Method::GET } else { Method::POST };
        api.refused(method, &format!("/deliveries/nobody{step}"), Value::Null, 404).await;
    }
    let audited = api.house.text("SELECT group_concat(action) FROM audit_log").await;
    for action in ["replay", "settle", "unsettle"] {
        assert!(audited.contains(&format!("webhook_delivery.{action}")), "{audited}");
    }
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_needs_its_right() {
    let api = Api::with_a_source().await;
    api.event("evt_1", "invoice.paid").await;
    api.kill("id > 0").await;
    let request = api.get("/requests").await["items"][0]["id"].as_str().unwrap().to_owned();
    let delivery = api.get("/deliveries").await["items"][0]["id"].as_str().unwrap().to_owned();
    let (reads, writes) = (api.house.token("read").await, api.house.token("read,write").await);
    let patch = || json!({"name": "Other"});
    let admins = [
        (Method::POST, "/sources".to_owned(), source("new")),
        (Method::PATCH, "/sources/stripe".to_owned(), patch()),
        (Method::DELETE, "/sources/stripe".to_owned(), Value::Null),
        (Method::POST, "/sources/stripe/secrets".to_owned(), json!({"secret": "whsec_2"})),
        (Method::DELETE, "/sources/stripe/secrets/0".to_owned(), Value::Null),
        (Method::POST, "/destinations".to_owned(), destination("b", "stripe")),
        (Method::PATCH, "/destinations/app".to_owned(), patch()),
        (Method::DELETE, "/destinations/app".to_owned(), Value::Null),
        (Method::GET, format!("/requests/{request}?payload=true"), Value::Null),
    ];
    for token in [&reads, &writes] {
        for (method, path, body) in &admins {
            let answer = api.call_as(token, method.clone(), path, body.clone()).await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.text());
        }
    }
    let acts = [
        "/destinations/app/hold".to_owned(),
        "/destinations/app/resume".to_owned(),
        format!("/deliveries/{delivery}/settle"),
        format!("/deliveries/{delivery}/reopen"),
        format!("/deliveries/{delivery}/replay"),
    ];
    for (token, status) in [(&reads, 403), (&writes, 200)] {
        for path in &acts {
            let answer = api.call_as(token, Method::POST, path, Value::Null).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    for path in ["/sources", "/destinations", "/requests", "/deliveries", "/providers"] {
        assert_eq!(api.call_as(&reads, Method::GET, path, Value::Null).await.status, 200, "{path}");
        let nobody = api.house.get(&format!("/api/v1/webhooks{path}"), None).await;
        assert_eq!(nobody.status, 401, "{path}");
    }
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_project_is_not_there() {
    let api = Api::with_a_source().await;
    api.event("evt_1", "invoice.paid").await;
    let request = api.get("/requests").await["items"][0]["id"].as_str().unwrap().to_owned();
    let delivery = api.get("/deliveries").await["items"][0]["id"].as_str().unwrap().to_owned();
    let entropy = api.house.state.entropy.clone();
    let write = move |tx: &WriteTx<'_>| {
        let by = By::command_line(START);
        projects::create(tx, &by, &NewProject { name: "Blog".to_owned(), slug: None })?;
        let project = Some(ProjectId(2));
        let new = NewToken { name: "blog".to_owned(), scopes: "read,write,admin".parse()?, project };
        Ok::<_, AccountError>(tokens::create(tx, &by, &entropy, &new)?.1)
    };
    let token = api.house.state.store.write("test.two", write).await.unwrap().expose().to_owned();
    for path in ["/sources", "/destinations", "/requests", "/deliveries"] {
        let listed = api.call_as(&token, Method::GET, path, Value::Null).await;
        assert_eq!(support::json(&listed)["items"], json!([]), "{path}");
    }
    for (method, path) in [
        (Method::GET, "/sources/stripe".to_owned()),
        (Method::PATCH, "/sources/stripe".to_owned()),
        (Method::DELETE, "/sources/stripe".to_owned()),
        (Method::DELETE, "/sources/stripe/secrets/0".to_owned()),
        (Method::GET, "/sources/stripe/refusals".to_owned()),
        (Method::GET, "/destinations/app".to_owned()),
        (Method::PATCH, "/destinations/app".to_owned()),
        (Method::DELETE, "/destinations/app".to_owned()),
        (Method::POST, "/destinations/app/hold".to_owned()),
        (Method::GET, "/requests?source=stripe".to_owned()),
        (Method::GET, format!("/requests/{request}")),
        (Method::GET, format!("/requests/{request}?payload=true")),
        (Method::GET, format!("/deliveries/{delivery}")),
        (Method::POST, format!("/deliveries/{delivery}/replay")),
        (Method::POST, format!("/deliveries/{delivery}/settle")),
    ] {
        let body = if method == Method::PATCH { json!({"name": "Mine"}) } else { Value::Null };
        let answer = api.call_as(&token, method, &path, body).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
    }
    let taken = api.call_as(&token, Method::POST, "/sources", {
        let mut body = source("stripe");
        body["project"] = json!("blog");
        body
    });
    assert_eq!(taken.await.status, 409, "that a key is taken is everybody's to know");
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_owns_is_changed_there() {
    let api = Api::with_a_source().await;
    let own = |tx: &WriteTx<'_>| {
        tx.execute("UPDATE webhook_sources SET owner = 'file'", [])?;
        tx.execute("UPDATE webhook_destinations SET owner = 'file'", [])
    };
    api.house.state.store.write("test", own).await.map_err(|error: Error| error).unwrap();
    for (method, path, body) in [
        (Method::PATCH, "/sources/stripe", json!({"name": "Other"})),
        (Method::DELETE, "/sources/stripe", Value::Null),
        (Method::POST, "/sources/stripe/secrets", json!({"secret": "whsec_2"})),
        (Method::PATCH, "/destinations/app", json!({"name": "Other"})),
        (Method::DELETE, "/destinations/app", Value::Null),
    ] {
        let told = api.refused(method, path, body, 409).await;
        assert!(told.contains("change it there and apply the file"), "{path}: {told}");
    }
    api.answer(Method::POST, "/destinations/app/hold", Value::Null, 200).await;
    api.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_came_and_what_waits() {
    let api = Api::with_a_source().await;
    api.event("evt_1", "invoice.paid").await;
    api.event("evt_1", "invoice.paid").await;
    api.event("evt_2", "invoice.paid").await;
    api.kill("id = 1").await;
    api.answer(Method::POST, "/destinations/app/hold", Value::Null, 200).await;
    api.house.clock.advance(Duration::from_secs(90));
    let metrics = api.house.get("/metrics", Some(&api.token)).await.text();
    for line in [
        r#"tocsin_webhook_requests_total{outcome="accepted",source="stripe"} 2"#,
        r#"tocsin_webhook_requests_total{outcome="duplicate",source="stripe"} 1"#,
        r#"tocsin_webhook_deliveries{source="stripe",status="pending"} 1"#,
        r#"tocsin_webhook_deliveries{source="stripe",status="dead_letter"} 1"#,
        r#"tocsin_webhook_breaker_state{destination="app"} 0"#,
        r#"tocsin_webhook_held{destination="app"} 1"#,
        r#"tocsin_webhook_backlog_age_seconds{destination="app"} 90"#,
        r#"tocsin_webhook_attempts_last_hour{destination="app",outcome="failed"} 0"#,
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    }
    api.house.stop().await;
}
