//! The real application in process, on port 0, with a clock that tests move.

mod peer;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use actix_web::web;
use serde_json::Value;
use tocsin::accounts::tokens::{self, NewToken};
use tocsin::accounts::{By, Error as AccountError};
use tocsin::app::{App, Surroundings};
use tocsin::base::{Clock, Entropy, Secret, Timestamp};
use tocsin::config::{Config, WebhookTarget};
use tocsin::http::AppState;
use tocsin::lifecycle::{Lifecycle, Signals, StopReason};
use tocsin::outbound::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use tocsin::outbound::{Client, Method, Options, Reach, Request, Response, Url};
use tocsin::store::ReadTx;

pub(crate) use peer::Peer;

pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// A running tocsin. [`House::stop`] stops it as a signal would.
pub(crate) struct House {
    pub(crate) state: web::Data<AppState>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    client: Client,
    lifecycle: Lifecycle,
    folder: tempfile::TempDir,
}

impl House {
    pub(crate) async fn open() -> House {
        Self::with(|_| ()).await
    }

    /// With a configuration of its own. Serves HTTP; background tasks run when a test says so.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> House {
        Self::build(change, false).await
    }

    /// As [`House::with`], and probes are asked as the clock moves.
    pub(crate) async fn asking(change: impl FnOnce(&mut Config)) -> House {
        Self::build(change, true).await
    }

    async fn build(change: impl FnOnce(&mut Config), asks: bool) -> House {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut config = Config::defaults().unwrap();
        config.server.listen = address;
        config.limits.http_threads = 1;
        change(&mut config);
        let clock = Clock::manual(START);
        let entropy = Entropy::seeded(7);
        let around = Surroundings {
            folder: folder.path(),
            config,
            clock: clock.clone(),
            entropy,
            sealing_key: [7; 32],
        };
        let app = App::build(around).await.unwrap();
        let lifecycle = Lifecycle::default();
        if asks {
            app.start_asking(&lifecycle);
        }
        app.serve(&lifecycle, listener).unwrap();
        let client = Client::new(&Options::default()).unwrap();
        House { state: app.state, clock, address, client, lifecycle, folder }
    }

    /// Runs a background task once, now.
    pub(crate) async fn run(&self, task: &str) -> String {
        let ran = self.state.engine.run_now(task).await.unwrap_or_else(|| panic!("there is no task {task}"));
        ran.unwrap_or_else(|error| panic!("{task} failed: {error}"))
    }

    /// An API token with these scopes.
    pub(crate) async fn token(&self, scopes: &str) -> String {
        let (by, entropy) = (By::command_line(self.clock.now()), self.state.entropy.clone());
        let new = NewToken { name: "test".to_owned(), scopes: scopes.parse().unwrap(), project: None };
        let write = self
            .state
            .store
            .write("test.token", move |tx| Ok::<_, AccountError>(tokens::create(tx, &by, &entropy, &new)?.1));
        write.await.unwrap().expose().to_owned()
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Response {
        let bearer = token.map(|token| (AUTHORIZATION, format!("Bearer {token}")));
        self.send(Method::GET, path, bearer, Vec::new()).await
    }

    /// A page as a browser with this cookie asks for it.
    pub(crate) async fn get_page(&self, path: &str, cookie: &str) -> Response {
        self.send(Method::GET, path, Some((COOKIE, cookie.to_owned())), Vec::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Method::POST, path, None, body.to_string().into_bytes()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        header: Option<(HeaderName, String)>,
        body: Vec<u8>,
    ) -> Response {
        let named = header.map(|(name, value)| (name, HeaderValue::from_str(&value).unwrap()));
        self.send_with(method, path, HeaderMap::from_iter(named), body).await
    }

    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Response {
        let url = Url::parse(&format!("http://{}{path}", self.address)).unwrap();
        let request = Request { method, url, headers, body, reach: Reach::Private, timeout: ANSWERED_WITHIN };
        self.client.send(request, self.clock.now()).await.unwrap()
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One number of one row.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.state
            .store
            .read(move |tx| tx.one(sql, [], |row| row.get(0)))
            .await
            .map_err(|error: tocsin::store::Error| error)
            .unwrap()
    }

    /// One text of one row.
    pub(crate) async fn text(&self, sql: &'static str) -> String {
        let read = |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
        self.state.store.read(read).await.map_err(|error: tocsin::store::Error| error).unwrap()
    }

    /// Waits until a part asks for the stop of the whole process.
    pub(crate) async fn asks_to_stop(&self) -> StopReason {
        self.lifecycle.wait(&mut Signals::none()).await
    }

    /// Begins the stop, and does not wait for it.
    pub(crate) fn begin_stop(&self) {
        self.lifecycle.stop(StopReason::Requested("the test is over"));
    }

    /// Stops and hands back what is left: the data folder.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.lifecycle.finish(&mut Signals::none(), ANSWERED_WITHIN).await;
        self.folder
    }
}

pub(crate) fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

/// A webhook channel of the environment.
pub(crate) fn ring_at(config: &mut Config, url: &str) {
    config.alerts.webhook = Some(WebhookTarget { url: Secret::new(url), signing_secret: None });
}
