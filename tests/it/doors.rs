//! What is wrong is refused by whichever door it comes, with the same place and reason: page, API, file.

use std::sync::Arc;

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use tocsin::accounts::By;
use tocsin::base::Crontab;
use tocsin::manifest::{self, Document, How, Manifest, Means, Source, Stop};
use tocsin::outbound::Method;
use tocsin::outbound::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use tocsin::probes::condition::Condition;
use tocsin::probes::{Kind, Target};
use tocsin::store::WriteTx;

use crate::people::Team;
use crate::support::{self, House};

/// A team before the pages, and somebody with a token before the API.
struct Doors {
    team: Team,
    house: House,
    token: String,
}

impl Doors {
    async fn open() -> Doors {
        let house = House::open().await;
        let token = house.token("read,write,admin").await;
        Doors { team: Team::gather().await, house, token }
    }

    /// What the API says to this.
    async fn api(&self, path: &str, body: Value) -> String {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
        let sent = body.to_string().into_bytes();
        let answer = self.house.send_with(Method::POST, path, headers, sent).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        support::json(&answer)["detail"].as_str().unwrap().to_owned()
    }

    /// What the form says beside the field.
    async fn page(&self, path: &str, fields: &[(&str, &str)], field: &str) -> String {
        let answer = self.team.post(&self.team.member, path, fields).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{fields:?}");
        let told = answer.text.split_once(&format!("id=\"wrong-{field}\">"));
        let told = told.and_then(|(_, rest)| rest.split_once("</span>")).map_or("", |(told, _)| told);
        assert!(!told.is_empty(), "nothing stands at {field} of {fields:?}: {}", answer.text);
        typed(told)
    }

    /// What is said of the line of a file that holds it.
    async fn file(&self, text: &str, line: usize) -> String {
        let state = &self.team.house.state;
        let means = Means {
            incidents: Arc::clone(&state.incidents),
            entropy: state.entropy.clone(),
            sealer: state.sealer.clone(),
        };
        let by = By::command_line(state.clock.now());
        let file = Source { name: "shop.toml".to_owned(), text: text.to_owned() };
        let document = Document { files: vec![file], ..Document::default() };
        let (manifest, problems) = Manifest::read(&document);
        let apply = move |tx: &WriteTx<'_>| {
            manifest::apply(tx, &by, &means, (manifest, problems), (&document, How::default()))
        };
        let told = match state.store.write("apply", apply).await {
            Err(Stop::Wrong(problems)) => problems,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert_eq!(told[0].place, format!("shop.toml:{line}"), "{text}: {told:?}");
        told[0].text.clone()
    }
}

/// As it was before it stood in a page.
fn typed(text: &str) -> String {
    let signs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    signs.iter().fold(text.to_owned(), |text, (written, sign)| text.replace(written, sign))
}

/// A text of TOML.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

#[track_caller]
fn says(door: &str, told: &str, reason: &str) {
    assert!(told.to_lowercase().contains(&reason.to_lowercase()), "{door}: “{told}”, and not “{reason}”");
}

#[actix_web::test]
async fn a_bad_condition_is_refused_with_its_place_and_reason() {
    let doors = Doors::open().await;
    for condition in [
        "statsu < 300",
        "status 300",
        "status < ",
        "status < 300ms",
        "time.total < 300",
        "cert.expires_in > 14y",
        "body.ms < 5ms",
        "body.status == ok",
        "body.status == 'ok",
        "(status < 300",
        "status < 300)",
        "status < 300 and",
        "body.a[*].b == 1",
        "used_memory < 1GB",
        "status < 1e999",
        "a\u{202e}b < 1",
        "status < 300 or status < 300 or status < 300 or status < 300 or status < 300 or (((((((((((((((((tls))))))))))))))))",
    ] {
        let fault = Condition::parse(condition, &Kind::Http.fields()).expect_err(condition);
        assert!(fault.at <= condition.chars().count() && !fault.reason.is_empty(), "{condition}");
        let reason = fault.to_string();
        let definition = json!({"target": {"kind": "http", "url": "https://a.example"}, "conditions": ["status < 300", condition]});
        let wanted = json!({"key": "a", "name": "A", "project": "default", "definition": definition});
        says("api", &doors.api("/api/v1/probes", wanted).await, &reason);
        let form = [
            ("kind", "http"),
            ("target.url", "https://a.example"),
            ("condition", "status < 300"),
            ("condition", condition),
            ("name", "A"),
            ("project", "default"),
            ("act", "save"),
        ];
        says("page", &doors.page("/probes/new", &form, "conditions").await, &reason);
        let file = format!(
            "[probes.a]\nproject = \"default\"\nkind = \"http\"\nurl = \"https://a.example\"\nconditions = [\n\
             \"status < 300\",\n{},\n]\n",
            quoted(condition)
        );
        says("file", &doors.file(&file, 7).await, &reason);
    }
}

#[actix_web::test]
async fn a_bad_crontab_is_refused_with_its_place_and_reason() {
    let doors = Doors::open().await;
    for cron in [
        "0 25 * * *",
        "60 * * * *",
        "* * * *",
        "* * * * * *",
        "0 0 30 2 *",
        "0 0 * * MON-XYZ",
        "*/0 * * * *",
        "1,,2 * * * *",
        "5-1 * * * *",
        "@sometimes",
        "soon",
        "-1 * * * *",
        "\u{663} * * * *",
    ] {
        let reason = Crontab::parse(cron, "UTC").expect_err(cron).to_string();
        let heartbeat = json!({"project": "default", "slug": "a", "cron": cron});
        says("api", &doors.api("/api/v1/heartbeats", heartbeat).await, &reason);
        let form = [("project", "default"), ("name", "A"), ("kind", "cron"), ("cron", cron), ("grace", "1h")];
        says("page", &doors.page("/heartbeats", &form, "cron").await, &reason);
        let file = format!("[heartbeats.a]\nproject = \"default\"\ncron = {}\n", quoted(cron));
        says("file", &doors.file(&file, 3).await, &reason);

        let plan = json!({"title": "Work", "project": "default", "schedule": cron, "duration": "1h"});
        says("api", &doors.api("/api/v1/maintenances", plan).await, &reason);
        let form = [
            ("project", "default"),
            ("title", "Work"),
            ("kind", "repeat"),
            ("cron", cron),
            ("duration", "1h"),
            ("zone", "UTC"),
        ];
        says("page", &doors.page("/maintenance", &form, "cron").await, &reason);
        let file = format!(
            "[maintenance.a]\ntitle = \"Work\"\nproject = \"default\"\nschedule = {}\nduration = \"1h\"\n\
             starts_at = 2026-12-01T02:00:00Z\n",
            quoted(cron)
        );
        says("file", &doors.file(&file, 4).await, &reason);
    }
}

#[actix_web::test]
async fn a_bad_address_is_refused_with_its_field_and_reason() {
    let doors = Doors::open().await;
    for url in [
        "ftp://a.example/",
        "a.example",
        "//a.example",
        "http://",
        "http://a b.example/",
        "https://user:word@a.example/",
        "https://a..example/",
        "https://-a.example/",
        "https://a.example:99999/",
        "https://a.example:0/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ] {
        let target = json!({"kind": "http", "url": url});
        let read: Target = serde_json::from_value(target.clone()).unwrap();
        let reason = read.check().expect_err(url).to_string();
        let (field, reason) = reason.split_once(": ").unwrap();
        assert_eq!(field, "url");
        let wanted = json!({"key": "a", "name": "A", "project": "default", "definition": {"target": target}});
        let told = doors.api("/api/v1/probes", wanted).await;
        says("api", &told, "url:");
        says("api", &told, reason);
        let form =
            [("kind", "http"), ("target.url", url), ("name", "A"), ("project", "default"), ("act", "save")];
        says("page", &doors.page("/probes/new", &form, "target.url").await, reason);
        let file = format!("[probes.a]\nproject = \"default\"\nkind = \"http\"\nurl = {}\n", quoted(url));
        says("file", &doors.file(&file, 4).await, reason);
    }
}
