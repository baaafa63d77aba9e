//! Deploys, as providers report them: so that what changed is known without a line in a pipeline.

use serde::Deserialize;

use super::content::Content;
use crate::base::Timestamp;
use crate::base::text::{clip, is_hidden};
use crate::webhooks::pointer::Pointer;

/// Which events are deploys that succeeded, and where the rest stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRule {
    /// The type of the event.
    pub event_type: String,
    /// What must be so besides; nothing where the type says it all.
    #[serde(default)]
    pub when: Option<Equals>,
    /// The first of these that is there.
    pub release: Vec<Pointer>,
    pub environment: Vec<Pointer>,
    /// Where the provider names none.
    pub environment_else: String,
    pub url: Vec<Pointer>,
    /// RFC 3339, or seconds or milliseconds since 1970.
    pub at: Vec<Pointer>,
}

/// A single value of a body that must be this text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equals {
    pub pointer: Pointer,
    pub value: String,
}

/// A deploy that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployMark {
    /// The commit, mostly. At most [`CHARS_MAX`] characters, as the environment.
    pub release: String,
    pub environment: String,
    /// Begins with `https://` or `http://`, at most [`URL_CHARS_MAX`] characters.
    pub url: Option<String>,
    pub at: Option<Timestamp>,
}

pub const CHARS_MAX: usize = 200;
pub const URL_CHARS_MAX: usize = 1000;
/// As seconds this lies beyond the year 5000, as milliseconds in 1973.
const SECONDS_MAX: i64 = 100_000_000_000;

impl DeployRule {
    /// The deploy that an event reports; `None` where it reports none, or no release.
    pub fn mark(&self, event_type: &str, content: &Content<'_>) -> Option<DeployMark> {
        if event_type != self.event_type || self.when.as_ref().is_some_and(|when| !when.holds(content)) {
            return None;
        }
        let text = |pointers: &[Pointer]| pointers.iter().find_map(|pointer| content.text(pointer));
        let line = |pointers: &[Pointer]| text(pointers).and_then(|text| line(&text));
        Some(DeployMark {
            release: line(&self.release)?,
            environment: line(&self.environment).unwrap_or_else(|| self.environment_else.clone()),
            url: text(&self.url).and_then(|text| web(&text)),
            at: text(&self.at).and_then(|text| time(&text)),
        })
    }
}

impl DeployRule {
    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let lists = [&self.release, &self.environment, &self.url, &self.at].into_iter().flatten();
        lists.chain(self.when.iter().map(|when| &when.pointer))
    }
}

impl Equals {
    pub fn holds(&self, content: &Content<'_>) -> bool {
        content.text(&self.pointer).as_deref() == Some(self.value.as_str())
    }
}

fn line(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fit = !text.is_empty() && !text.chars().any(is_hidden);
    is_fit.then(|| clip(text, CHARS_MAX).into_owned())
}

/// Vercel names hosts without `https://`.
fn web(text: &str) -> Option<String> {
    let is_whole = text.starts_with("https://") || text.starts_with("http://");
    let url = if is_whole { text.to_owned() } else { format!("https://{text}") };
    let is_fit =
        !url.chars().any(|c| is_hidden(c) || c.is_whitespace()) && (is_whole || !text.contains("://"));
    (is_fit && url.chars().count() <= URL_CHARS_MAX).then_some(url)
}

fn time(text: &str) -> Option<Timestamp> {
    let at = match text.parse::<i64>() {
        Ok(number) if number >= SECONDS_MAX => Timestamp::from_micros(number.saturating_mul(1000)),
        Ok(number) => Timestamp::from_secs(number),
        Err(_) => Timestamp::parse_rfc3339(text)?,
    };
    (Timestamp::EPOCH..=Timestamp::MAX).contains(&at).then_some(at)
}
