//! Show-it 2: each alarm arrives as promised, by mail, Slack and webhook, whatever the other side answers.

mod channels;
mod mail;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, Api},
    events::{accept, event, event_id},
    server::{Project, Server, Setup},
    wait_until,
};

/// The first message: the commit, one wake of the worker, one call.
const SOON: Duration = Duration::from_secs(15);
/// Retries back off; several of them and a time-out fit in here.
const AFTER_RETRIES: Duration = Duration::from_secs(100);

/// Where people reach tocsin: messages carry links only when that is not this machine alone.
const BASE_URL: &str = "https://tocsin.example";

/// The policy of production, in seconds instead of minutes.
const SHORT_POLICY: &[(&str, &str)] = &[
    ("TOCSIN_BASE_URL", BASE_URL),
    ("TOCSIN_ALERTS__RING_AGAIN_AFTER_S", "3"),
    ("TOCSIN_ALERTS__RING_NEXT_CHANNEL_AFTER_S", "6"),
    ("TOCSIN_ALERTS__RING_EVERY_S", "3"),
    ("TOCSIN_INCIDENTS__HOLD_S", "1"),
];

/// A policy that never rings twice within a test: what arrives is the first message and its retries.
const ONE_RING: &[(&str, &str)] = &[("TOCSIN_BASE_URL", BASE_URL)];

/// A server with channels, a project in trouble, and its incident.
struct Stage {
    server: Server,
    api: Api,
    project: Project,
}

impl Stage {
    fn new(policy: &[(&str, &str)], channels: &[(String, String)]) -> Stage {
        let mut setup = Setup::with(policy);
        setup.settings.extend_from_slice(channels);
        let server = Server::start(setup);
        let (api, project) = (server.api(), server.project("shop"));
        Stage { server, api, project }
    }

    /// A critical error: rings at once, also on a project's first day.
    fn break_payment(&self) {
        accept(&self.server.stranger(), &self.project, &event(&event_id(), "Payment", "fatal"));
    }

    fn resolve_issues(&self) {
        for issue in self.api.list(&format!("/api/v1/issues?project={}", self.project.slug)) {
            let path = format!("/api/v1/issues/{}", issue["id"].as_str().expect("an issue has an id"));
            self.api.write(Method::PATCH, &path, &json!({"status": "resolved"}));
        }
    }

    /// The one incident of the project.
    fn incident(&self) -> Value {
        let all = self.api.list("/api/v1/incidents");
        let own: Vec<Value> =
            all.into_iter().filter(|one| one["project"] == self.project.slug.as_str()).collect();
        assert_eq!(own.len(), 1, "{own:?}");
        own[0].clone()
    }

    /// The deliveries of the project's incident through this kind of channel, oldest first.
    fn deliveries(&self, channel: &str) -> Vec<Value> {
        let incident = self.incident()["id"].clone();
        let mut all: Vec<Value> = self
            .api
            .list("/api/v1/deliveries")
            .into_iter()
            .filter(|delivery| delivery["incident_id"] == incident)
            .filter(|delivery| delivery["channel"].to_string().to_lowercase().contains(channel))
            .collect();
        all.sort_by_key(|delivery| delivery["id"].as_str().unwrap_or_default().to_owned());
        all
    }

    /// Waits until the first delivery through the channel is in this state.
    #[track_caller]
    fn first_delivery(&self, channel: &str, state: &str, deadline: Duration) -> Value {
        wait_until(&format!("the first {channel} delivery is {state}"), deadline, || {
            self.deliveries(channel).into_iter().next().filter(|delivery| delivery["state"] == state)
        })
    }

    /// The first message on a channel that refused it for good: believed only when it goes on to, so it waits.
    fn refused_delivery(&self, channel: &str) -> Value {
        wait_until(&format!("the first {channel} delivery was refused"), SOON, || {
            let first = self.deliveries(channel).into_iter().next();
            first.filter(|delivery| delivery["state"] == "pending" && delivery["last_error"].is_string())
        })
    }

    /// Opens or acts on a path of the public pages as a browser does behind the base URL: from a page with
    /// `no-referrer` it sends no origin.
    fn browse(&self, method: Method, path: &str, form: &[(String, String)]) -> Answer {
        let body: Vec<String> =
            form.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "null"),
            ("host", BASE_URL.trim_start_matches("https://")),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = if method == Method::GET { &headers[2..] } else { &headers[..] };
        self.server
            .stranger()
            .send(method, path, headers, body.join("&").into_bytes())
            .expect("a page answers")
    }
}

fn setting(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn quoted(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The path of the one acknowledge link in a message.
#[track_caller]
fn acknowledge_path(message: &str) -> String {
    let start = format!("{BASE_URL}/ack/");
    let at = message.find(&start).unwrap_or_else(|| panic!("no acknowledge link in: {message}"));
    let link: String =
        message[at..].chars().take_while(|c| !c.is_whitespace() && !"\"'<>)|".contains(*c)).collect();
    link.trim_start_matches(BASE_URL).to_owned()
}

/// Name and value of the hidden fields of a page's forms.
fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let start = tag.find(&format!("{name}=\""))? + name.len() + 2;
        tag[start..].split('"').next().map(str::to_owned)
    };
    page.split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

#[test]
fn the_link_and_the_fields_of_its_form_are_read() {
    assert_eq!(acknowledge_path("Ring? https://tocsin.example/ack/a.b-c\nBye"), "/ack/a.b-c");
    assert_eq!(acknowledge_path("<https://tocsin.example/ack/x|Acknowledge>"), "/ack/x");
    let page = "<form><input type=\"hidden\" name=\"csrf\" value=\"t\"><input name=\"who\"></form>";
    assert_eq!(hidden_fields(page), [("csrf".to_owned(), "t".to_owned())]);
}
