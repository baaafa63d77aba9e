//! What is asked, and what a redirect makes of it.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use crate::outbound::Url;
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::Http;

const USER_AGENT: &str = concat!("tocsin/", env!("CARGO_PKG_VERSION"));

/// Headers that say nothing about who asks. All others were meant for one server and stay with it: any of them may hold
/// a key.
const HARMLESS: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
];

/// One request, its secrets in their places.
#[derive(Debug)]
pub(super) struct Request {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    /// # Errors
    /// What the check at save could not see: what secrets made of the target.
    pub(super) fn of(target: &Http) -> Result<Self, Failed> {
        let url = Url::parse(&target.url).map_err(|error| Failed::setup(format!("url: {error}")))?;
        let method = Method::from_bytes(target.method.as_bytes())
            .map_err(|_| Failed::setup("method: no method of HTTP".to_owned()))?;
        let mut headers = HeaderMap::with_capacity(target.headers.len() + 4);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in &target.headers {
            let read = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value));
            let (Ok(read_name), Ok(value)) = read else {
                return Err(Failed::setup(format!("headers: “{name}” cannot be sent as it is")));
            };
            headers.insert(read_name, value);
        }
        let body = Bytes::from(target.body.clone().unwrap_or_default());
        let request = Self { url, method, headers, body };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), Failed> {
        let is_http = matches!(self.url.scheme(), "http" | "https");
        let is_anonymous = self.url.username().is_empty() && self.url.password().is_none();
        match (is_http, is_anonymous) {
            (true, true) => Ok(()),
            (false, _) => Err(Failed::setup("url: begin with https:// or http://".to_owned())),
            (true, false) => Err(Failed::setup(
                "url: a name and password belong into the header `authorization`".to_owned(),
            )),
        }
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Without the query, where secrets travel.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}{}", self.url.scheme(), self.authority(), self.url.path())
    }

    /// The host with the port, where it is not the usual one.
    fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// As it goes over the connection.
    pub(super) fn to_hyper(&self) -> Result<hyper::Request<Full<Bytes>>, Failed> {
        let unfit = || Failed::setup(format!("{} cannot be asked for", self.shown()));
        let mut path = self.url.path().to_owned();
        if let Some(query) = self.url.query() {
            path.push('?');
            path.push_str(query);
        }
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| unfit())?;
        let mut headers = self.headers.clone();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, HeaderValue::from_str(&self.authority()).map_err(|_| unfit())?);
        }
        // Some servers and proxies refuse what could have a body and tells no length.
        let may_carry = matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        if may_carry && self.body.is_empty() && !headers.contains_key(header::CONTENT_LENGTH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // What comes is shown and judged as it is, and one question is all that is asked.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The request that an answer sends it to; `None`: the answer is the last word.
    ///
    /// # Errors
    /// Where it is sent to a place that is never asked.
    pub(super) fn redirected(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, Failed> {
        let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let Some(location) = headers.get(header::LOCATION).filter(|_| is_redirect) else { return Ok(None) };
        let failed =
            |reason: &str| Failed { phase: Phase::Answer, reason: reason.to_owned(), may_be_ours: false };
        let mut url = std::str::from_utf8(location.as_bytes())
            .ok()
            .and_then(|location| self.url.join(location).ok())
            .filter(Url::has_host)
            .ok_or_else(|| failed("redirected to something that is no address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("redirected to something other than http:// or https://"));
        }
        url.set_fragment(None);
        // Whoever redirects may not sign in for us. Both only fail where there is no host.
        url.set_username("").ok();
        url.set_password(None).ok();
        let is_elsewhere = url.origin() != self.url.origin();
        let mut next =
            Self { url, method: self.method.clone(), headers: self.headers.clone(), body: self.body.clone() };
        next.become_get_after(status);
        if is_elsewhere && !next.body.is_empty() {
            // The body was meant for the first server.
            return Ok(None);
        }
        if is_elsewhere {
            next.headers =
                self.headers.iter().filter(|(name, _)| HARMLESS.contains(name)).map(owned).collect();
        }
        Ok(Some(next))
    }

    /// As browsers do (RFC 9110 §15.4).
    fn become_get_after(&mut self, status: StatusCode) {
        let becomes_get = match status.as_u16() {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            self.headers.remove(header::CONTENT_TYPE);
        }
    }
}

fn owned((name, value): (&HeaderName, &HeaderValue)) -> (HeaderName, HeaderValue) {
    (name.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(mut target: serde_json::Value, method: &str) -> Request {
        target["method"] = json!(method);
        Request::of(&serde_json::from_value(target).unwrap()).unwrap()
    }

    fn sent(target: serde_json::Value, method: &str, status: u16, location: &str) -> Option<Request> {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, HeaderValue::from_str(location).unwrap());
        request(target, method).redirected(StatusCode::from_u16(status).unwrap(), &headers).unwrap()
    }

    #[test]
    fn the_host_is_named_as_servers_expect_it() {
        for (url, host, path) in [
            ("https://Bücher.example/a?b=c#d", "xn--bcher-kva.example", "/a?b=c"),
            ("http://[::1]:8080", "[::1]:8080", "/"),
            ("http://x.example:80/", "x.example", "/"),
            ("https://x.example:80/ü|{}", "x.example:80", "/%C3%BC|%7B%7D"),
        ] {
            let built = request(json!({"url": url}), "GET").to_hyper().unwrap();
            assert_eq!(built.headers()[header::HOST], host, "{url}");
            assert_eq!(built.uri(), path, "{url}");
            assert_eq!(built.headers()[header::USER_AGENT], USER_AGENT);
        }
        let own = json!({"url": "http://127.0.0.1/", "headers": {"Host": "app.example", "user-agent": "x"}});
        let built = request(own, "GET").to_hyper().unwrap();
        assert_eq!(built.headers()[header::HOST], "app.example");
        assert_eq!(built.headers()[header::USER_AGENT], "x");
    }

    #[test]
    fn keys_stay_with_the_server_that_they_are_for() {
        let target = json!({
            "url": "https://a.example/x", "headers": {"authorization": "k", "cookie": "k", "x-api-key": "k", "accept": "text/plain", "host": "b"},
        });
        let near = sent(target.clone(), "GET", 302, "/y?z").unwrap();
        assert_eq!((near.shown().as_str(), near.headers.len()), ("https://a.example/y", 6));
        for away in
            ["https://b.example/", "http://a.example/x", "//a.example:8443/", "https://u:p@b.example/"]
        {
            let next = sent(target.clone(), "GET", 302, away).unwrap();
            let kept: Vec<&str> = next.headers.keys().map(HeaderName::as_str).collect();
            assert_eq!(kept, ["accept", "user-agent"], "{away}");
            assert!(next.url.username().is_empty() && next.url.password().is_none());
        }
    }

    #[test]
    fn the_method_and_the_body_change_as_in_browsers() {
        let target =
            json!({"url": "https://a.example/", "body": "x", "headers": {"content-type": "text/plain"}});
        for (method, status, becomes, body) in [
            ("POST", 301, "GET", ""),
            ("POST", 302, "GET", ""),
            ("POST", 303, "GET", ""),
            ("PUT", 302, "PUT", "x"),
            ("POST", 307, "POST", "x"),
            ("HEAD", 303, "HEAD", "x"),
        ] {
            let next = sent(target.clone(), method, status, "/y").unwrap();
            assert_eq!(
                (next.method.as_str(), next.body.as_ref()),
                (becomes, body.as_bytes()),
                "{method} {status}"
            );
        }
        assert!(sent(target.clone(), "POST", 307, "https://b.example/").is_none());
        assert!(sent(target.clone(), "POST", 200, "/y").is_none());
        let mut headers = HeaderMap::new();
        assert!(request(target.clone(), "GET").redirected(StatusCode::FOUND, &headers).unwrap().is_none());
        for bad in ["ftp://x.example/", "javascript:alert(1)", "http://", "file:///etc/passwd"] {
            headers.insert(header::LOCATION, HeaderValue::from_static(bad));
            let failed = request(target.clone(), "GET").redirected(StatusCode::FOUND, &headers).unwrap_err();
            assert!(failed.reason.starts_with("redirected to something"), "{bad}: {failed}");
        }
    }

    #[test]
    fn what_a_secret_made_of_the_target_is_refused_before_anything_is_dialled() {
        for target in [
            json!({"url": "file:///etc/passwd"}),
            json!({"url": "https://a:b@c.example/"}),
            json!({"url": "nonsense"}),
            json!({"url": "https://c.example/", "headers": {"x": "a\r\nb: c"}}),
        ] {
            let failed = Request::of(&serde_json::from_value(target.clone()).unwrap()).unwrap_err();
            assert_eq!(failed.phase, Phase::Setup, "{target}");
        }
    }
}
