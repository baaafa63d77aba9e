//! What every request carries: an id, and who really sent it.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, web};

use super::AppState;
use crate::base::text::clip;

/// The id of a request: the caller's `X-Request-Id` where it is a plain word, else one of ours.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Gives every request an id, answers with it, and counts the request with its duration.
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
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.call(request).await?;
    if let Some(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    if let Some(state) = state {
        let route = response.request().match_pattern();
        state.observed.request(route.as_deref(), response.status().as_u16(), began.elapsed());
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
    let peer = request.peer_addr()?.ip();
    if !state.config.http.trusts(peer) {
        return Some(peer);
    }
    let forwarded =
        request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok()).unwrap_or("");
    let hops = forwarded.rsplit(',').filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
    hops.into_iter().find(|hop| !state.config.http.trusts(*hop)).or(Some(peer))
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
