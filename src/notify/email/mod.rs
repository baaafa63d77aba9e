//! Mail by submission (RFC 6409, RFC 8314) through the team's own relay: lettre composes and speaks SMTP, step by
//! step, so that every attempt leaves its dialogue.

pub(super) mod compose;
mod cure;
mod html;
pub mod presets;
mod session;
mod wire;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use super::channel::{ConfigError, Outgoing, Parts, SendError, Sent, Transport};
use crate::base::Secret;
use crate::outbound::Reach;

pub use presets::{PRESETS, Preset};

/// More recipients than a small team has.
const RECIPIENTS_MAX: usize = 20;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// From the first byte, usually port 465.
    Tls,
    /// Required after a plain greeting, usually port 587. Without it nothing is sent.
    Starttls,
    /// Only to this machine.
    None,
}

impl MailTls {
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Tls => 465,
            Self::Starttls => 587,
            Self::None => 25,
        }
    }
}

/// A mail channel.
#[derive(Clone, Debug)]
pub struct Email {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub credentials: Option<MailCredentials>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub reach: Reach,
}

#[derive(Clone, Debug)]
pub struct MailCredentials {
    pub username: String,
    pub password: Secret,
}

impl MailCredentials {
    /// Some relays take one token as both.
    fn is_one_token(&self) -> bool {
        self.password.matches(&self.username)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EmailConfigError {
    #[error("{field}: `{text}` is not a mail address")]
    BadAddress { field: &'static str, text: String },
    #[error("give 1 to {RECIPIENTS_MAX} recipients")]
    Recipients,
    #[error("without TLS mail goes only to this machine; set `starttls` (port 587) or `tls` (port 465)")]
    PlainToStranger,
    #[error("a user name needs a password, and a password a user name")]
    HalfCredentials,
    #[error("the mail server's name is missing or not a name")]
    BadHost,
}

/// `channels.settings` of a mail channel.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    host: String,
    #[serde(default)]
    port: Option<u16>,
    tls: MailTls,
    #[serde(default)]
    username: Option<String>,
    from: String,
    to: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    password: Secret,
    /// Here where it is as secret as the password: Postmark's token is both.
    #[serde(default)]
    username: Option<Secret>,
}

impl Email {
    pub(super) fn parse(settings: &str, secrets: Option<&Secret>, reach: Reach) -> Result<Self, ConfigError> {
        let raw: Settings =
            serde_json::from_str(settings).map_err(|error| ConfigError::Unreadable(error.to_string()))?;
        let (sealed_name, password) = match secrets {
            Some(sealed) => {
                let Secrets { password, username } = serde_json::from_str(sealed.expose())
                    .map_err(|_| ConfigError::Unreadable("the secrets are not readable".to_owned()))?;
                (username.map(|name| name.expose().to_owned()), Some(password))
            }
            None => (None, None),
        };
        let username = raw.username.filter(|name| !name.is_empty()).or(sealed_name);
        let credentials = match (username, password) {
            (Some(username), Some(password)) => Some(MailCredentials { username, password }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(EmailConfigError::HalfCredentials.into()),
        };
        let to = raw.to.iter().map(|text| mailbox("recipient", text)).collect::<Result<Vec<_>, _>>()?;
        let email = Self {
            port: raw.port.unwrap_or(raw.tls.default_port()),
            host: raw.host,
            tls: raw.tls,
            credentials,
            from: mailbox("sender", &raw.from)?,
            to,
            reach,
        };
        email.validated().map_err(ConfigError::Email)
    }

    fn validated(self) -> Result<Self, EmailConfigError> {
        if !(1..=RECIPIENTS_MAX).contains(&self.to.len()) {
            return Err(EmailConfigError::Recipients);
        }
        let host_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if self.host.is_empty() || self.host.len() > 253 || !self.host.chars().all(host_ok) {
            return Err(EmailConfigError::BadHost);
        }
        if self.tls == MailTls::None && !is_this_machine(&self.host) {
            return Err(EmailConfigError::PlainToStranger);
        }
        Ok(self)
    }

    pub(super) fn parts(&self) -> Parts {
        let settings = Settings {
            host: self.host.clone(),
            port: Some(self.port),
            tls: self.tls,
            username: self
                .credentials
                .as_ref()
                .filter(|known| !known.is_one_token())
                .map(|known| known.username.clone()),
            from: self.from.to_string(),
            to: self.to.iter().map(ToString::to_string).collect(),
        };
        let secrets = self.credentials.as_ref().map(|known| {
            let mut secrets = serde_json::json!({ "password": known.password.expose() });
            if known.is_one_token() {
                secrets["username"] = known.username.as_str().into();
            }
            Secret::new(secrets.to_string())
        });
        Parts { settings: serde_json::json!(settings), secrets }
    }

    pub(super) fn describe(&self) -> String {
        let to: Vec<&str> = self.to.iter().map(|mailbox| mailbox.email.as_ref()).collect();
        format!("{} by {}:{}", to.join(", "), self.host, self.port)
    }

    pub(super) async fn send(
        &self,
        transport: &Transport,
        outgoing: Outgoing<'_>,
    ) -> Result<Sent, SendError> {
        let mail = compose::compose(self, outgoing)?;
        let taken = session::deliver(self, transport, &mail).await?;
        Ok(Sent { remote_id: Some(mail.message_id), unreached: taken.unreached, detail: taken.dialogue })
    }
}

fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, EmailConfigError> {
    text.trim().parse().map_err(|_| EmailConfigError::BadAddress { field, text: text.to_owned() })
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
