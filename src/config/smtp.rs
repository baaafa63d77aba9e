//! `[smtp]`: the mail server that carries alarms.

use std::path::PathBuf;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;
use super::server::is_loopback_host;
use crate::base::Secret;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "smtp.host",
        Kind::Text,
        None,
        "The mail server's name. Unset: no mail from the environment's channel.",
    ),
    Key::new(
        "smtp.port",
        Kind::Whole { min: 1, max: 65535 },
        None,
        "Unset: 465 with `tls`, 587 with `starttls`, 25 with `none`.",
    ),
    Key::new("smtp.username", Kind::Text, None, "The name to sign in with. Unset: no sign-in."),
    Key::new("smtp.password", Kind::Secret, None, "The password to sign in with."),
    Key::new(
        "smtp.tls",
        Kind::Choice(&["starttls", "tls", "none"]),
        None,
        "Unset: `tls` on port 465, else `starttls`. `none` only for a mail server on this machine.",
    ),
    Key::new(
        "smtp.from",
        Kind::Text,
        None,
        "The sender, `alarm@example.com` or `Tocsin <alarm@example.com>`. Unset: the user name where that is an address.",
    ),
    Key::new(
        "smtp.ca_file",
        Kind::Text,
        None,
        "A PEM file of further certificate authorities to trust for mail, for a relay with a certificate of your own.",
    ),
];

/// A mail server.
#[derive(Clone, Debug)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub credentials: Option<(String, Secret)>,
    pub tls: SmtpTls,
    pub from: String,
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begins in the clear and must change to TLS before anything is said (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// Never encrypted; only for a server on this machine.
    None,
}

impl SmtpTls {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTls => "starttls",
            Self::Implicit => "tls",
            Self::None => "none",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// The section cannot be used; why stands among the problems.
pub(super) struct Refused;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Secret>,
    tls: Option<String>,
    from: Option<String>,
    ca_file: Option<PathBuf>,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Result<Option<Smtp>, Refused> {
    let raw: Raw = values.section("smtp", problems).ok_or(Refused)?;
    let told = problems.len();
    let Some(host) = raw.host else {
        if raw.username.is_some() || raw.password.is_some() || raw.from.is_some() {
            problems.push(Problem::new("smtp.host", "is missing, though other keys of smtp are set"));
        }
        return Ok(None);
    };
    let tls = match raw.tls.as_deref() {
        Some("tls") => SmtpTls::Implicit,
        Some("none") => SmtpTls::None,
        None if raw.port == Some(465) => SmtpTls::Implicit,
        Some(_) | None => SmtpTls::StartTls,
    };
    if tls == SmtpTls::None && !is_loopback_host(&host) {
        let why = "must not be `none` for another machine: alarms and the password would travel in the clear";
        problems.push(values.problem("smtp.tls", why));
    }
    let from = raw.from.or_else(|| raw.username.clone().filter(|name| name.contains('@')));
    if !from.as_ref().is_some_and(|from| from.contains('@')) {
        problems.push(values.problem("smtp.from", "must be the sender's address, such as alarm@example.com"));
    }
    let credentials = match (raw.username, raw.password) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (Some(_), None) => {
            problems.push(values.problem("smtp.username", "needs smtp.password beside it"));
            None
        }
        (None, Some(_)) => {
            problems.push(values.problem("smtp.password", "needs smtp.username beside it"));
            None
        }
    };
    let port = raw.port.unwrap_or_else(|| tls.port());
    match from {
        Some(from) if problems.len() == told => {
            Ok(Some(Smtp { host, port, credentials, tls, from, ca_file: raw.ca_file }))
        }
        _ => Err(Refused),
    }
}
