//! What every request carries: an id, and who really sent it.

use std::net::{IpAddr, SocketAddr};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};
use tracing::Instrument as _;

use super::AppState;
use crate::base::text::clip;
use crate::config::Http;

/// The id of a request: the caller's `X-Request-Id` where it is a plain word, else one of ours.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Gives every request an id, answers with it, names it in every log line of its work, and counts the request with
/// its duration.
pub async fn identify(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let state = request.app_data::<web::Data<AppState>>().cloned();
    let began = std::time::Instant::now();
    let given =
        request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| is_plain(id));
    let id = match (given, &state) {
        (Some(id), _) => id.to_owned(),
        (None, Some(state)) => format!("{:016x}", state.entropy.next_u64()),
        (None, None) => String::new(),
    };
    let header = HeaderValue::from_str(&id).ok();
    let span = tracing::info_span!("request", request_id = %id);
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.call(request).instrument(span).await?;
    if let Some(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    if let Some(state) = state {
        let route = response.request().match_pattern();
        state.observed.request(route.as_deref(), response.status().as_u16(), began.elapsed());
    }
    Ok(response)
}

/// Answers HEAD wherever GET is answered, with the same headers (RFC 9110, section 9.3.2): the server sends no body.
pub async fn head_as_get(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_head = request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
    }
    let response = next.call(request).await?.map_into_boxed_body();
    // A body whose end is not known may have none: nobody would wait for it.
    if is_head && response.response().body().size() == BodySize::Stream {
        return Ok(response.map_body(|_, _| BoxBody::new(())));
    }
    Ok(response)
}

fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !id.is_empty() && id.len() <= REQUEST_ID_CHARS_MAX && id.bytes().all(plain)
}

/// The id that [`identify`] gave.
pub fn request_id(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The sender's address: the connection's, or the last untrusted one of `X-Forwarded-For` behind trusted proxies.
pub fn client_address(request: &HttpRequest, state: &AppState) -> Option<IpAddr> {
    Some(Chain::of(request, &state.config.http)?.sender)
}

/// Whether a request was sent on this machine, and not merely passed on by a proxy that runs here. Where others reach
/// tocsin under its base URL a proxy may stand before it and say nothing of that, so no request is known to be from here.
pub fn is_local(request: &HttpRequest, state: &AppState) -> bool {
    state.base_url.is_loopback()
        && Chain::of(request, &state.config.http).is_some_and(|chain| chain.is_local(request))
}

const FORWARDED_FOR: &str = "x-forwarded-for";
/// What proxies add to a request that they pass on.
const FORWARDING: [&str; 6] =
    [FORWARDED_FOR, "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via"];

/// Where a request came from, as far as trusted proxies tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chain {
    sender: IpAddr,
    /// Whether a trusted proxy named the sender.
    told: bool,
}

impl Chain {
    /// Reads the hops from the last to the first, as long as whoever wrote one is trusted.
    fn of(request: &HttpRequest, http: &Http) -> Option<Self> {
        let mut sender = request.peer_addr()?.ip().to_canonical();
        let lines: Vec<&str> =
            request.headers().get_all(FORWARDED_FOR).map(|line| line.to_str().unwrap_or_default()).collect();
        let mut told = false;
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !http.trusts(sender) {
                break;
            }
            let Some(address) = hop_address(hop.trim()) else {
                return Some(Self { sender, told: false });
            };
            (sender, told) = (address, true);
        }
        Some(Self { sender, told })
    }

    fn is_local(self, request: &HttpRequest) -> bool {
        let passed_on = FORWARDING.iter().any(|name| request.headers().contains_key(*name));
        self.sender.is_loopback() && (self.told || !passed_on)
    }
}

/// An address as proxies write it: some add the port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address| address.to_canonical())
}

/// Whether the browser speaks HTTPS to us or to a trusted proxy before us.
pub fn is_https(request: &HttpRequest, state: &AppState) -> bool {
    let proxied = request.peer_addr().is_some_and(|peer| state.config.http.trusts(peer.ip()));
    let forwarded = request.headers().get("x-forwarded-proto").is_some_and(|value| value == "https");
    state.base_url.is_https() || (proxied && forwarded)
}

/// The browser's name for itself, cut.
pub fn user_agent(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get("user-agent")?.to_str().ok()?;
    Some(clip(value, 200).into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(peer: &str, headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let request = TestRequest::default().peer_addr(peer);
        headers.iter().fold(request, |request, header| request.append_header(*header)).to_http_request()
    }

    fn trusting(proxies: &[&str]) -> Http {
        Http { trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect() }
    }

    #[test]
    fn the_sender_is_the_last_hop_that_no_trusted_proxy_wrote_for_itself() {
        let http = trusting(&["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);
        for (peer, lines, sender) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("127.0.0.1", &[], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("127.0.0.1", &["1.1.1.1", "198.51.100.7", "10.0.0.2,10.0.0.3"], "198.51.100.7"),
            ("127.0.0.1", &["198.51.100.7", "10.0.0.2"], "198.51.100.7"),
            ("127.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("127.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", &["1.1.1.1, , 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", &["1.1.1.1", "\u{e4}"], "127.0.0.1"),
            ("127.0.0.1", &[""], "127.0.0.1"),
            ("127.0.0.1", &["198.51.100.7:51234"], "198.51.100.7"),
            ("127.0.0.1", &["[2001:db8::7]:51234"], "2001:db8::7"),
            ("fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
            ("::ffff:127.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ] {
            let headers: Vec<_> = lines.iter().map(|line| (FORWARDED_FOR, *line)).collect();
            let chain = Chain::of(&request(peer, &headers), &http).unwrap();
            assert_eq!(chain.sender.to_string(), sender, "{peer} {lines:?}");
        }
    }

    #[test]
    fn only_what_was_sent_here_is_local() {
        let (none, here) = (trusting(&[]), trusting(&["127.0.0.1"]));
        for (http, peer, headers, expected) in [
            (&none, "127.0.0.1", &[][..], true),
            (&none, "::1", &[], true),
            (&none, "::ffff:127.0.0.1", &[], true),
            (&none, "192.0.2.1", &[], false),
            (&none, "127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], false),
            (&none, "127.0.0.1", &[("x-forwarded-for", "198.51.100.7")], false),
            (&none, "127.0.0.1", &[("x-forwarded-proto", "https")], false),
            (&none, "127.0.0.1", &[("x-real-ip", "198.51.100.7")], false),
            (&none, "127.0.0.1", &[("forwarded", "for=198.51.100.7")], false),
            (&none, "127.0.0.1", &[("via", "1.1 proxy")], false),
            (&here, "127.0.0.1", &[], true),
            (&here, "127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], true),
            (&here, "127.0.0.1", &[("x-forwarded-for", "198.51.100.7")], false),
            (&here, "127.0.0.1", &[("x-forwarded-for", "unknown")], false),
            (&here, "127.0.0.1", &[("x-forwarded-proto", "https")], false),
            (&here, "192.0.2.1", &[("x-forwarded-for", "127.0.0.1")], false),
        ] {
            let request = request(peer, headers);
            let chain = Chain::of(&request, http).unwrap();
            assert_eq!(chain.is_local(&request), expected, "{peer} {headers:?}");
        }
    }
}
