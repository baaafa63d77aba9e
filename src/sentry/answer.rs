//! What SDKs are answered, as plain types and texts. SDKs read status and headers; people and proxies the rest.

use serde::Serialize;

use crate::base::EventId;

/// The body of a 200 on `/envelope/` and `/store/`: `{"id":"<32 hex>"}`, or `{}` for an envelope without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
}

/// The body of a 4xx or 5xx on a Sentry path. The same text stands in `X-Sentry-Error`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    pub detail: String,
}

/// What the GET form of `/store/` is answered with, because old browsers sent it as an image: one clear pixel.
pub const PIXEL_GIF: &[u8] = &[
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff,
    0xff, 0xff, 0x21, 0xf9, 0x04, 0x01, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x01, 0x00, 0x00, 0x02, 0x01, 0x44, 0x00, 0x3b,
];

/// The CORS headers of every answer on an ingest path, refusals included: without them a browser SDK sees neither
/// the reason nor the rate limits.
pub const CORS_HEADERS: [(&str, &str); 5] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, OPTIONS"),
    (
        "access-control-allow-headers",
        "x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, authentication, \
         authorization, content-encoding, transfer-encoding, sentry-trace, baggage",
    ),
    ("access-control-expose-headers", "x-sentry-error, x-sentry-rate-limits, retry-after"),
    ("access-control-max-age", "3600"),
];

/// A text fit for a header value: one line of visible ASCII, other characters as `?`.
pub fn header_text(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_shape_that_sdks_expect() {
        let id = EventId::parse("5066081E-73E4-44C1-870E-F13FAA7234AC");
        let json = |accepted| serde_json::to_string(&accepted).unwrap();
        assert_eq!(json(Accepted { id }), r#"{"id":"5066081e73e444c1870ef13faa7234ac"}"#);
        assert_eq!(json(Accepted { id: None }), "{}");
    }

    #[test]
    fn a_header_text_cannot_break_out_of_its_line() {
        assert_eq!(header_text("bad\r\nX-Evil: 1 ü"), "bad??X-Evil: 1 ?");
    }
}
