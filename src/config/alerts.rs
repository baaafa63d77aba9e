//! `[alerts]`: whom to ring before anybody set up a channel on the page, and how persistently.

use std::time::Duration;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;
use crate::base::Secret;

/// A day: whoever waits longer for the next ring wants none.
const RING_SECONDS_MAX: i64 = 86_400;

/// News that is older than this is none.
const GATHER_SECONDS_MAX: i64 = 600;

pub(super) const KEYS: &[Key] = &[
    Key::new("alerts.email", Kind::List, Some(""), "Addresses that alarms are mailed to. Needs `smtp.host`."),
    Key::new("alerts.slack_webhook_url", Kind::Secret, None, "A Slack incoming webhook."),
    Key::new(
        "alerts.slack_bot_token",
        Kind::Secret,
        None,
        "A Slack bot token (`xoxb-…`) with scope `chat:write`; keeps an incident in one thread. Needs `alerts.slack_channel`.",
    ),
    Key::new(
        "alerts.slack_channel",
        Kind::Text,
        None,
        "The channel for the bot: its id, or its name with `#`.",
    ),
    Key::new("alerts.webhook_url", Kind::Secret, None, "A URL that alarms are posted to as JSON."),
    Key::new(
        "alerts.webhook_secret",
        Kind::Secret,
        None,
        "Signs what is posted to the webhook (Standard Webhooks, `whsec_…`). Unset: not signed.",
    ),
    Key::new(
        "alerts.gather_s",
        Kind::Whole { min: 0, max: GATHER_SECONDS_MAX },
        Some("30"),
        "Further signs of the same trouble that do not ring by themselves are told together, this long after the first of them. 0: each at once.",
    ),
    Key::new(
        "alerts.ring_again_after_s",
        Kind::Whole { min: 1, max: RING_SECONDS_MAX },
        Some("300"),
        "An unacknowledged critical incident rings again after this long.",
    ),
    Key::new(
        "alerts.ring_next_channel_after_s",
        Kind::Whole { min: 1, max: RING_SECONDS_MAX },
        Some("600"),
        "… and on the next channel as well after this long.",
    ),
    Key::new(
        "alerts.ring_every_s",
        Kind::Whole { min: 1, max: RING_SECONDS_MAX },
        Some("1800"),
        "… and from then on this often, until somebody acknowledges.",
    ),
];

/// Channels of the environment and the policy of ringing again.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Empty: no mail.
    pub email: Vec<String>,
    pub slack: Option<SlackTarget>,
    pub webhook: Option<WebhookTarget>,
    /// Zero: each sign is told at once.
    pub gather: Duration,
    pub ring_again_after: Duration,
    pub ring_next_channel_after: Duration,
    pub ring_every: Duration,
}

/// One of Slack's two ways in. With both configured the bot is taken: only it can thread.
#[derive(Clone, Debug)]
pub enum SlackTarget {
    Webhook { url: Secret },
    Bot { token: Secret, channel: String },
}

#[derive(Clone, Debug)]
pub struct WebhookTarget {
    pub url: Secret,
    pub signing_secret: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    email: Vec<String>,
    slack_webhook_url: Option<Secret>,
    slack_bot_token: Option<Secret>,
    slack_channel: Option<String>,
    webhook_url: Option<Secret>,
    webhook_secret: Option<Secret>,
    gather_s: u64,
    ring_again_after_s: u64,
    ring_next_channel_after_s: u64,
    ring_every_s: u64,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Alerts> {
    let raw: Raw = values.section("alerts", problems)?;
    for address in raw.email.iter().filter(|address| !is_address(address)) {
        problems.push(values.problem("alerts.email", format!("holds `{address}`, which is no mail address")));
    }
    let urls =
        [("alerts.slack_webhook_url", &raw.slack_webhook_url), ("alerts.webhook_url", &raw.webhook_url)];
    for (name, url) in urls {
        if let Some(why) = url.as_ref().and_then(|url| fault_of(url.expose())) {
            problems.push(values.problem(name, why));
        }
    }
    if raw.ring_next_channel_after_s < raw.ring_again_after_s {
        let why = "must not be shorter than alerts.ring_again_after_s";
        problems.push(values.problem("alerts.ring_next_channel_after_s", why));
    }
    if raw.webhook_secret.is_some() && raw.webhook_url.is_none() {
        problems.push(values.problem("alerts.webhook_secret", "needs alerts.webhook_url beside it"));
    }
    let slack = match (raw.slack_bot_token, raw.slack_channel, raw.slack_webhook_url) {
        (Some(token), Some(channel), _) => Some(SlackTarget::Bot { token, channel }),
        (Some(_), None, _) => {
            let why = "needs alerts.slack_channel beside it: the channel to post to";
            problems.push(values.problem("alerts.slack_bot_token", why));
            None
        }
        (None, _, Some(url)) => Some(SlackTarget::Webhook { url }),
        (None, _, None) => None,
    };
    Some(Alerts {
        email: raw.email,
        slack,
        webhook: raw.webhook_url.map(|url| WebhookTarget { url, signing_secret: raw.webhook_secret }),
        gather: Duration::from_secs(raw.gather_s),
        ring_again_after: Duration::from_secs(raw.ring_again_after_s),
        ring_next_channel_after: Duration::from_secs(raw.ring_next_channel_after_s),
        ring_every: Duration::from_secs(raw.ring_every_s),
    })
}

/// Near enough to tell a typing error; the mail library decides.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    clean && parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
}

/// What is wrong with an address that is posted to. It may be a private one: whoever configures the server decides that.
fn fault_of(text: &str) -> Option<&'static str> {
    match reqwest::Url::parse(text) {
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            Some("must be a URL that begins with https:// or http://")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Some(
            "must not hold a user name or password: take them out; what is posted can be signed, with \
             alerts.webhook_secret",
        ),
        Ok(_) => None,
        Err(_) => Some("must be a URL that begins with https:// or http://"),
    }
}
