//! A small blocking HTTP client for tocsin's API, over reqwest on a runtime of its own.

use std::{net::SocketAddr, sync::Once, time::Duration};

use reqwest::{Client, Method, header::HeaderMap, redirect::Policy};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

/// Beyond every promise of an answer; a hanging request fails its test instead of the run.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Shorter than any server keeps an idle connection: between two calls of a test nobody would notice its end, and the
/// next request would be lost on it.
const IDLE_MAX: Duration = Duration::from_secs(2);
/// Lists are read to their end; no suite makes more pages than this.
const PAGES_MAX: usize = 1000;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} is no JSON ({error}): {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// One client: one connection pool, one thread at a time.
pub(crate) struct Api {
    runtime: Runtime,
    client: Client,
    base: String,
    token: Option<String>,
}

impl Api {
    pub(crate) fn stranger(address: SocketAddr) -> Api {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let client = Client::builder().timeout(ANSWER_WITHIN).pool_idle_timeout(IDLE_MAX);
        let client = client.redirect(Policy::none()).no_proxy();
        Api {
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime can be built"),
            client: client.build().expect("a client can be built"),
            base: format!("http://{address}"),
            token: None,
        }
    }

    pub(crate) fn with_token(address: SocketAddr, token: &str) -> Api {
        Api { token: Some(token.to_owned()), ..Api::stranger(address) }
    }

    /// Where it asks: `address:port`.
    pub(crate) fn host(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Sends anything; an error means that no complete answer came.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
        })
    }

    pub(crate) fn try_get(&self, path: &str) -> Option<Answer> {
        self.send(Method::GET, path, &[], Vec::new()).ok()
    }

    /// The JSON of a GET that must succeed.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.try_get(path).unwrap_or_else(|| panic!("no answer to GET {path}"));
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
        answer.json()
    }

    /// All items of a list, page after page.
    #[track_caller]
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = self.get(&format!("{path}{joint}limit=100{cursor}"));
            items.extend(page["items"].as_array().unwrap_or_else(|| panic!("no items in {page}")).clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
        panic!("{path} does not end after {PAGES_MAX} pages");
    }

    /// Sends JSON that must be accepted, and reads the answer (null when it is empty).
    #[track_caller]
    pub(crate) fn write(&self, method: Method, path: &str, body: &Value) -> Value {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let answer = self.send(method, path, &headers, body.to_string().into_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("no answer to {path}: {error}"));
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }
}
