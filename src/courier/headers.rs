//! Which headers go on to the app: what the provider sent, without what belongs to the connection or proves who called,
//! and what tocsin and the destination say themselves.

use crate::base::Uid;
use crate::base::trace::Span;
use crate::outbound::header::{HeaderMap, HeaderName, HeaderValue};

/// tocsin's id of the delivery, the same with each attempt.
pub const DELIVERY_ID: HeaderName = HeaderName::from_static("tocsin-webhook-id");
/// The attempt, counted from 1.
pub const ATTEMPT: HeaderName = HeaderName::from_static("tocsin-webhook-attempt");

/// What belongs to one connection (RFC 9110 §7.6.1), to who reads the answer, or to a trace of the caller's own.
const LEFT_BEHIND: [&str; 21] = [
    "accept-encoding",
    "baggage",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "sentry-trace",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "cookie",
];

/// Copies what goes on of the headers that were received. `replaced` are those of the proof, in lower case.
pub(super) fn forwarded(received: &[(String, Vec<u8>)], replaced: &[String]) -> HeaderMap {
    let named = listed(received);
    let goes = |name: &str| {
        !LEFT_BEHIND.contains(&name)
            && !name.starts_with("tocsin-webhook-")
            && !replaced.iter().any(|known| known == name)
            && !named.iter().any(|known| known == name)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in received {
        let name = name.to_ascii_lowercase();
        if !goes(&name) {
            continue;
        }
        // What could not be sent as it came cannot have come by HTTP.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// Says which delivery and which attempt it is, and which trace leads back to it.
pub(super) fn mark(headers: &mut HeaderMap, delivery: Uid, attempt: u32, span: Span) {
    headers.insert(ATTEMPT, HeaderValue::from(attempt));
    for (name, value) in [
        (DELIVERY_ID, delivery.to_string()),
        (HeaderName::from_static("traceparent"), span.traceparent()),
        (HeaderName::from_static("sentry-trace"), span.sentry_trace()),
    ] {
        // All are hex digits and dashes.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// Headers that `Connection` names belong to the connection, too.
fn listed(received: &[(String, Vec<u8>)]) -> Vec<String> {
    received
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .filter_map(|(_, value)| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::TraceKey;

    fn received(headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_the_provider_says_goes_on_and_what_is_the_connections_stays() {
        let received = received(&[
            ("Content-Type", "application/json"),
            ("content-encoding", "gzip"),
            ("user-agent", "Stripe/1.0"),
            ("x-twice", "1"),
            ("x-twice", "2"),
            ("host", "tocsin.example.com"),
            ("content-length", "7"),
            ("Connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("stripe-signature", "t=1,v1=aa"),
            ("authorization", "Bearer secret"),
            ("traceparent", "00-…"),
            ("tocsin-webhook-id", "forged"),
        ]);
        let replaced = ["stripe-signature", "authorization"].map(str::to_owned);
        let headers = forwarded(&received, &replaced);
        let names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "content-encoding", "user-agent", "x-twice"]);
        assert_eq!(headers.get_all("x-twice").iter().count(), 2);
    }

    #[test]
    fn each_attempt_says_whose_it_is() {
        let mut headers = HeaderMap::new();
        let uid = Uid::from_bytes([7; 16]);
        mark(&mut headers, uid, 3, TraceKey::new([7; 32]).span(7, 3));
        assert_eq!(headers[DELIVERY_ID], uid.to_string());
        assert_eq!(headers[ATTEMPT], "3");
        assert!(headers.contains_key("traceparent") && headers.contains_key("sentry-trace"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_replaced_or_the_connections_goes_on(
            names in prop::collection::vec("[a-zA-Z-]{1,20}|host|HOST|Te|Authorization", 0..8),
        ) {
            let received: Vec<_> = names.iter().map(|name| (name.clone(), b"x".to_vec())).collect();
            let headers = forwarded(&received, &["authorization".to_owned()]);
            for name in headers.keys() {
                prop_assert!(!LEFT_BEHIND.contains(&name.as_str()) && name != "authorization");
            }
        }
    }
}
