//! What is asked wrongly is refused with a reason that a person can read, through the whole application.

use serde_json::json;
use tocsin::outbound::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use tocsin::outbound::{Method, Response};

use super::support::{House, json};

impl House {
    async fn send_json(&self, method: Method, path: &str, token: &str, body: Vec<u8>) -> Response {
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        self.send_with(method, path, HeaderMap::from_iter([(AUTHORIZATION, bearer)]), body).await
    }
}

fn refused(response: &Response, status: u16, words: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.headers["content-type"], "application/problem+json");
    let body = json(response);
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail:?} has no {words:?}");
    assert!(detail.starts_with(|first: char| first.is_uppercase() || first == '`'), "{detail}");
    assert!(detail.ends_with('.'), "{detail}");
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_is_refused_with_its_reason() {
    let house = House::open().await;
    let token = house.token("admin").await;
    let cursor = "`cursor` is none of ours";
    for (path, words) in [
        ("/issues?query=colour:red", "`query` does not know colour:"),
        ("/issues?query=is:gone", "`query` does not know is:gone"),
        ("/issues?query=level:loud", "It knows is: (unresolved,"),
        ("/issues?status=gone", "`status` is one of unresolved, resolved, ignored."),
        ("/issues?sort=name", "`sort` is one of last_seen"),
        ("/issues?limit=0", "`limit` is a number from 1 to 100."),
        ("/issues?limit=101", "`limit` is a number from 1 to 100."),
        ("/incidents?limit=many", "`limit` is a number from 1 to 100."),
        ("/issues?cursor=x", cursor),
        ("/incidents?cursor=x", cursor),
        ("/deliveries?cursor=x", cursor),
        ("/silences?cursor=x", cursor),
        ("/projects?cursor=x", cursor),
        ("/incidents?state=gone", "`state` is one of open,"),
        ("/deliveries?state=gone", "`state` is one of waiting,"),
        ("/outcomes?since=yesterday", "`since` is a time such as"),
    ] {
        let answer = house.get(&format!("/api/v1{path}"), Some(&token)).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        refused(&answer, 400, words);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_or_broken_is_refused_with_its_reason() {
    let house = House::open().await;
    let token = house.token("admin").await;
    let (silences, post) = ("/api/v1/silences", Method::POST);
    let large = json!({ "reason": "x".repeat(1 << 20), "hours": 2 }).to_string().into_bytes();
    let answer = house.send_json(post.clone(), silences, &token, large.clone()).await;
    refused(&answer, 413, "larger than 1048576 bytes");
    let answer = house.send_json(Method::PATCH, "/api/v1/issues/any", &token, large).await;
    refused(&answer, 413, "larger than 1048576 bytes");
    let answer = house.send_json(post.clone(), silences, &token, b"{\"hours\":".to_vec()).await;
    refused(&answer, 400, "The body does not fit: EOF");
    let answer = house.send_json(post, silences, &token, b"{\"hours\":2}".to_vec()).await;
    refused(&answer, 400, "Say in `reason` why it is silenced");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large_or_none_is_refused_with_its_reason() {
    let house = House::open().await;
    let send = async |media: &'static str, accept: &'static str, body: Vec<u8>| {
        let headers = [(CONTENT_TYPE, media), (ACCEPT, accept)]
            .map(|(name, value)| (name, HeaderValue::from_static(value)));
        house.send_with(Method::POST, "/sign-in", HeaderMap::from_iter(headers), body).await
    };
    let (form, large) = ("application/x-www-form-urlencoded", format!("email={}", "x".repeat(300_000)));
    let page = send(form, "text/html", large.clone().into_bytes()).await;
    assert_eq!(page.status, 413);
    assert!(
        page.text().contains("<html") && page.text().contains("larger than 8192 bytes"),
        "{}",
        page.text()
    );
    let answer = send(form, "*/*", large.into_bytes()).await;
    assert_eq!(answer.status, 413);
    assert!(
        json(&answer)["detail"].as_str().unwrap().contains("larger than 8192 bytes"),
        "{}",
        answer.text()
    );
    let answer = send("application/json", "*/*", b"{}".to_vec()).await;
    assert_eq!(answer.status, 400);
    assert!(json(&answer)["detail"].as_str().unwrap().starts_with("The form cannot be read"));
    house.stop().await;
}
