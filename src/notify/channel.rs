//! A way to reach people: parsed once from its row, then asked to send.

use std::time::Duration;

use serde_json::Value;

use super::email::{Email, EmailConfigError};
use super::facts::Facts;
use super::message::Message;
use super::slack::Slack;
use super::webhook::Webhook;
use crate::base::{Secret, Timestamp, Uid};
use crate::incidents::channels::ChannelKind;
use crate::incidents::put_off::Unreached;
use crate::outbound::{self, Reach};

/// One attempt takes no longer than this, whatever the channel. It must stay below the lease of a delivery.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// A channel that can send.
#[derive(Clone, Debug)]
pub enum Channel {
    Email(Email),
    Slack(Slack),
    Webhook(Webhook),
}

/// Why a channel's settings cannot be used; the text says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the settings are not readable: {0}")]
    Unreadable(String),
    #[error("{0}")]
    Email(#[from] EmailConfigError),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{field} is not an address: {reason}")]
    BadUrl { field: &'static str, reason: String },
    #[error("the signing secret must be `whsec_` and 24 to 64 bytes in base64")]
    BadSigningSecret,
}

/// A channel as its row keeps it.
#[derive(Clone, Debug)]
pub struct Parts {
    /// An object without secrets, for `channels.settings`.
    pub settings: Value,
    /// JSON, to be sealed with the context `channel:{uid}`.
    pub secrets: Option<Secret>,
}

/// What every attempt needs beside the channel.
#[derive(Clone, Debug)]
pub struct Transport {
    pub http: outbound::Client,
    /// PEM text of further certificate authorities, for mail; the HTTP client has its own.
    pub authorities: Option<Vec<u8>>,
}

/// One message on its way through one channel.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub facts: &'a Facts,
    pub message: &'a Message,
    /// Stable over retries: a receiver that sees it twice knows.
    pub delivery: Uid,
    /// From 1.
    pub attempt: u32,
    /// `remote_id` of the first message of the incident in this channel.
    pub thread: Option<&'a str>,
    /// Instead of the channel's own recipients: of account mail, or one of them who was put off.
    pub recipient: Option<&'a str>,
    pub now: Timestamp,
}

/// The peer took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What a thread hangs on: Slack's `ts`, a mail's Message-ID.
    pub remote_id: Option<String>,
    /// Who of several recipients it did not take it for.
    pub unreached: Unreached,
    /// Proof: the peer's answer, or the dialogue with secrets masked.
    pub detail: String,
}

/// The peer did not take the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{summary}")]
pub struct SendError {
    pub failure: Failure,
    /// One sentence for people.
    pub summary: String,
    /// As [`Sent::detail`]; empty where the summary says all.
    pub detail: String,
    /// What would help, where that is known.
    pub cure: Option<String>,
}

/// What a failed attempt means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The channel itself is wrong until somebody changes it: address, password, revoked token.
    ChannelBroken,
    /// This one message will never be taken; the channel may be sound.
    MessageRefused,
    /// Later may succeed; `retry_after` is the peer's wish.
    Retryable { retry_after: Option<Duration> },
    /// Later may succeed. The peer does not take it for any of its recipients now, which says nothing of the channel.
    RecipientLater,
}

impl Failure {
    pub(super) const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Retryable { retry_after } => retry_after,
            Self::ChannelBroken | Self::MessageRefused | Self::RecipientLater => None,
        }
    }
}

impl Channel {
    /// Parses a row. `reach` is [`Reach::Private`] only for channels that the operator's file or environment
    /// owns.
    pub fn parse(
        kind: ChannelKind,
        settings: &str,
        secrets: Option<&Secret>,
        reach: Reach,
    ) -> Result<Self, ConfigError> {
        match kind {
            ChannelKind::Email => Email::parse(settings, secrets, reach).map(Self::Email),
            ChannelKind::Slack => Slack::parse(settings, secrets, reach).map(Self::Slack),
            ChannelKind::Webhook => Webhook::parse(settings, secrets, reach).map(Self::Webhook),
        }
    }

    /// The row's two parts, such that [`Channel::parse`] gives the same channel.
    pub fn parts(&self) -> Parts {
        match self {
            Self::Email(email) => email.parts(),
            Self::Slack(slack) => slack.parts(),
            Self::Webhook(webhook) => webhook.parts(),
        }
    }

    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Email(_) => ChannelKind::Email,
            Self::Slack(_) => ChannelKind::Slack,
            Self::Webhook(_) => ChannelKind::Webhook,
        }
    }

    /// Where it leads, without secrets: `ops@example.com by smtp.example.com`.
    pub fn describe(&self) -> String {
        match self {
            Self::Email(email) => email.describe(),
            Self::Slack(slack) => slack.describe(),
            Self::Webhook(webhook) => webhook.describe(),
        }
    }

    /// Whether it tells this mail address.
    pub fn reaches(&self, recipient: &str) -> bool {
        match self {
            Self::Email(email) => {
                email.to.iter().any(|mailbox| AsRef::<str>::as_ref(&mailbox.email) == recipient)
            }
            Self::Slack(_) | Self::Webhook(_) => false,
        }
    }

    /// The least time between two messages.
    pub const fn pace(&self) -> Duration {
        match self {
            // One per second and channel (Slack, "Rate limits for posting messages"); bursts are unsafe.
            Self::Slack(_) => Duration::from_millis(1_050),
            Self::Email(_) | Self::Webhook(_) => Duration::ZERO,
        }
    }

    /// Makes one attempt, at most [`SEND_TIMEOUT`] long.
    pub async fn send(&self, transport: &Transport, outgoing: Outgoing<'_>) -> Result<Sent, SendError> {
        let sending = async {
            match self {
                Self::Email(email) => email.send(transport, outgoing).await,
                Self::Slack(slack) => slack.send(transport, outgoing).await,
                Self::Webhook(webhook) => webhook.send(transport, outgoing).await,
            }
        };
        tokio::time::timeout(SEND_TIMEOUT, sending).await.unwrap_or_else(|_| {
            Err(SendError::retryable(format!("no end within {} s", SEND_TIMEOUT.as_secs())))
        })
    }
}

impl SendError {
    pub(super) fn retryable(summary: String) -> Self {
        Self { failure: Failure::Retryable { retry_after: None }, summary, detail: String::new(), cure: None }
    }

    pub(super) fn broken(summary: String, cure: &str) -> Self {
        Self { failure: Failure::ChannelBroken, summary, detail: String::new(), cure: Some(cure.to_owned()) }
    }
}

impl From<outbound::Error> for SendError {
    fn from(error: outbound::Error) -> Self {
        if error.is_permanent() {
            Self::broken(error.to_string(), "Correct the address of the channel.")
        } else {
            let cure = "If this stays: check the address for a typing error, and this machine's way out.";
            Self { cure: Some(cure.to_owned()), ..Self::retryable(error.to_string()) }
        }
    }
}
