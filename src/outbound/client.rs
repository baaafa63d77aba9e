use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use super::address::{Reach, classify};
use super::error::Error;
use super::resolve::{CheckedResolver, NoAddress, literal};
use super::retry_after::retry_after;
use super::tls::{self, TlsError};
use crate::base::Timestamp;

/// How much of an answer is read: enough for any API's verdict, too little to hurt.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// A peer that takes longer to open a connection is down for an alarm's purposes.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are kept this long: alarms come in bursts.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections kept per host, unless whoever calls much says more.
const IDLE_MAX: usize = 2;

/// The HTTP client. Cheap to clone; clones share connections.
///
/// Two pools, one per [`Reach`], so that a connection opened for the operator's private target is never reused
/// for a stranger's.
#[derive(Clone, Debug)]
pub struct Client {
    public: reqwest::Client,
    private: reqwest::Client,
}

/// What the operator may set.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// PEM text of certificate authorities trusted beside the Mozilla roots.
    pub authorities: Option<Vec<u8>>,
    /// Idle connections kept per host; 2 where nothing is said.
    pub idle_max: Option<usize>,
}

/// One call. `headers` are sent as they are; `User-Agent`, and the length where the body is empty, are added.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub reach: Reach,
    /// For everything from the name look-up to the last byte.
    pub timeout: Duration,
}

/// An answer, whatever its status; redirects are answers too.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// At most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
    /// More came than was read.
    pub truncated: bool,
    pub retry_after: Option<Duration>,
}

impl Client {
    pub fn new(options: &Options) -> Result<Self, TlsError> {
        tls::install_crypto_provider();
        let build = |reach| {
            let tls = tls::client_config(options.authorities.as_deref())?;
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .dns_resolver(CheckedResolver { reach })
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .pool_max_idle_per_host(options.idle_max.unwrap_or(IDLE_MAX))
                .build()
                .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))
        };
        Ok(Self { public: build(Reach::Public)?, private: build(Reach::Private)? })
    }

    /// Makes one call, without retries. `now` dates a `Retry-After`.
    ///
    /// # Errors
    /// Only where no answer came; see [`Error::is_permanent`].
    pub async fn send(&self, request: Request, now: Timestamp) -> Result<Response, Error> {
        let Request { method, url, mut headers, body, reach, timeout } = request;
        check(&url, reach)?;
        let client = match reach {
            Reach::Public => &self.public,
            Reach::Private => &self.private,
        };
        if body.is_empty() && method == Method::POST {
            // A proxy that speaks HTTP/1.0 behind it, as nginx does by default, passes on a length or none.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let sending = client.request(method, url.clone()).headers(headers).body(body).timeout(timeout).send();
        let response = sending.await.map_err(|error| Error::from_reqwest(&error, &url))?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let asked = headers.get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|value| retry_after(value, now));
        let (body, truncated) = read(response, &url).await?;
        Ok(Response { status, headers, body, truncated, retry_after })
    }
}

impl Response {
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The body as text, damaged characters replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What can be refused before any dial. The `url` crate has already turned `0x7f.1` and `2130706433` into
/// `127.0.0.1`; a literal address never reaches the resolver, so it is judged here.
fn check(url: &Url, reach: Reach) -> Result<(), Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::BadUrl("the address must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::BadUrl("the address must not hold a user name or password"));
    }
    let host = url.host_str().ok_or(Error::BadUrl("the address names no host"))?;
    match literal(host) {
        Some(address) if !classify(address).is_within(reach) => {
            Err(Error::NoAddress(NoAddress::Forbidden { host: host.to_owned(), address, reach }))
        }
        Some(_) | None => Ok(()),
    }
}

async fn read(mut response: reqwest::Response, url: &Url) -> Result<(Vec<u8>, bool), Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::from_reqwest(&error, url))? {
        let room = BODY_BYTES_MAX - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

#[cfg(test)]
mod tests;
