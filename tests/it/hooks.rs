//! Webhooks as providers call them: what is believed, what is stored, and what everybody hears.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::{By, Visible, projects};
use tocsin::base::{Owner, ProjectId, Secret, Timestamp};
use tocsin::outbound::header::{HeaderMap, HeaderName, HeaderValue};
use tocsin::outbound::{Method, Response};
use tocsin::store::{ReadTx, WriteTx};
use tocsin::webhooks::payload::Payload;
use tocsin::webhooks::queries;
use tocsin::webhooks::scheme::Outgoing;
use tocsin::webhooks::{self, DestinationDraft, SourceDraft, Webhooks, providers};

use super::support::{House, json};

const EVENT: &[u8] = br#"{"id":"evt_1","type":"invoice.paid","data":{"object":{"customer":"cus_1"}}}"#;

/// A tocsin with sources, and who signs as their providers do.
struct Hooks {
    house: House,
}

/// A call that is about to be made.
#[derive(Clone)]
struct Sent {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Hooks {
    async fn open() -> Hooks {
        Hooks { house: House::open().await }
    }

    async fn save<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Webhooks, &WriteTx<'_>, &By) -> Result<T, webhooks::Error> + Send + 'static,
    ) -> T {
        let state = &self.house.state;
        let webhooks = Webhooks { incidents: state.incidents.clone(), sealer: state.sealer.clone() };
        let by = By::command_line(self.house.clock.now());
        state.store.write("test", move |tx| work(&webhooks, tx, &by)).await.unwrap()
    }

    /// A source called as its provider, with one destination that takes all.
    async fn source(&self, provider: &str, definition: Value, secrets: &[&str]) {
        let mut whole = json!({"provider": provider});
        whole.as_object_mut().unwrap().extend(definition.as_object().unwrap().clone());
        let draft = SourceDraft {
            key: provider.to_owned(),
            name: provider.to_owned(),
            project: ProjectId(1),
            definition: serde_json::from_value(whole).unwrap(),
            secrets: Some(secrets.iter().map(|secret| Secret::new(*secret)).collect()),
            owner: Owner::File,
        };
        let id = self.save(move |webhooks, tx, by| webhooks.save_source(tx, by, &draft)).await.0;
        self.destination(provider, id, json!({"url": "http://127.0.0.1:9/hook"})).await;
    }

    async fn destination(&self, key: &str, source: webhooks::SourceId, definition: Value) {
        let draft = DestinationDraft {
            key: key.to_owned(),
            name: key.to_owned(),
            source,
            definition: serde_json::from_value(definition).unwrap(),
            secrets: webhooks::secrets::Secrets::default(),
            owner: Owner::File,
        };
        self.save(move |webhooks, tx, by| webhooks.save_destination(tx, by, &draft).map(drop)).await;
    }

    /// As the provider signs it, now.
    fn sign(&self, provider: &str, secret: &str, body: &[u8]) -> Sent {
        self.sign_at(provider, secret, body, self.house.clock.now())
    }

    fn sign_at(&self, provider: &str, secret: &str, body: &[u8], at: Timestamp) -> Sent {
        let path = format!("/hooks/{provider}");
        let url = format!("{}{path}", self.house.state.base_url.as_str().trim_end_matches('/'));
        let content_type = Some("application/json");
        let out = Outgoing { method: "POST", url: &url, id: "msg_1", content_type, body, at };
        let scheme = &providers::find(provider).unwrap().scheme;
        let mut headers = HeaderMap::from_iter(scheme.sign(&out, &Secret::new(secret)).unwrap());
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Sent { path, headers, body: body.to_vec() }
    }

    async fn send(&self, sent: &Sent) -> Response {
        self.house.send_with(Method::POST, &sent.path, sent.headers.clone(), sent.body.clone()).await
    }

    async fn count(&self, table: &'static str) -> i64 {
        self.house.number(Box::leak(format!("SELECT count(*) FROM {table}").into_boxed_str())).await
    }

    /// The newest request of all, opened.
    async fn newest(&self) -> (queries::Request, Payload) {
        let sealer = self.house.state.sealer.clone();
        let read = move |tx: &ReadTx<'_>| {
            let page = queries::requests(tx, &queries::Filter::all(Visible::All))?;
            let request = queries::find_request(tx, &Visible::All, page.items[0].uid)?.unwrap();
            let payload = queries::open_payload(tx, &sealer, &request)?.unwrap().unwrap();
            Ok::<_, tocsin::store::Error>((request, payload))
        };
        self.house.state.store.read(read).await.unwrap()
    }

    /// Why calls were turned away, the newest first, once what waits in memory is written.
    async fn refusals(&self, key: &'static str) -> Vec<queries::RefusalLine> {
        self.house.run("webhooks.refusals").await;
        let read = move |tx: &ReadTx<'_>| {
            let line = queries::find_source(tx, &Visible::All, key)?.unwrap();
            queries::refusals(tx, line.source.id)
        };
        self.house.state.store.read(read).await.unwrap()
    }
}

impl Sent {
    fn with(&self, name: &'static str, value: &str) -> Sent {
        let mut sent = self.clone();
        sent.headers.insert(name, HeaderValue::from_str(value).unwrap());
        sent
    }

    fn without(&self, name: &'static str) -> Sent {
        let mut sent = self.clone();
        sent.headers.remove(name);
        sent
    }

    fn with_body(&self, body: &[u8]) -> Sent {
        Sent { body: body.to_vec(), ..self.clone() }
    }

    fn value(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

fn media(response: &Response) -> &str {
    response.headers["content-type"].to_str().unwrap()
}

fn detail(response: &Response) -> String {
    assert_eq!(response.headers["content-type"], "application/problem+json", "{}", response.text());
    json(response)["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_stored_before_its_answer_and_taken_once() {
    let hooks = Hooks::open().await;
    hooks.source("stripe", json!({}), &["whsec_1"]).await;
    let sent = hooks.sign("stripe", "whsec_1", EVENT).with("authorization", "Bearer s3cret").with("x-a", "1");
    let first = hooks.send(&sent).await;
    assert_eq!((first.status, json(&first)), (200, json!({"received": true})));
    assert_eq!(first.headers["cache-control"], "no-store");
    let again = hooks.send(&hooks.sign("stripe", "whsec_1", EVENT)).await;
    assert_eq!((again.status, json(&again)), (200, json!({"duplicate": true})));

    let (request, payload) = hooks.newest().await;
    assert_eq!((request.event_id.as_str(), request.event_type.as_str()), ("evt_1", "invoice.paid"));
    assert_eq!((request.order_key.as_deref(), request.secret), (Some("cus_1"), Some(0)));
    assert_eq!((request.signed_at, request.repeats), (Some(hooks.house.clock.now()), 1));
    assert_eq!((payload.method.as_str(), payload.body.as_slice()), ("POST", EVENT));
    assert_eq!((payload.header("x-a"), payload.header("authorization")), (Some("1"), None));
    assert!(payload.header("host").is_none() && payload.header("content-length").is_none());
    for (table, rows) in [
        ("webhook_requests", 1),
        ("webhook_payloads", 1),
        ("webhook_deliveries", 1),
        ("processed_webhook_events", 1),
    ] {
        assert_eq!(hooks.count(table).await, rows, "{table}");
    }
    assert_eq!(hooks.house.text("SELECT status FROM webhook_delivery_log").await, "pending");
    hooks.house.stop().await;
}

/// Calls of three providers that are not to be believed, and why.
fn not_believed(hooks: &Hooks, provider: &str) -> Vec<(Sent, &'static str)> {
    let now = hooks.house.clock.now();
    let good = hooks.sign(provider, "whsec_new", EVENT);
    let mut flipped = EVENT.to_vec();
    flipped[10] ^= 1;
    let longer = [EVENT, b"\n"].concat();
    let header = match provider {
        "stripe" => "stripe-signature",
        "slack" => "x-slack-signature",
        _ => "x-hub-signature-256",
    };
    let signature = good.value(header);
    let truncated = &signature[..signature.len() - 2];
    let last = if signature.ends_with('0') { "1" } else { "0" };
    let changed = format!("{}{last}", &signature[..signature.len() - 1]);
    let mut doubled = good.clone();
    doubled.headers.append(header, HeaderValue::from_str(&signature).unwrap());
    let mut bad = vec![
        (good.with_body(&flipped), "signature_wrong"),
        (good.with_body(&longer), "signature_wrong"),
        (good.with(header, &changed), "signature_wrong"),
        (good.with(header, truncated), "signature_malformed"),
        (good.with(header, ""), "header_empty"),
        (good.without(header), "header_missing"),
        (doubled, "header_doubled"),
        (hooks.sign(provider, "whsec_other", EVENT), "signature_wrong"),
    ];
    let (old, new) = (now - Duration::from_secs(301), now + Duration::from_secs(301));
    match provider {
        "stripe" => {
            bad.push((hooks.sign_at(provider, "whsec_new", EVENT, old), "too_old"));
            bad.push((hooks.sign_at(provider, "whsec_new", EVENT, new), "too_new"));
            bad.push((good.with(header, &signature.replace("v1=", "v0=")), "signature_version"));
            bad.push((good.with(header, &signature.replace("t=", "t=x")), "signature_wrong"));
        }
        "slack" => {
            bad.push((hooks.sign_at(provider, "whsec_new", EVENT, old), "too_old"));
            bad.push((hooks.sign_at(provider, "whsec_new", EVENT, new), "too_new"));
            bad.push((good.without("x-slack-request-timestamp"), "header_missing"));
            bad.push((good.with("x-slack-request-timestamp", "soon"), "signature_wrong"));
        }
        _ => bad.push((good.with(header, &signature.replace("sha256=", "sha1=")), "signature_version")),
    }
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_believed_is_told_why_counted_and_never_stored() {
    let hooks = Hooks::open().await;
    for provider in ["stripe", "slack", "github"] {
        hooks.source(provider, json!({}), &["whsec_new", "whsec_old"]).await;
        let bad = not_believed(&hooks, provider);
        for (sent, reason) in &bad {
            let answer = hooks.send(sent).await;
            assert_eq!(answer.status, 401, "{provider} {reason}: {}", answer.text());
            let detail = detail(&answer);
            assert!(detail.ends_with('.') && !detail.contains("whsec"), "{detail}");
        }
        let told = hooks.refusals(provider).await;
        let total: i64 = told.iter().map(|line| line.count).sum();
        assert_eq!(total, i64::try_from(bad.len()).unwrap());
        let newest = told.first().unwrap();
        assert_eq!(Some(newest.reason.as_str()), bad.last().map(|(_, reason)| *reason), "{provider}");
        for (_, reason) in &bad {
            assert!(told.iter().any(|line| line.reason == *reason), "{provider} {reason}: {told:?}");
        }
    }
    assert_eq!(hooks.count("webhook_requests").await, 0);
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_before_still_counts_and_bytes_that_are_no_text_verify() {
    let hooks = Hooks::open().await;
    hooks.source("github", json!({}), &["whsec_new", "whsec_old"]).await;
    let bytes = b"\xff\xfe\0 no text \xc3\x28";
    let sent = hooks.sign("github", "whsec_old", bytes).with("x-github-delivery", "d1");
    assert_eq!(hooks.send(&sent).await.status, 200);
    let (request, payload) = hooks.newest().await;
    assert_eq!((request.secret, payload.body.as_slice()), (Some(1), &bytes[..]));
    // Of what was signed no byte may differ, so what is compressed stays so.
    let zipped = hooks.sign("github", "whsec_new", b"\x1f\x8b\x08\x00 as it came");
    let zipped = zipped.with("content-encoding", "gzip").with("x-github-delivery", "d2");
    assert_eq!(hooks.send(&zipped).await.status, 200);
    let (_, payload) = hooks.newest().await;
    assert_eq!((payload.header("content-encoding"), payload.body.len()), (Some("gzip"), 15));
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_come_through_whole_and_larger_ones_are_refused() {
    let hooks = Hooks { house: House::with(|config| config.webhooks.body_bytes_max = 1024).await };
    hooks.source("stripe", json!({}), &["s"]).await;
    let answer = hooks.send(&hooks.sign("stripe", "s", &[b'x'; 1025])).await;
    assert_eq!((answer.status, detail(&answer).contains("larger than 1024 bytes")), (413, true));
    // What a source says goes before what is said for all.
    hooks.source("github", json!({"body_bytes_max": 300_000}), &["s"]).await;
    let large = json!({"text": "x".repeat(200_000)}).to_string().into_bytes();
    let sent = hooks.sign("github", "s", &large).with("x-github-delivery", "d1");
    assert_eq!(hooks.send(&sent).await.status, 200);
    assert_eq!(hooks.newest().await.1.body, large);
    let larger = hooks.sign("github", "s", &vec![b'x'; 300_001]);
    let answer = hooks.send(&larger).await;
    assert_eq!(answer.status, 413);
    assert!(detail(&answer).contains("larger than 300000 bytes"));
    assert_eq!(hooks.refusals("github").await[0].reason, "too_large");
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_a_wrong_method_and_a_source_without_a_secret_take_nothing() {
    let hooks = Hooks::open().await;
    let nobody = Sent { path: "/hooks/nobody".to_owned(), headers: HeaderMap::new(), body: EVENT.to_vec() };
    let answer = hooks.send(&nobody).await;
    assert_eq!(answer.status, 404);
    assert!(detail(&answer).starts_with("No source takes webhooks here."));
    hooks.source("stripe", json!({}), &[]).await;
    let sent = hooks.sign("stripe", "whsec_1", EVENT);
    let answer = hooks.send(&sent).await;
    assert_eq!((answer.status, detail(&answer).as_str()), (401, "This source takes no calls yet."));
    assert_eq!(hooks.refusals("stripe").await[0].reason, "no_secret");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = hooks.house.send_with(method, "/hooks/stripe", HeaderMap::new(), Vec::new()).await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.headers["allow"], "POST");
    }
    for _ in 0..299 {
        hooks.send(&nobody).await;
    }
    let answer = hooks.send(&nobody).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "61");
    assert_eq!(hooks.send(&sent).await.status, 401, "who names a source is no stranger");
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_to_be_sent_again() {
    let hooks = Hooks::open().await;
    hooks.source("stripe", json!({}), &["s"]).await;
    let sent = hooks.sign("stripe", "s", EVENT);
    for set in [
        |house: &House, is| house.state.own.set_disk_full(is),
        |house: &House, is| {
            house.state.own.set_over_budget(is);
        },
    ] {
        set(&hooks.house, true);
        let answer = hooks.send(&sent).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers["retry-after"], "30");
        assert!(detail(&answer).contains("Nothing of this was stored."));
        set(&hooks.house, false);
    }
    assert_eq!(hooks.count("webhook_requests").await, 0);
    assert_eq!(json(&hooks.send(&sent).await), json!({"received": true}));
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_project_takes_nothing() {
    let hooks = Hooks::open().await;
    hooks.source("github", json!({}), &["s"]).await;
    let sent = hooks.sign("github", "s", EVENT).with("x-github-delivery", "d1");
    assert_eq!(hooks.send(&sent).await.status, 200);
    let by = By::command_line(hooks.house.clock.now());
    let archive = move |tx: &WriteTx<'_>| projects::archive(tx, &by, ProjectId(1));
    hooks.house.state.store.write("test", archive).await.unwrap();
    hooks.house.clock.advance(Duration::from_mins(1));
    assert_eq!(hooks.send(&sent.with("x-github-delivery", "d2")).await.status, 404);
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_provider_hears_its_own_words() {
    let hooks = Hooks::open().await;
    hooks.source("slack", json!({}), &["s"]).await;
    let asked = hooks.sign("slack", "s", br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#);
    let answer = hooks.send(&asked).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "3eZbrw1a"));
    let forged = hooks.sign("slack", "other", br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#);
    assert_eq!(hooks.send(&forged).await.status, 401);
    assert_eq!(hooks.count("webhook_requests").await, 0, "a question is no event");

    hooks.source("twilio", json!({"url": "https://hooks.example.com/hooks/twilio"}), &["token"]).await;
    let mut sent = twilio();
    for _ in 0..2 {
        let answer = hooks.send(&sent).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!((answer.text().as_str(), media(&answer)), ("<Response/>", "text/xml"));
    }
    assert_eq!(hooks.newest().await.0.repeats, 1);
    sent.path = "/hooks/twilio?a=2".to_owned();
    assert_eq!(hooks.send(&sent).await.status, 401, "its address is signed, too");

    let answer = json!({"answer": {"status": 202, "body": "ok", "content_type": "text/plain"}});
    hooks.source("stripe", answer, &["s"]).await;
    let answer = hooks.send(&hooks.sign("stripe", "s", EVENT)).await;
    assert_eq!((answer.status, answer.text().as_str()), (202, "ok"));
    hooks.house.stop().await;
}

/// As Twilio calls `https://hooks.example.com/hooks/twilio?a=1`.
fn twilio() -> Sent {
    let body = b"MessageSid=SM1&MessageStatus=delivered";
    let out = Outgoing {
        method: "POST",
        url: "https://hooks.example.com/hooks/twilio?a=1",
        id: "",
        content_type: Some("application/x-www-form-urlencoded"),
        body,
        at: Timestamp::EPOCH,
    };
    let scheme = &providers::find("twilio").unwrap().scheme;
    let mut headers = HeaderMap::from_iter(scheme.sign(&out, &Secret::new("token")).unwrap());
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(HeaderName::from_static("content-type"), form);
    Sent { path: "/hooks/twilio?a=1".to_owned(), headers, body: body.to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_destination_takes_what_its_filter_names() {
    let hooks = Hooks::open().await;
    hooks.source("stripe", json!({}), &["s"]).await;
    let read = |tx: &ReadTx<'_>| queries::find_source(tx, &Visible::All, "stripe");
    let id = hooks.house.state.store.read(read).await.unwrap().unwrap().source.id;
    let only = |types: &str| json!({"url": "http://127.0.0.1:9/", "filter": {"types": [types]}});
    hooks.destination("invoices", id, only("invoice.*")).await;
    hooks.destination("charges", id, only("charge.*")).await;
    assert_eq!(hooks.send(&hooks.sign("stripe", "s", EVENT)).await.status, 200);
    let taken = "SELECT group_concat(key) FROM (SELECT d.key FROM webhook_deliveries
                 JOIN webhook_destinations AS d ON d.id = destination_id ORDER BY d.key)";
    assert_eq!(hooks.house.text(taken).await, "invoices,stripe");
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deploys_and_mails_are_told_once() {
    let hooks = Hooks::open().await;
    let (vercel, resend) = ("vercel", "resend");
    hooks.source(vercel, json!({}), &["s"]).await;
    hooks.source(resend, json!({}), &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]).await;
    let deployed = json!({
        "id": "uev_1", "type": "deployment.succeeded", "createdAt": 1_799_999_000_000_u64,
        "payload": {"target": "production", "deployment": {"id": "dpl_1", "url": "shop.vercel.app", "meta": {"githubCommitSha": "4f2c9d0"}}},
    });
    let bounced = json!({"type": "email.bounced", "data": {"email_id": "m1"}});
    for _ in 0..2 {
        let deployed = hooks.sign(vercel, "s", deployed.to_string().as_bytes());
        assert_eq!(hooks.send(&deployed).await.status, 200);
        let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert_eq!(hooks.send(&hooks.sign(resend, secret, bounced.to_string().as_bytes())).await.status, 200);
    }
    let deploys = "SELECT group_concat(release || ' ' || environment || ' ' || url) FROM deploys";
    assert_eq!(hooks.house.text(deploys).await, "4f2c9d0 production https://shop.vercel.app");
    let points = "SELECT group_concat(type || ' ' || value || ' ' || metadata) FROM metric_points";
    let told = r#"email_delivery 0.0 {"outcome":"bounced","source":"resend"}"#;
    assert_eq!(hooks.house.text(points).await, told);
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_of_a_refused_call_holds_no_secret() {
    let hooks = Hooks::open().await;
    hooks.source("vapi", json!({}), &["vapi-right"]).await;
    let wrong = hooks.sign("vapi", "vapi-wrong", b"{\"card\":\"4242424242424242\"}");
    let wrong = wrong.with("authorization", "Bearer abc").with("x-api-key", "k3y").with("x-event", "push");
    assert_eq!(hooks.send(&wrong).await.status, 401);
    let shown = hooks.refusals("vapi").await.remove(0);
    let value = |name: &str| {
        let found = shown.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!((shown.reason.as_str(), value("x-event")), ("token_wrong", Some("push")));
    for name in ["x-vapi-secret", "authorization", "x-api-key"] {
        assert_eq!(value(name), Some("[Filtered]"), "{name}");
    }
    assert!(!format!("{shown:?}").contains("4242"));
    assert_eq!((shown.address.as_str(), shown.count), ("127.0.0.1", 1));
    hooks.house.stop().await;
}

/// Signed without a time and an id, a call that somebody kept would be believed for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_kept_is_known_under_another_id() {
    let hooks = Hooks::open().await;
    hooks.source("github", json!({}), &["a long random secret"]).await;
    let sent = hooks.sign("github", "a long random secret", EVENT).with("x-github-event", "issues");
    let named = |id: &str| sent.with("x-github-delivery", id);
    assert_eq!(json(&hooks.send(&named("d-1")).await), json!({"received": true}));
    for again in [named("d-1"), named("d-2"), sent.clone()] {
        assert_eq!(json(&hooks.send(&again).await), json!({"duplicate": true}));
    }
    // One body may be two events that only a header tells apart.
    let other = named("d-3").with("x-github-event", "label");
    assert_eq!(json(&hooks.send(&other).await), json!({"received": true}));
    assert_eq!(hooks.count("webhook_requests").await, 2);
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_condition_can_read_is_delivered() {
    let hooks = Hooks::open().await;
    hooks.source("github", json!({}), &["a long random secret"]).await;
    let id = webhooks::SourceId(1);
    let live = json!([{"pointer": "/live", "op": "equals", "value": true}]);
    let picky = json!({"url": "http://127.0.0.1:9/picky", "filter": {"conditions": live}});
    hooks.destination("picky", id, picky).await;
    for (body, deliveries) in [(r#"{"live":false}"#, 1), ("no JSON", 3), (r#"{"live":true}"#, 5)] {
        let sent = hooks.sign("github", "a long random secret", body.as_bytes());
        assert_eq!(hooks.send(&sent).await.status, 200, "{body}");
        assert_eq!(hooks.count("webhook_deliveries").await, deliveries, "{body}");
    }
    hooks.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_scheme_is_not_kept() {
    let hooks = Hooks::open().await;
    hooks.source("github", json!({}), &["a long random secret"]).await;
    let sent = hooks.sign("github", "a long random secret", EVENT).with("x-github-delivery", "d-1");
    let sent = ["x-vapi-secret", "x-gitlab-token", "x-api-key", "x-postmark-token"]
        .into_iter()
        .fold(sent, |sent, name| sent.with(name, "s3cret-of-another"));
    assert_eq!(hooks.send(&sent).await.status, 200);
    let (_, payload) = hooks.newest().await;
    let kept: Vec<&str> = payload.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(kept.contains(&"x-github-delivery") && kept.contains(&"x-hub-signature-256"), "{kept:?}");
    assert!(!format!("{:?}", payload.headers).contains("another"), "{kept:?}");
    hooks.house.stop().await;
}
