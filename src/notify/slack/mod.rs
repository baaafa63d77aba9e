//! Slack: an incoming webhook, or a bot token with `chat.postMessage`, which can answer in a thread.

mod answer;
pub(super) mod blocks;

use serde::{Deserialize, Serialize};

use super::channel::{ConfigError, Outgoing, Parts, SEND_TIMEOUT, SendError, Sent, Transport};
use crate::base::Secret;
use crate::outbound::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::outbound::{Method, Reach, Request, Url};

/// Where the Web API lives unless the operator says otherwise.
pub const API_URL: &str = "https://slack.com/api";

/// A Slack channel.
#[derive(Clone, Debug)]
pub struct Slack {
    pub access: SlackAccess,
    pub reach: Reach,
}

#[derive(Clone, Debug)]
pub enum SlackAccess {
    /// The whole address is a secret: who knows it can post.
    Webhook { url: Secret },
    Bot {
        token: Secret,
        /// An id such as `C0123456`, or a name such as `#alerts`.
        channel: String,
        /// `https://slack.com/api`, without a slash at the end.
        api_url: String,
    },
}

/// `channels.settings` of a Slack channel.
#[derive(Serialize, Deserialize)]
#[serde(tag = "access", rename_all = "snake_case", deny_unknown_fields)]
enum Settings {
    Webhook,
    Bot {
        channel: String,
        #[serde(default)]
        api_url: Option<String>,
    },
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Secrets {
    webhook_url: Option<Secret>,
    bot_token: Option<Secret>,
}

impl Slack {
    pub(super) fn parse(settings: &str, secrets: Option<&Secret>, reach: Reach) -> Result<Self, ConfigError> {
        let raw: Settings =
            serde_json::from_str(settings).map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let secrets: Secrets = match secrets {
            Some(text) => serde_json::from_str(text.expose())
                .map_err(|_| ConfigError::Unreadable("the secrets are not readable".to_owned()))?,
            None => Secrets::default(),
        };
        let access = match raw {
            Settings::Webhook => {
                let url = secrets.webhook_url.ok_or(ConfigError::Missing("the webhook address"))?;
                url_of("the webhook address", url.expose())?;
                SlackAccess::Webhook { url }
            }
            Settings::Bot { channel, api_url } => {
                let token = secrets.bot_token.ok_or(ConfigError::Missing("the bot token"))?;
                if channel.trim().is_empty() {
                    return Err(ConfigError::Missing("the channel"));
                }
                let api_url = api_url.unwrap_or_else(|| API_URL.to_owned());
                url_of("the API address", &api_url)?;
                SlackAccess::Bot { token, channel, api_url: api_url.trim_end_matches('/').to_owned() }
            }
        };
        Ok(Self { access, reach })
    }

    pub(super) fn parts(&self) -> Parts {
        let (settings, secrets) = match &self.access {
            SlackAccess::Webhook { url } => {
                (Settings::Webhook, serde_json::json!({ "webhook_url": url.expose() }))
            }
            SlackAccess::Bot { token, channel, api_url } => (
                Settings::Bot { channel: channel.clone(), api_url: Some(api_url.clone()) },
                serde_json::json!({ "bot_token": token.expose() }),
            ),
        };
        Parts { settings: serde_json::json!(settings), secrets: Some(Secret::new(secrets.to_string())) }
    }

    pub(super) fn describe(&self) -> String {
        match &self.access {
            SlackAccess::Webhook { .. } => "Slack by incoming webhook".to_owned(),
            SlackAccess::Bot { channel, .. } => format!("Slack channel {channel}"),
        }
    }

    pub(super) async fn send(
        &self,
        transport: &Transport,
        outgoing: Outgoing<'_>,
    ) -> Result<Sent, SendError> {
        let mut body = blocks::body(outgoing.message);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        let url = match &self.access {
            SlackAccess::Webhook { url } => url.expose().to_owned(),
            SlackAccess::Bot { token, channel, api_url } => {
                body["channel"] = channel.as_str().into();
                if let Some(thread) = outgoing.thread {
                    body["thread_ts"] = thread.into();
                    // The end of an incident is worth a line in the channel itself.
                    body["reply_broadcast"] =
                        (outgoing.message.purpose == crate::incidents::Purpose::Recovered).into();
                }
                headers.insert(AUTHORIZATION, bearer(token)?);
                format!("{api_url}/chat.postMessage")
            }
        };
        let request = Request {
            method: Method::POST,
            url: Url::parse(&url).map_err(|_| answer::bad_address())?,
            headers,
            body: body.to_string().into_bytes(),
            reach: self.reach,
            timeout: SEND_TIMEOUT,
        };
        let response = transport.http.send(request, outgoing.now).await?;
        match &self.access {
            SlackAccess::Webhook { .. } => answer::of_webhook(&response),
            SlackAccess::Bot { .. } => answer::of_api(&response),
        }
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
        SendError::broken(
            "the bot token has letters that no token has".to_owned(),
            "Copy the token that begins with xoxb- again.",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn url_of(field: &'static str, text: &str) -> Result<Url, ConfigError> {
    Url::parse(text).map_err(|error| ConfigError::BadUrl { field, reason: error.to_string() })
}

#[cfg(test)]
mod tests;
