//! Every scheme of every provider: what was published about it, what it refuses, and what always holds.

mod properties;
mod refusals;
mod twilio;
mod vectors;
mod writing;

use super::*;
use crate::webhooks::providers;
use crate::webhooks::scheme::hmac::Key;

/// A call that can be changed.
#[derive(Clone, Debug)]
struct Given {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

const URL: &str = "https://hooks.example.com/hooks/shop?a=1";
const AT: Timestamp = Timestamp::from_secs(1_700_000_000);
/// Holds the time that some schemes look for in the body.
const BODY: &[u8] = br#"{"id":"evt_1","webhookTimestamp":1700000000000}"#;

impl Given {
    fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self {
            method: "POST".to_owned(),
            url: URL.to_owned(),
            headers: headers.collect(),
            body: body.to_vec(),
        }
    }

    /// As `scheme` signs it.
    fn signed(scheme: &Scheme, secret: &Secret, content_type: &str, body: &[u8]) -> Self {
        let url = scheme.outgoing_url(URL, Some(content_type), body).into_owned();
        let out = Outgoing {
            method: "POST",
            url: &url,
            id: "msg_1",
            content_type: Some(content_type),
            body,
            at: AT,
        };
        let written = scheme.sign(&out, secret).unwrap();
        let headers = written.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let content_type = ("Content-Type".to_owned(), content_type.as_bytes().to_vec());
        let headers = std::iter::once(content_type).chain(headers).collect();
        Self { url, headers, ..Self::new(&[], body) }
    }

    fn verify(&self, scheme: &Scheme, secrets: &[Secret], now: Timestamp) -> Result<Verified, Refusal> {
        let headers: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let call = Call { method: &self.method, url: &self.url, headers: &headers, body: &self.body };
        scheme.verify(&call, secrets, now)
    }

    /// The word of the refusal, or `ok`.
    fn word(&self, scheme: &Scheme, secrets: &[Secret], now: Timestamp) -> &'static str {
        self.verify(scheme, secrets, now).map_or_else(|refusal| refusal.as_str(), |_| "ok")
    }

    /// The same with the values of every header but the content type changed.
    fn with_values(mut self, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        for (_, value) in self.headers.iter_mut().skip(1) {
            *value = change(value);
        }
        self
    }
}

fn scheme_of(provider: &str) -> &'static Scheme {
    &providers::find(provider).unwrap().scheme
}

/// All that ask for something, with a name for messages.
fn all() -> Vec<(String, &'static Scheme)> {
    let named = |provider: &'static providers::Provider| {
        provider.schemes().map(|(when, scheme)| (format!("{} {}", provider.id, when.unwrap_or("")), scheme))
    };
    providers::all().iter().flat_map(named).filter(|(_, scheme)| scheme.needs_secret()).collect()
}

/// A secret in the form that the scheme asks for.
fn secret(scheme: &Scheme, seed: &str) -> Secret {
    use base64::Engine as _;
    let is_base64 = matches!(scheme, Scheme::Hmac(hmac) if matches!(hmac.key, Key::Base64(_)));
    let encoded = base64::engine::general_purpose::STANDARD.encode(seed);
    Secret::new(if is_base64 { format!("whsec_{encoded}") } else { seed.to_owned() })
}
