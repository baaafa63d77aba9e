//! Buckets: one list of what lies below a prefix, over the S3 protocol.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, header};
use percent_encoding::percent_decode_str;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};

use super::http::Conversation;
use super::question::{Looking, With};
use super::wire::{Encryption, Wire};
use crate::base::Timestamp;
use crate::outbound::Url;
use crate::probes::condition::Value;
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::S3;

/// Of a page of the list: a thousand objects take some 300 kB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// More are not in one answer.
const PAGE_OBJECTS_MAX: usize = 1000;
/// Of the list. A larger one is no place to look for the newest object every minute.
const PAGES_MAX: usize = 20;
/// How long a signed address is good; clocks that differ by more are refused by S3 as well.
const SIGNED_FOR: Duration = Duration::from_mins(15);
/// Of an error that is repeated in an alarm.
const REASON_CHARS_MAX: usize = 200;

pub(super) async fn ask(target: &S3, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let mut listed = Listed::default();
    for _ in 0..PAGES_MAX {
        let url = signed(target, looking.now, listed.next.as_deref())?;
        let wire = open(&url, with, looking).await?;
        let text = get(&url, wire, looking).await?;
        let page = read_list(&text)
            .ok_or_else(|| looking.failed("the answer is no list of objects: is this an S3 server?"))?;
        listed.go_on(page);
        if listed.next.is_none() {
            break;
        }
    }
    state(listed, looking);
    Ok(())
}

fn state(listed: Listed, looking: &mut Looking) {
    #[expect(clippy::cast_precision_loss, reason = "at most some thousand")]
    looking.facts.set("objects", Value::plain(listed.count as f64));
    let more = if listed.is_cut { " or more" } else { "" };
    looking.sample.lines.push(("objects".to_owned(), format!("{}{more}", listed.count)));
    if listed.is_cut {
        let why = format!(
            "more than {} objects lie there, and they are listed by name: set `prefix` to where the new ones lie",
            listed.count
        );
        looking.facts.cannot_tell("newest_object.age", why);
    } else if let Some((at, key)) = listed.newest {
        #[expect(clippy::cast_precision_loss, reason = "exact to a microsecond for 285 years")]
        let age = (looking.now.as_micros() - at.as_micros()) as f64 / 1e6;
        looking.facts.set("newest_object.age", Value::seconds(age));
        looking.sample.lines.push(("newest".to_owned(), format!("{key}, {}", at.to_rfc3339())));
    }
}

/// The request as an address that is good for a while from `now` on; `after`: for the page behind another.
fn signed(target: &S3, now: Timestamp, after: Option<&str>) -> Result<Url, Failed> {
    let bad = |error: String| Failed::setup(format!("endpoint: {error}"));
    let endpoint = Url::parse(&target.endpoint).map_err(|error| bad(error.to_string()))?;
    let style = if target.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
    let bucket = Bucket::new(endpoint, style, target.bucket.clone(), target.region.clone())
        .map_err(|error| bad(error.to_string()))?;
    let credentials = Credentials::new(target.access_key.clone(), target.secret_key.clone());
    let mut list = bucket.list_objects_v2(Some(&credentials));
    list.with_max_keys(PAGE_OBJECTS_MAX);
    if !target.prefix.is_empty() {
        list.with_prefix(target.prefix.as_str());
    }
    if let Some(after) = after {
        list.with_continuation_token(after);
    }
    let now =
        now.to_rfc3339().parse().map_err(|_| Failed::setup("the clock of this machine shows no date"))?;
    Ok(list.sign_with_time(SIGNED_FOR, &now))
}

async fn open(url: &Url, with: With<'_>, looking: &mut Looking) -> Result<Wire, Failed> {
    let host = url.host_str().ok_or_else(|| Failed::setup("endpoint: it names no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let (encryption, usual_port) =
        if url.scheme() == "https" { (Encryption::Tls, 443) } else { (Encryption::None, 80) };
    let port = url.port().unwrap_or(usual_port);
    let trust = with.trust.for_http();
    Wire::open((host, port), encryption, With { trust: &trust, ..with }, looking).await
}

/// The body of a good answer. An error of S3 is a failure, with its code.
async fn get(url: &Url, wire: Wire, looking: &mut Looking) -> Result<String, Failed> {
    let began = Conversation::begin(wire, request(url)?).await;
    add(&mut looking.phases.answer, looking.marks.answer_time());
    let mut conversation = began?;
    let status = conversation.response.status();
    looking.phase = Phase::Transfer;
    looking.facts.set("status", Value::plain(f64::from(status.as_u16())));
    looking.sample.head = format!("HTTP/1.1 {status}");
    let text = read(&mut conversation, looking).await?;
    add(&mut looking.phases.transfer, looking.marks.transfer_time());
    looking.phase = Phase::Answer;
    if status.is_success() {
        return Ok(text);
    }
    let said = match (element(&text, "Code"), element(&text, "Message")) {
        (Some(code), Some(message)) => format!("{status}: {code}: {message}"),
        (Some(code), None) => format!("{status}: {code}"),
        (None, _) => status.to_string(),
    };
    looking.sample.body = text;
    Err(looking.failed(looking.quote(&said, REASON_CHARS_MAX)))
}

/// Every page is an answer; it took as long as all of them.
fn add(phase: &mut Option<Duration>, time: Option<Duration>) {
    if let Some(time) = time {
        *phase = Some(phase.unwrap_or_default() + time);
    }
}

fn request(url: &Url) -> Result<Request<Full<Bytes>>, Failed> {
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    let request = Request::get(target).header(header::HOST, host).header(header::USER_AGENT, "tocsin");
    request.body(Full::default()).map_err(|error| Failed::setup(format!("endpoint: {error}")))
}

async fn read(conversation: &mut Conversation, looking: &Looking) -> Result<String, Failed> {
    let mut body = Vec::new();
    while let Some(chunk) = conversation.next_chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(looking.failed("the answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What a list, or a page of it, comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    count: usize,
    newest: Option<(Timestamp, String)>,
    /// There is more than was listed.
    is_cut: bool,
    /// By which the next page is asked for.
    next: Option<String>,
}

impl Listed {
    /// Goes on with the next page.
    fn go_on(&mut self, page: Self) {
        self.count += page.count;
        self.take_newest(page.newest);
        (self.is_cut, self.next) = (page.is_cut, page.next);
    }

    fn take_newest(&mut self, other: Option<(Timestamp, String)>) {
        let known = self.newest.as_ref().map(|(at, _)| *at);
        if other.as_ref().is_some_and(|(at, _)| known.is_none_or(|known| *at > known)) {
            self.newest = other;
        }
    }
}

/// Reads only what is asked about: the servers that speak this protocol differ in everything else, also in the
/// namespace. `None` where it is no list.
fn read_list(xml: &str) -> Option<Listed> {
    if !xml.contains("<ListBucketResult") {
        return None;
    }
    let mut listed = Listed::default();
    for object in xml.split("<Contents>").skip(1) {
        listed.count += 1;
        let Some(at) = element(object, "LastModified").and_then(Timestamp::parse_rfc3339) else { continue };
        let key = element(object, "Key").unwrap_or_default().replace('+', " ");
        listed.take_newest(Some((at, percent_decode_str(&key).decode_utf8_lossy().into_owned())));
    }
    listed.is_cut = element(xml, "IsTruncated") == Some("true");
    let next = element(xml, "NextContinuationToken").filter(|token| listed.is_cut && !token.is_empty());
    listed.next = next.map(|token| token.replace("&quot;", "\"").replace("&amp;", "&"));
    Some(listed)
}

/// The text of the first element of this name.
fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, after) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = after.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_an_error_is_found() {
        let xml = "<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>It is not there.</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("NoSuchBucket"));
        assert_eq!(element(xml, "Message"), Some("It is not there."));
        assert_eq!(element(xml, "Key"), None);
    }

    #[test]
    fn a_list_is_counted_and_its_newest_object_found() {
        let object = |key: &str, at: &str| {
            format!("<Contents><Key>{key}</Key><LastModified>{at}</LastModified><Size>1</Size></Contents>")
        };
        let xml = format!(
            "<ListBucketResult xmlns='x'>{}{}{}</ListBucketResult>",
            object("a", "2026-01-01T00:00:00.000Z"),
            object("b+c%2Bd", "2026-01-03T00:00:00Z"),
            object("e", "never"),
        );
        let listed = read_list(&xml).unwrap();
        assert_eq!(listed.count, 3);
        assert_eq!(listed.newest.unwrap().1, "b c+d");
        assert_eq!(read_list("<ListBucketResult/>"), Some(Listed::default()));
        assert_eq!(read_list("<html>"), None);
    }

    #[test]
    fn a_bucket_is_named_in_the_path_or_the_host() {
        let target = |path_style: bool| S3 {
            endpoint: "https://s3.example.com:9000".to_owned(),
            bucket: "shop".to_owned(),
            region: "eu-1".to_owned(),
            access_key: "AKIA".to_owned(),
            secret_key: "secret/key".to_owned(),
            prefix: "daily/".to_owned(),
            path_style,
        };
        let now = Timestamp::parse_rfc3339("2026-11-21T23:00:00Z").unwrap();
        let url = signed(&target(true), now, None).unwrap();
        assert_eq!((url.host_str(), url.path()), (Some("s3.example.com"), "/shop/"));
        assert!(url.query().unwrap().contains("prefix=daily%2F"), "{url}");
        assert!(url.query().unwrap().contains("X-Amz-Date=20261121T230000Z"), "{url}");
        assert!(!url.as_str().contains("secret"), "{url}");
        assert_eq!(signed(&target(false), now, None).unwrap().host_str(), Some("shop.s3.example.com"));
    }
}
