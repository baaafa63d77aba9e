//! Speaks to the demo's server as an SDK, an application and a script do.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::base::{Clock, Secret};
use crate::outbound::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::outbound::{self, Error, Method, Reach, Request, Response, Url};

/// A busy machine; whoever is killed does not answer at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The way into a project.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) project: i64,
    pub(super) public_key: String,
}

/// One pool of connections to the server.
#[derive(Clone)]
pub(super) struct Client {
    http: outbound::Client,
    base: Url,
    clock: Clock,
    token: Secret,
}

impl Client {
    /// `token` opens the JSON API.
    pub(super) fn new(address: SocketAddr, clock: Clock, token: Secret) -> anyhow::Result<Self> {
        let http = outbound::Client::new(&outbound::Options::default())?;
        Ok(Self { http, base: Url::parse(&format!("http://{address}/"))?, clock, token })
    }

    /// Sends one event in an envelope. An error means that no complete answer came: nobody knows whether it counts.
    pub(super) async fn event(&self, door: &Door, event: &Value) -> Result<Response, Error> {
        let payload = event.to_string();
        let header = json!({ "event_id": event["event_id"] });
        let item = json!({ "type": "event", "length": payload.len() });
        let body = format!("{header}\n{item}\n{payload}\n");
        let path = format!("/api/{}/envelope/?sentry_version=7&sentry_key={}", door.project, door.public_key);
        self.send(Method::POST, &path, "application/x-sentry-envelope", body).await
    }

    /// As [`Client::event`], where the server must take it.
    pub(super) async fn accept(&self, door: &Door, event: &Value) -> anyhow::Result<()> {
        succeeded(&self.event(door, event).await?)
    }

    /// Posts to a door for applications without an SDK, such as `metrics` or `deploys`.
    pub(super) async fn report(&self, door: &Door, what: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("/api/v1/{what}?sentry_key={}", door.public_key);
        succeeded(&self.send(Method::POST, &path, "application/json", body.to_string()).await?)
    }

    /// Presses the button of a page, as a browser does.
    pub(super) async fn press(&self, path: &str) -> anyhow::Result<()> {
        let sent = self.send(Method::POST, path, "application/x-www-form-urlencoded", String::new()).await?;
        if matches!(sent.status, 200 | 303) { Ok(()) } else { succeeded(&sent) }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.send(Method::GET, path, "application/json", String::new()).await?;
        succeeded(&answer)?;
        serde_json::from_slice(&answer.body).with_context(|| format!("{path} did not answer in JSON"))
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        succeeded(&self.send(Method::PATCH, path, "application/json", body.to_string()).await?)
    }

    pub(super) async fn is_ready(&self) -> bool {
        let answer = self.send(Method::GET, "/health/ready", "application/json", String::new()).await;
        answer.is_ok_and(|answer| answer.is_success())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &'static str,
        body: String,
    ) -> Result<Response, Error> {
        let url =
            self.base.join(path).map_err(|_| Error::BadUrl("this path cannot be part of an address"))?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        let bearer = HeaderValue::try_from(format!("Bearer {}", self.token.expose()));
        // Senders show their own key; a token beside it would be a second opinion.
        if let Some(bearer) = bearer.ok().filter(|_| !path.contains("sentry_key=")) {
            headers.insert(AUTHORIZATION, bearer);
        }
        let body = body.into_bytes();
        let request = Request { method, url, headers, body, reach: Reach::Private, timeout: ANSWER_WITHIN };
        self.http.send(request, self.clock.now()).await
    }
}

fn succeeded(answer: &Response) -> anyhow::Result<()> {
    if answer.is_success() {
        return Ok(());
    }
    bail!("the server of the demo answered {}: {}", answer.status, answer.text())
}
