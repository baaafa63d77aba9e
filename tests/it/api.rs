//! The JSON API, answered by the real application in process.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use actix_web::{App as HttpApp, middleware, test, web};
use serde_json::{Value, json};
use tocsin::accounts::audit::{self, Filter};
use tocsin::accounts::{By, projects, tokens};
use tocsin::app::{App, Surroundings};
use tocsin::base::{Clock, Entropy, EventId, Severity, Timestamp};
use tocsin::config::{self, Flags};
use tocsin::http::{AppState, api, request};
use tocsin::issues::incoming::{Incoming, Origin};
use tocsin::store::ReadTx;

const NOON: Timestamp = Timestamp::from_secs(1_800_000_000);

struct House {
    _folder: tempfile::TempDir,
    state: web::Data<AppState>,
}

/// An answer with its media type.
struct Answer {
    status: StatusCode,
    media_type: String,
    body: Value,
}

impl House {
    async fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
        let config = config::load(&flags, &BTreeMap::new()).unwrap().config;
        let around = Surroundings {
            folder: folder.path(),
            config,
            clock: Clock::manual(NOON),
            entropy: Entropy::seeded(7),
            sealing_key: [7; 32],
        };
        let app = App::build(around).await.unwrap();
        Self { _folder: folder, state: app.state }
    }

    async fn project(&self, name: &'static str) -> projects::Project {
        let new = projects::NewProject { name: name.to_owned(), slug: None };
        self.state
            .store
            .write("test", move |tx| projects::create(tx, &By::command_line(NOON), &new))
            .await
            .unwrap()
    }

    async fn token(&self, scopes: &str, project: Option<&projects::Project>) -> String {
        let new = tokens::NewToken {
            name: scopes.to_owned(),
            scopes: scopes.parse().unwrap(),
            project: project.map(|project| project.id),
        };
        let entropy = self.state.entropy.clone();
        let made = self
            .state
            .store
            .write("test", move |tx| tokens::create(tx, &By::command_line(NOON), &entropy, &new))
            .await;
        made.unwrap().1.expose().to_owned()
    }

    async fn throw(&self, project: &projects::Project, event: EventId, error_type: &str, level: &str) {
        let origin = Origin {
            project: project.id,
            received_at: self.state.clock.now(),
            event: Some(event),
            fallback_event: EventId([0; 16]),
            severity_max: Severity::Critical,
        };
        let event = json!({
            "level": level, "environment": "production", "release": "shop@1.4.2",
            "exception": {"values": [{"type": error_type, "value": "no row"}]},
        });
        let event = Incoming::prepare(&origin, &self.state.tools, event.to_string().as_bytes()).unwrap();
        self.state.events.submit(event).await.unwrap();
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let app = HttpApp::new()
            .app_data(self.state.clone())
            .wrap(middleware::from_fn(request::identify))
            .configure(api::routes);
        let service = test::init_service(app).await;
        let mut asked = test::TestRequest::default().method(method).uri(path);
        if let Some(token) = token {
            asked = asked.insert_header(("authorization", format!("Bearer {token}")));
        }
        if let Some(body) = body {
            asked = asked.set_json(body);
        }
        let response = test::call_service(&service, asked.to_request()).await;
        let status = response.status();
        let header = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let body = serde_json::from_slice(&test::read_body(response).await).unwrap_or(Value::Null);
        Answer { status, media_type: header.unwrap_or_default(), body }
    }

    async fn get(&self, path: &str, token: &str) -> Value {
        let answer = self.ask(Method::GET, path, Some(token), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    async fn refused(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let answer = self.ask(method, path, token, body).await;
        assert_eq!(answer.media_type, "application/problem+json", "{path}");
        assert_eq!(answer.body["status"], answer.status.as_u16(), "{path}");
        assert!(!answer.body["request_id"].as_str().unwrap().is_empty(), "{path}");
        answer
    }
}

#[actix_web::test]
async fn what_was_thrown_is_found_resolved_and_acknowledged() {
    let house = House::build().await;
    let shop = house.project("Shop").await;
    let token = house.token("read,write,admin", None).await;
    house.throw(&shop, EventId([1; 16]), "PaymentFailed", "fatal").await;
    house.throw(&shop, EventId([2; 16]), "PaymentFailed", "fatal").await;

    let issues = house.get("/api/v1/issues?project=shop&status=unresolved", &token).await;
    let issue = &issues["items"][0];
    assert_eq!((&issue["title"], &issue["count"]), (&json!("PaymentFailed: no row"), &json!(2)));
    let id = issue["id"].as_str().unwrap();
    let events = house.get(&format!("/api/v1/issues/{id}/events?limit=1"), &token).await;
    assert_eq!(events["items"][0]["event_id"], "02".repeat(16));
    let cursor = events["next_cursor"].as_str().unwrap();
    let events = house.get(&format!("/api/v1/issues/{id}/events?limit=1&cursor={cursor}"), &token).await;
    assert_eq!(events["items"][0]["event_id"], "01".repeat(16));
    assert_eq!(events["next_cursor"], Value::Null);
    let event = house.get(&format!("/api/v1/events/{}", "01".repeat(16)), &token).await;
    assert_eq!((&event["release"], &event["issue_id"]), (&json!("shop@1.4.2"), &json!(id)));

    let incidents = house.get("/api/v1/incidents?state=open", &token).await;
    let incident = incidents["items"][0].clone();
    assert_eq!((&incident["project"], &incident["severity"]), (&json!("shop"), &json!("critical")));
    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    let acknowledged = house.ask(Method::POST, &format!("{path}/acknowledge"), Some(&token), None).await;
    assert_eq!(acknowledged.status, StatusCode::OK, "{}", acknowledged.body);
    assert_eq!(acknowledged.body["state"], "acknowledged");
    assert_eq!(acknowledged.body["acknowledged_by"], "token read,write,admin");
    let deliveries = house.get("/api/v1/deliveries?state=waiting", &token).await;
    assert_eq!(deliveries["items"][0]["incident_id"], incident["id"], "no channel yet: it waits");

    let patch = Some(json!({"status": "resolved"}));
    let resolved = house.ask(Method::PATCH, &format!("/api/v1/issues/{id}"), Some(&token), patch).await;
    assert_eq!(resolved.body["status"], "resolved");
    let noted = |tx: &ReadTx<'_>| audit::list(tx, &Filter::default(), None, 1);
    let noted = &house.state.store.read(noted).await.unwrap()[0];
    assert_eq!(
        (noted.action.as_str(), noted.detail["from"].as_str()),
        ("issue.set_status", Some("unresolved"))
    );
    let page = house.get(&path, &token).await;
    assert_eq!((&page["state"], &page["resolve_reason"]), (&json!("resolved"), &json!("subject_resolved")));
    let kinds: Vec<_> = page["timeline"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert!(kinds.contains(&&json!("acknowledged")), "{kinds:?}");
    let again = house.refused(Method::POST, &format!("{path}/resolve"), Some(&token), None).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    house.state.store.stop();
}

#[actix_web::test]
async fn a_token_sees_and_changes_only_what_it_may() {
    let house = House::build().await;
    let (shop, blog) = (house.project("Shop").await, house.project("Blog").await);
    house.throw(&shop, EventId([1; 16]), "PaymentFailed", "fatal").await;
    house.throw(&blog, EventId([2; 16]), "NoSuchPost", "fatal").await;
    let blogger = house.token("read", Some(&blog)).await;
    let admin = house.token("admin", None).await;

    for path in ["/api/v1/issues", "/api/v1/incidents", "/api/v1/deliveries", "/api/v1/projects"] {
        let seen = house.get(path, &blogger).await;
        assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{path}: {seen}");
        assert!(house.get(path, &admin).await["items"].as_array().unwrap().len() > 1, "{path}");
    }
    let all = house.get("/api/v1/incidents", &admin).await;
    let of_shop = all["items"].as_array().unwrap().iter().find(|one| one["project"] == "shop").unwrap();
    let of_shop = format!("/api/v1/incidents/{}", of_shop["id"].as_str().unwrap());
    let issue = house.get("/api/v1/issues?project=blog", &admin).await["items"][0]["id"].clone();
    let of_blog = format!("/api/v1/issues/{}", issue.as_str().unwrap());
    let resolve = || Some(json!({"status": "resolved"}));
    for (method, path, token, body, expected) in [
        (Method::GET, "/api/v1/issues", None, None, 401),
        (Method::GET, "/api/v1/issues", Some("toc_unknown"), None, 401),
        (Method::GET, "/api/v1/issues?project=shop", Some(&*blogger), None, 404),
        (Method::GET, &of_shop, Some(&blogger), None, 404),
        (Method::POST, &format!("{of_shop}/acknowledge"), Some(&blogger), None, 404),
        (Method::GET, &format!("/api/v1/events/{}", "01".repeat(16)), Some(&blogger), None, 404),
        (Method::PATCH, &of_blog, Some(&blogger), resolve(), 403),
        (Method::GET, "/api/v1/tasks", Some(&blogger), None, 403),
        (Method::PATCH, &of_blog, Some(&admin), Some(json!({"status": "gone"})), 400),
        (Method::GET, "/api/v1/issues?limit=1000", Some(&admin), None, 400),
        (Method::GET, "/api/v1/issues?cursor=x", Some(&admin), None, 400),
        (Method::GET, "/api/v1/issues/no-uuid", Some(&admin), None, 404),
        (Method::GET, "/api/v1/outcomes?since=yesterday", Some(&admin), None, 400),
        (Method::GET, "/api/v1/nothing", Some(&admin), None, 404),
        (Method::DELETE, "/api/v1/issues", Some(&admin), None, 405),
    ] {
        let answer = house.refused(method, path, token, body).await;
        assert_eq!(answer.status.as_u16(), expected, "{path}: {}", answer.body);
    }
    let tasks = house.get("/api/v1/tasks", &admin).await;
    assert!(tasks["items"].as_array().unwrap().iter().any(|task| task["name"] == "incidents.expire"));
    house.state.store.stop();
}

#[actix_web::test]
async fn every_question_refuses_a_key_that_it_does_not_know_and_takes_each_that_is_described() {
    let house = House::build().await;
    let admin = house.token("admin", None).await;
    let document = house.get("/api/v1/openapi.json", &admin).await;
    let shared = &document["components"]["parameters"];
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if item.get("get").is_none() {
            continue;
        }
        let real = path.replace(['{', '}'], "");
        let refused = format!("/api/v1{real}?limit_=5");
        let answer = house.refused(Method::GET, &refused, Some(&admin), None).await;
        let detail = answer.body["detail"].as_str().unwrap();
        assert_eq!(
            (answer.status.as_u16(), detail.starts_with("`limit_` ")),
            (400, true),
            "{path}: {detail}"
        );
        let parameters = item["get"]["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in &parameters {
            let name = parameter["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
            let parameter = name.map_or(parameter, |name| &shared[name]);
            if parameter["in"] == "query" {
                let key = parameter["name"].as_str().unwrap();
                assert!(detail.contains(&format!("`{key}`")), "{path}: {detail}");
                let answer =
                    house.ask(Method::GET, &format!("/api/v1{real}?{key}=1"), Some(&admin), None).await;
                let detail = answer.body["detail"].as_str().unwrap_or_default();
                assert!(!detail.contains("is not asked for"), "{path}: {detail}");
                asked += 1;
            }
        }
    }
    assert!(asked > 30, "only {asked} keys are described");
    let meant = house.refused(Method::GET, "/api/v1/issues?projekt=shop", Some(&admin), None).await;
    assert!(meant.body["detail"].as_str().unwrap().contains("did you mean `project`?"), "{}", meant.body);
    house.state.store.stop();
}

#[actix_web::test]
async fn an_event_that_was_only_counted_says_so() {
    let house = House::build().await;
    let shop = house.project("Shop").await;
    let token = house.token("read", None).await;
    let ids: Vec<EventId> = (0..250).map(|_| EventId(house.state.entropy.bytes())).collect();
    for id in &ids {
        house.throw(&shop, *id, "PaymentFailed", "error").await;
    }
    let issues = house.get("/api/v1/issues", &token).await;
    let (count, stored) = (&issues["items"][0]["count"], issues["items"][0]["stored"].as_i64().unwrap());
    assert_eq!(count, 250);
    assert!(stored < 250, "{stored} are stored, none was sampled");
    let mut counted_only = 0;
    for id in ids {
        let path = format!("/api/v1/events/{id}");
        let answer = house.ask(Method::GET, &path, Some(&token), None).await;
        if answer.status == StatusCode::NOT_FOUND {
            assert!(answer.body["detail"].as_str().unwrap().contains("counted"), "{}", answer.body);
            counted_only += 1;
        }
    }
    assert_eq!(counted_only, 250 - stored);
    let outcomes = house.get("/api/v1/outcomes?project=shop", &token).await;
    let sampled = json!({"reason": "sampled", "category": "error", "quantity": counted_only});
    assert!(outcomes["items"].as_array().unwrap().contains(&sampled), "{outcomes}");
    house.state.store.stop();
}

#[actix_web::test]
async fn a_silence_is_begun_and_ended_by_those_who_may() {
    let house = House::build().await;
    let (shop, blog) = (house.project("Shop").await, house.project("Blog").await);
    let writer = house.token("write", Some(&shop)).await;
    let reader = house.token("read", Some(&shop)).await;
    let wanted =
        |project: Value, hours: i64| Some(json!({"project": project, "hours": hours, "reason": "move"}));
    let path = "/api/v1/silences";
    for (token, body, expected) in [
        (&reader, wanted(json!("shop"), 2), 403),
        (&writer, wanted(json!("blog"), 2), 404),
        (&writer, wanted(Value::Null, 2), 400),
        (&writer, wanted(json!("shop"), 0), 400),
        (&writer, wanted(json!("shop"), 745), 400),
        (&writer, Some(json!({"project": "shop", "hours": 2, "reason": " "})), 400),
    ] {
        let answer = house.refused(Method::POST, path, Some(token), body.clone()).await;
        assert_eq!(answer.status.as_u16(), expected, "{body:?}: {}", answer.body);
    }
    let hours = "Say in `hours` how long it is silent: a whole number from 1 to 744 (31 days).";
    let reason = "Say in `reason` why it is silenced: the next person wants to know.";
    for (body, detail) in [
        (json!({"project": "shop", "hours": 0, "reason": "move"}), hours),
        (json!({"project": "shop", "hours": -1, "reason": "move"}), hours),
        (json!({"project": "shop", "hours": 1.5, "reason": "move"}), hours),
        (json!({"project": "shop", "hours": "2", "reason": "move"}), hours),
        (json!({"project": "shop", "reason": "move"}), hours),
        (json!({"project": "shop", "hours": 2}), reason),
        (json!({"project": "shop", "hours": 2, "reason": " "}), reason),
        (
            json!({"project": "shop", "hours": 2, "reason": "x".repeat(201)}),
            "The reason is too long: use at most 200 characters.",
        ),
        (
            json!({"project": "shop", "hours": 2, "reason": "a\u{202e}b"}),
            "The reason holds a character that cannot be seen (U+202E): take it out.",
        ),
        (
            json!({"hours": 2, "reason": "move"}),
            "Say in `project` which project is silenced, by its slug or number: only those who see every project may \
             leave it out.",
        ),
        (
            json!({"project": "shop", "key": "a*b", "hours": 2, "reason": "move"}),
            "The key is that of an incident, such as rate:1, or the beginning of some and then *, such as issue:1:*; \
             leave it out to silence every key.",
        ),
        (
            json!({"project": "shop", "key": "x".repeat(201), "hours": 2, "reason": "move"}),
            "The key is too long: those of incidents have at most 200 bytes.",
        ),
        (
            json!({"project": "shop", "hours": 2, "reason": "move", "until": 1}),
            "The body does not fit: unknown field `until`, expected one of `project`, `key`, `hours`, `reason` at line \
             1 column 51. /api/v1/openapi.json describes it.",
        ),
    ] {
        let answer = house.refused(Method::POST, path, Some(&writer), Some(body.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.body["detail"].as_str()), (400, Some(detail)), "{body}");
    }
    for key in ["issue:*:1", "**", "", &"x".repeat(201)] {
        let body = Some(json!({"project": "shop", "key": key, "hours": 2, "reason": "move"}));
        let answer = house.refused(Method::POST, path, Some(&writer), body).await;
        assert_eq!(answer.status.as_u16(), 400, "{key}: {}", answer.body);
    }
    let begun = house.ask(Method::POST, path, Some(&writer), wanted(json!("shop"), 2)).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
    assert_eq!((&begun.body["project"], &begun.body["created_by"]), (&json!("shop"), &json!("token write")));
    house.throw(&shop, EventId([1; 16]), "PaymentFailed", "fatal").await;
    house.throw(&blog, EventId([2; 16]), "NoSuchPost", "fatal").await;
    let everything = house.token("admin", None).await;
    let silenced = |incidents: Value| -> Vec<(Value, Value)> {
        let items = incidents["items"].as_array().unwrap();
        items.iter().map(|one| (one["project"].clone(), one["silenced"].clone())).collect()
    };
    let incidents = silenced(house.get("/api/v1/incidents", &everything).await);
    assert!(incidents.contains(&(json!("shop"), json!(true))), "{incidents:?}");
    assert!(incidents.contains(&(json!("blog"), json!(false))), "{incidents:?}");

    let end = format!("{path}/{}/end", begun.body["id"].as_str().unwrap());
    let stranger = house.token("write", Some(&blog)).await;
    assert_eq!(house.refused(Method::POST, &end, Some(&stranger), None).await.status.as_u16(), 404);
    let ended = house.ask(Method::POST, &end, Some(&writer), None).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.body);
    let incidents = silenced(house.get("/api/v1/incidents", &everything).await);
    assert!(incidents.contains(&(json!("shop"), json!(false))), "what still fires is told: {incidents:?}");
    assert_eq!(house.refused(Method::POST, &end, Some(&writer), None).await.status.as_u16(), 404);
    house.state.store.stop();
}

#[actix_web::test]
async fn an_incident_is_silenced_with_what_joins_it_while_it_lasts() {
    let house = House::build().await;
    let shop = house.project("Shop").await;
    let (writer, reader) = (house.token("write", Some(&shop)).await, house.token("read", Some(&shop)).await);
    house.throw(&shop, EventId([1; 16]), "PaymentFailed", "fatal").await;
    let incidents = house.get("/api/v1/incidents", &reader).await;
    let incident = incidents["items"][0]["id"].clone();
    let path = format!("/api/v1/incidents/{}/silence", incident.as_str().unwrap());
    let wanted = |hours: i64| Some(json!({"hours": hours, "reason": "known"}));
    assert_eq!(house.refused(Method::POST, &path, Some(&reader), wanted(2)).await.status.as_u16(), 403);
    assert_eq!(house.refused(Method::POST, &path, Some(&writer), wanted(0)).await.status.as_u16(), 400);
    let silenced = house.ask(Method::POST, &path, Some(&writer), wanted(2)).await;
    assert_eq!((silenced.status, &silenced.body["silenced"]), (StatusCode::OK, &json!(true)));
    let silences = house.get("/api/v1/silences", &reader).await;
    let items = silences["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["incident"], &items[0]["key"]), (1, &incident, &Value::Null));
    house.throw(&shop, EventId([2; 16]), "NoSuchOrder", "fatal").await;
    let incidents = house.get("/api/v1/incidents", &reader).await;
    assert_eq!(incidents["items"].as_array().unwrap().len(), 1);
    assert_eq!(incidents["items"][0]["silenced"], true, "what joined it is silent too");
    let resolve = path.replace("/silence", "/resolve");
    assert_eq!(house.ask(Method::POST, &resolve, Some(&writer), None).await.status, StatusCode::OK);
    let silences = house.get("/api/v1/silences", &reader).await;
    assert_ne!(silences["items"][0]["ended_at"], Value::Null);
    assert_eq!(house.refused(Method::POST, &path, Some(&writer), wanted(2)).await.status.as_u16(), 409);
    house.state.store.stop();
}
