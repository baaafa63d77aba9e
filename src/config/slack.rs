//! `[slack]`: where Slack is.

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[Key::new(
    "slack.api_url",
    Kind::Text,
    Some("https://slack.com/api"),
    "The base of Slack's Web API, for GovSlack or a stand-in.",
)];

#[derive(Clone, Debug)]
pub struct Slack {
    /// Without a slash at its end.
    pub api_url: String,
    /// Somebody chose it: its origin may be a private address.
    pub is_chosen: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    api_url: String,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Slack> {
    let raw: Raw = values.section("slack", problems)?;
    let parsed = reqwest::Url::parse(&raw.api_url);
    if !parsed.is_ok_and(|url| ["http", "https"].contains(&url.scheme())) {
        problems.push(values.problem("slack.api_url", "must be a URL that begins with https:// or http://"));
        return None;
    }
    let api_url = raw.api_url.trim_end_matches('/').to_owned();
    Some(Slack { api_url, is_chosen: !values.is_default("slack.api_url") })
}
