//! Targets over HTTP.

use std::collections::BTreeMap;

use super::{refused, web_address};
use crate::outbound::{Method, header};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::{BODY_KB_MAX, Http};

/// Longest URL that servers commonly take.
const URL_BYTES_MAX: usize = 2048;
/// Chains that are longer are loops; browsers give up after twenty.
const REDIRECTS_MAX: u8 = 10;
/// Headers of one request.
const HEADERS_MAX: usize = 30;
/// All headers together; servers commonly take 8 KiB, and secrets may be longer than what stands for them.
const HEADERS_BYTES_MAX: usize = 8 * 1024;
/// What is sent with every run.
const BODY_BYTES_MAX: usize = 64 * 1024;

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
/// Set by the client itself, or about the connection instead of the request.
const OWN_HEADERS: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check(target: &Http) -> Result<(), Invalid> {
    url(&target.url)?;
    if !METHODS.iter().any(|method| method.as_str() == target.method) {
        let known = METHODS.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        return Err(refused("method", format!("use one of {known}, in capitals")));
    }
    headers(&target.headers)?;
    if target.body.as_ref().is_some_and(|body| body.len() > BODY_BYTES_MAX) {
        return Err(refused("body", format!("send at most {} KiB", BODY_BYTES_MAX / 1024)));
    }
    if target.redirects > REDIRECTS_MAX {
        return Err(refused("redirects", format!("follow at most {REDIRECTS_MAX}")));
    }
    if !(1..=BODY_KB_MAX).contains(&target.body_kb) {
        return Err(refused("body_kb", format!("read 1 to {BODY_KB_MAX} KiB of the answer")));
    }
    Ok(())
}

fn url(text: &str) -> Result<(), Invalid> {
    if text.len() > URL_BYTES_MAX {
        return Err(refused("url", format!("use at most {URL_BYTES_MAX} characters")));
    }
    let url = web_address("url", &with_stand_ins(text), "https://example.com/health")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refused("url", "begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let cure = "take the user name and password out, and send the header `authorization` with a `{{key}}` instead";
        return Err(refused("url", cure));
    }
    if url.port() == Some(0) {
        return Err(refused("url", "use a port from 1 to 65535"));
    }
    Ok(())
}

fn headers(headers: &BTreeMap<String, String>) -> Result<(), Invalid> {
    if headers.len() > HEADERS_MAX {
        return Err(refused("headers", format!("send at most {HEADERS_MAX}")));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(refused("headers", format!("send at most {} KiB together", HEADERS_BYTES_MAX / 1024)));
    }
    let mut seen = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let read = header::HeaderName::from_bytes(name.as_bytes());
        let Ok(read) = read else {
            return Err(refused(
                "headers",
                format!("“{name}” is no name of a header: use letters, digits and -"),
            ));
        };
        if OWN_HEADERS.contains(&read.as_str()) {
            return Err(refused("headers", format!("“{name}” is set by tocsin itself: take it out")));
        }
        if header::HeaderValue::from_str(&with_stand_ins(value)).is_err() {
            let reason = format!(
                "the value of “{name}” holds a line break or another character that no header can carry"
            );
            return Err(refused("headers", reason));
        }
        if seen.contains(&read) {
            return Err(refused("headers", format!("“{name}” stands twice: capitals make no other name")));
        }
        seen.push(read);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(field: &str, value: Value) -> Option<String> {
        let mut target = json!({"url": "https://example.com/"});
        target[field] = value;
        check(&serde_json::from_value(target).unwrap()).err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn what_can_be_asked_is_taken() {
        for url in [
            "https://example.com/health?key={{key}}",
            "http://[2001:db8::1]:8080/",
            "http://bücher.example/",
            "http://127.0.0.1:1/",
            "https://{{project}}.supabase.co/rest/v1/",
        ] {
            assert_eq!(said("url", json!(url)), None, "{url}");
        }
        assert_eq!(said("headers", json!({"Authorization": "Bearer {{key}}", "host": "app.example"})), None);
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_field() {
        let cases = [
            ("url", json!("example.com"), "url: "),
            ("url", json!("ftp://example.com/"), "url: begin with https://"),
            ("url", json!("https://user:secret@example.com/"), "url: take the user name"),
            ("url", json!("https://example.com:0/"), "url: use a port"),
            ("url", json!("https:///"), "url: "),
            ("url", json!("https://a b/"), "url: "),
            ("url", json!("https://-bad-..x/"), "url: “-bad-..x” is no name and no address"),
            ("url", json!("https://example.com/a\r\nb"), "url: it holds a line break"),
            ("url", json!("https://example.com/\n"), "url: it holds a line break"),
            ("url", json!(format!("https://x.example/{}", "a".repeat(2048))), "url: use at most"),
            ("method", json!("get"), "method: use one of GET"),
            ("method", json!("CONNECT"), "method: use one of GET"),
            ("headers", json!({"a b": "c"}), "headers: “a b” is no name"),
            ("headers", json!({"Content-Length": "5"}), "headers: “Content-Length” is set by tocsin"),
            ("headers", json!({"x": "a\r\nb: c"}), "headers: the value of “x”"),
            ("headers", json!({"x-a": "1", "X-A": "2"}), "headers: “x-a” stands twice"),
            ("headers", json!({"x": "a".repeat(9000)}), "headers: send at most 8 KiB"),
            ("body", json!("a".repeat(65_537)), "body: send at most 64 KiB"),
            ("redirects", json!(11), "redirects: follow at most 10"),
            ("body_kb", json!(0), "body_kb: read 1 to 1024"),
            ("body_kb", json!(1025), "body_kb: read 1 to 1024"),
        ];
        for (field, value, says) in cases {
            let told = said(field, value.clone()).unwrap_or_else(|| panic!("{value} was taken"));
            assert!(told.starts_with(says), "{value}: {told}");
        }
    }
}
