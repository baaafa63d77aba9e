//! What a source and a destination may be: said at save, with the field and the cure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{destination, providers, secrets, source};
use crate::base::nearest::nearest;
use crate::base::text::line;
use crate::base::{Owner, span};
use crate::outbound::header::{HeaderName, HeaderValue};
use crate::outbound::{Reach, Url, check_literal};

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    pub field: &'static str,
    pub reason: String,
}

pub(super) const NAME_CHARS_MAX: usize = 100;
const LABELS_MAX: usize = 20;
const LABEL_CHARS_MAX: usize = 100;
const RUNBOOK_CHARS_MAX: usize = 500;
const URL_CHARS_MAX: usize = 2_000;
/// Of an event's id: several values together name an event where none does alone.
const EVENT_ID_PARTS_MAX: usize = 5;
/// An answer is a word to a machine.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// GitHub's are the largest that are known, at most 25 MB.
const BODY_BYTES: RangeInclusive<usize> = 1024..=25 * 1024 * 1024;
const SILENT_AFTER: RangeInclusive<Duration> = Duration::from_mins(5)..=Duration::from_hours(24 * 90);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(2);
const CONCURRENCY: RangeInclusive<u16> = 1..=100;
const PER_SECOND: RangeInclusive<u16> = 1..=1_000;
const RETRY_FIRST: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
const RETRY_AT_MOST: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
/// Longer than any provider tries by itself.
const GIVE_UP_AFTER: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 14);
const HEADERS_MAX: usize = 20;
const HEADER_BYTES_MAX: usize = 2_000;
/// What a delivery says by itself.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
];

impl Invalid {
    pub(super) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

impl source::Definition {
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        check_provider(&self.provider)?;
        if let Some(url) = &self.url {
            let parsed = address("url", url)?;
            if parsed.query().is_some() || parsed.fragment().is_some() {
                let reason = "leave out what stands behind a “?” or “#”: it is taken from each call";
                return Err(Invalid::new("url", reason));
            }
        }
        if self.event_id.len() > EVENT_ID_PARTS_MAX {
            return Err(Invalid::new("event_id", format!("name at most {EVENT_ID_PARTS_MAX} places")));
        }
        self.rules()?;
        self.answer.as_ref().map_or(Ok(()), check_answer)?;
        if let Some(bytes) = self.body_bytes_max.filter(|bytes| !BODY_BYTES.contains(bytes)) {
            let (least, most) = (BODY_BYTES.start(), BODY_BYTES.end());
            let reason = format!("{bytes} is not between {least} and {most} bytes");
            return Err(Invalid::new("body_bytes_max", reason));
        }
        self.silent_after.map_or(Ok(()), |after| within("silent_after", after, &SILENT_AFTER))?;
        check_words(self.runbook.as_deref(), self.environment.as_deref(), &self.labels)
    }
}

impl destination::Definition {
    /// `owner` says how far it may reach: a destination of the page leads into the public internet.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self, owner: Owner) -> Result<(), Invalid> {
        let url = address("url", &self.url)?;
        if url.fragment().is_some() {
            return Err(Invalid::new("url", "leave out what stands behind the “#”: no server is told it"));
        }
        if owner == Owner::Page {
            check_reach(&url)?;
        }
        self.signed_url.as_ref().map_or(Ok(()), |url| address("signed_url", url).map(drop))?;
        check_headers(&self.headers)?;
        within("timeout", self.timeout, &TIMEOUT)?;
        number("concurrency", self.concurrency, &CONCURRENCY)?;
        self.per_second.map_or(Ok(()), |pace| number("per_second", pace, &PER_SECOND))?;
        within("retry.first", self.retry.first, &RETRY_FIRST)?;
        within("retry.at_most", self.retry.at_most, &RETRY_AT_MOST)?;
        within("retry.give_up_after", self.retry.give_up_after, &GIVE_UP_AFTER)?;
        if self.retry.at_most < self.retry.first {
            return Err(Invalid::new("retry.at_most", "it is shorter than the first wait: make it longer"));
        }
        Ok(())
    }

    /// Whom its secrets are told: another place is not told those that were entered for this one.
    pub(super) fn place(&self) -> String {
        let origin = |url: Url| url.origin().ascii_serialization();
        Url::parse(&self.url).map_or_else(|_| self.url.clone(), origin)
    }
}

/// An address that can be dialled, without a user in it.
fn address(field: &'static str, text: &str) -> Result<Url, Invalid> {
    let wrong = |reason: &str| Err(Invalid::new(field, reason));
    if text.len() > URL_CHARS_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("an address has at most 2000 characters and no spaces");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("this is no address: it looks like https://app.example.com/webhooks/stripe");
    };
    if !matches!(url.scheme(), "https" | "http") {
        return wrong("an address begins with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "leave the user and the password out of the address: send them as a header with a secret",
        );
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(url),
        Some(_) | None => wrong("the address names no host"),
    }
}

fn check_reach(url: &Url) -> Result<(), Invalid> {
    let host = url.host_str().unwrap_or_default();
    check_literal(host, Reach::Public).map_err(|_| {
        let reason = format!(
            "{host} is on this machine, in a private network or reserved: a destination made on the page or by the API \
             leads into the public internet; name one here in a file (`tocsin apply`)"
        );
        Invalid::new("url", reason)
    })
}

fn check_provider(id: &str) -> Result<(), Invalid> {
    if providers::find(id).is_some() {
        return Ok(());
    }
    let near = nearest(id, providers::all().iter().map(|provider| provider.id.as_str()));
    let meant = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
    let cure = "use generic for one that is not known by name";
    Err(Invalid::new("provider", format!("there is no provider “{id}”{meant}; {cure}")))
}

fn check_answer(answer: &source::Answer) -> Result<(), Invalid> {
    if !(200..=299).contains(&answer.status) {
        let reason = "the status of an answer is 200 to 299: with any other the provider sends again";
        return Err(Invalid::new("answer.status", reason));
    }
    if answer.body.len() > ANSWER_BYTES_MAX {
        return Err(Invalid::new("answer.body", format!("at most {ANSWER_BYTES_MAX} bytes")));
    }
    let is_type = answer.content_type.len() <= 100 && HeaderValue::from_str(&answer.content_type).is_ok();
    if !is_type {
        return Err(Invalid::new("answer.content_type", "it looks like text/xml or application/json"));
    }
    Ok(())
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Invalid> {
    let wrong = |reason: String| Err(Invalid::new("headers", reason));
    if headers.len() > HEADERS_MAX {
        return wrong(format!("at most {HEADERS_MAX} headers"));
    }
    for (name, value) in headers {
        let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
            return wrong(format!("“{name}” is no name of a header"));
        };
        let is_own = parsed.as_str().starts_with("tocsin-");
        if is_own || RESERVED.contains(&parsed.as_str()) {
            return wrong(format!("{name} is set by tocsin itself: leave it out"));
        }
        if value.len() > HEADER_BYTES_MAX || HeaderValue::from_str(value).is_err() {
            return wrong(format!("the value of {name} has at most {HEADER_BYTES_MAX} visible characters"));
        }
    }
    Ok(())
}

fn check_words(
    runbook: Option<&str>,
    environment: Option<&str>,
    labels: &BTreeMap<String, String>,
) -> Result<(), Invalid> {
    let leads = |runbook: &str| {
        (runbook.starts_with("https://") || runbook.starts_with("http://"))
            && line("runbook", runbook, RUNBOOK_CHARS_MAX).is_ok()
    };
    if !runbook.is_none_or(leads) {
        let reason = "an address of at most 500 characters that begins with https:// or http://";
        return Err(Invalid::new("runbook", reason));
    }
    let fits = |text: &str| line("label", text, LABEL_CHARS_MAX).is_ok();
    if !environment.is_none_or(fits) {
        return Err(Invalid::new("environment", "1 to 100 visible characters"));
    }
    if labels.len() > LABELS_MAX || !labels.iter().all(|(name, value)| fits(name) && fits(value)) {
        let reason = "at most 20 labels, each with a name and a value of at most 100 characters";
        return Err(Invalid::new("labels", reason));
    }
    Ok(())
}

fn within(field: &'static str, value: Duration, bounds: &RangeInclusive<Duration>) -> Result<(), Invalid> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = (span::format(*bounds.start()), span::format(*bounds.end()));
    Err(Invalid::new(field, format!("{} is not between {least} and {most}", span::format(value))))
}

fn number(field: &'static str, value: u16, bounds: &RangeInclusive<u16>) -> Result<(), Invalid> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is not between {} and {}", bounds.start(), bounds.end())))
}

/// The names of the secrets that a destination asks for.
pub(super) fn names(definition: &destination::Definition) -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        definition.headers.values().flat_map(|value| secrets::names(value)).collect();
    if definition.sign == destination::Sign::Own {
        names.insert(secrets::SIGNING.to_owned());
    }
    names
}
