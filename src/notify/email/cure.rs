//! What a failed conversation means: try later or not, whose fault it is, and what would help.

use std::error::Error as _;
use std::time::Duration;

use super::super::channel::Failure;
use super::presets::PRESETS;
use super::{Email, MailTls};
use crate::outbound::NoAddress;

/// A provider's daily limit is not over in seconds.
const QUOTA_WAIT: Duration = Duration::from_hours(1);

/// How far a conversation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connect,
    Greeting,
    Tls,
    Auth,
    Sender,
    Recipient,
    Data,
}

/// Why a conversation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    NoAddress(#[from] NoAddress),
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no connection: the server did not answer")]
    ConnectTimedOut,
    #[error("the server's certificate cannot be trusted: {0}")]
    Certificate(String),
    #[error("what answered does not speak TLS")]
    NotTls,
    #[error("TLS failed: {0}")]
    Tls(String),
    #[error("the server does not offer STARTTLS")]
    NoStartTls,
    #[error("the server offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoAuthOffered,
    #[error("an address has letters outside ASCII, which this server does not support")]
    NotAscii,
    #[error("the server answered {code} {text}")]
    Reply { stage: Stage, code: u16, text: String },
    #[error("the connection broke: {reason}")]
    Broke { stage: Stage, reason: String },
    #[error("the server fell silent")]
    TimedOut { stage: Stage },
}

impl Trouble {
    pub(super) fn from_smtp(error: &lettre::transport::smtp::Error, stage: Stage) -> Self {
        if let Some(code) = error.status() {
            let text = error.source().map(ToString::to_string).unwrap_or_default();
            return Self::Reply { stage, code: code.into(), text };
        }
        let mut cause = error.source();
        let mut innermost = error.to_string();
        while let Some(next) = cause {
            if let Some(io) = next.downcast_ref::<std::io::Error>() {
                return Self::from_io(io, stage);
            }
            innermost = next.to_string();
            cause = next.source();
        }
        Self::Broke { stage, reason: innermost }
    }

    fn from_io(error: &std::io::Error, stage: Stage) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(trouble)) => Self::Certificate(certificate_words(trouble)),
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls,
            Some(other) => Self::Tls(other.to_string()),
            None => match (stage, error.kind()) {
                (Stage::Connect, std::io::ErrorKind::TimedOut) => Self::ConnectTimedOut,
                (Stage::Connect, _) => Self::Connect(error.to_string()),
                (_, std::io::ErrorKind::TimedOut) => Self::TimedOut { stage },
                (_, _) => Self::Broke { stage, reason: error.to_string() },
            },
        }
    }

    /// An answer about a recipient, after which others may be named. 421 is the server's own farewell.
    pub(super) fn is_of_one_recipient(&self) -> bool {
        matches!(self, Self::Reply { stage: Stage::Recipient, code, .. } if *code != 421)
    }
}

fn certificate_words(trouble: &rustls::CertificateError) -> String {
    use rustls::CertificateError;
    match trouble {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it belongs to another name".to_owned()
        }
        CertificateError::UnknownIssuer => "it was issued by nobody known".to_owned(),
        other => other.to_string(),
    }
}

/// What a failed conversation says of the channel.
pub(super) fn failure(trouble: &Trouble) -> Failure {
    let later = Failure::Retryable { retry_after: None };
    match trouble {
        Trouble::NoAddress(NoAddress::Forbidden { .. }) | Trouble::NoAuthOffered => Failure::ChannelBroken,
        Trouble::NotAscii => Failure::MessageRefused,
        // An attacker on the way can cause each of these; the channel itself may be sound.
        Trouble::NoAddress(NoAddress::Unknown { .. } | NoAddress::TimedOut)
        | Trouble::Connect(_)
        | Trouble::ConnectTimedOut
        | Trouble::Certificate(_)
        | Trouble::NotTls
        | Trouble::Tls(_)
        | Trouble::NoStartTls
        | Trouble::Broke { .. }
        | Trouble::TimedOut { .. } => later,
        Trouble::Reply { code: 400..=499, .. } if trouble.is_of_one_recipient() => Failure::RecipientLater,
        Trouble::Reply { stage, code, text } => reply_failure(*stage, *code, text),
    }
}

/// As [`failure`], of a mail to one address that is not the channel's: a typing error in an invitation must not
/// switch off the channel that rings. What it says of recipients (or, as a sandbox does, of unverified addresses)
/// is said of this one.
pub(super) fn failure_to_one(trouble: &Trouble) -> Failure {
    match (trouble, failure(trouble)) {
        (Trouble::Reply { stage: Stage::Recipient | Stage::Data, .. }, Failure::ChannelBroken) => {
            Failure::MessageRefused
        }
        (_, failure) => failure,
    }
}

/// Whether the server will never take this mail for a recipient that it answered so about.
pub(super) fn is_final_to_one(trouble: &Trouble) -> bool {
    matches!(failure_to_one(trouble), Failure::MessageRefused)
}

/// 4yz may succeed later, 5yz will not (RFC 5321 §4.2.1), with the exceptions that providers made.
fn reply_failure(stage: Stage, code: u16, text: &str) -> Failure {
    if !(500..=599).contains(&code) {
        return Failure::Retryable { retry_after: None };
    }
    if is_quota(text) {
        return Failure::Retryable { retry_after: Some(QUOTA_WAIT) };
    }
    match stage {
        // A refusal at the door speaks of our address or the server's day, not of the settings.
        Stage::Connect | Stage::Greeting | Stage::Tls => Failure::Retryable { retry_after: None },
        Stage::Auth | Stage::Sender | Stage::Recipient => Failure::ChannelBroken,
        Stage::Data if text.to_ascii_lowercase().contains("not verified") => Failure::ChannelBroken,
        Stage::Data => Failure::MessageRefused,
    }
}

/// Gmail's 550 5.4.5 "Daily user sending limit exceeded" and its kin end by themselves.
fn is_quota(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["5.4.5", "sending limit", "quota exceeded", "rate limit", "too many messages"]
        .iter()
        .any(|sign| text.contains(sign))
}

/// What would help.
pub(super) fn cure(trouble: &Trouble, email: &Email) -> Option<String> {
    let port = email.port;
    let text = match trouble {
        Trouble::NoAddress(NoAddress::Forbidden { .. }) => {
            "Name a mail server on a private network in the configuration file or the environment.".to_owned()
        }
        Trouble::NoAddress(NoAddress::Unknown { .. }) => "Check the server's name for a typing error.".to_owned(),
        Trouble::NoAddress(NoAddress::TimedOut) => "Check this machine's name server.".to_owned(),
        Trouble::Connect(_) => format!("Nothing takes connections at port {port}. Check server and port: 465 with tls, 587 with starttls."),
        Trouble::ConnectTimedOut => format!("Port {port} is probably blocked: many hosting providers close 25 and 465. Try 587 or 2525 with starttls, or ask the provider."),
        Trouble::Certificate(_) => "Enter the server's name exactly as its certificate says it. For a certificate of your own, name your authority's file in the configuration.".to_owned(),
        Trouble::NotTls => format!("Port {port} begins in plain text. Set starttls, or use port 465."),
        Trouble::Tls(_) => "The server and tocsin found no common TLS version; tocsin needs 1.2 or 1.3.".to_owned(),
        Trouble::NoStartTls => "Use port 465 with tls. Without protection tocsin sends no password and no mail.".to_owned(),
        Trouble::NoAuthOffered => "Remove user name and password, or use the provider's submission port.".to_owned(),
        Trouble::NotAscii => "Use addresses in ASCII.".to_owned(),
        Trouble::Reply { stage, code, text } => return reply_cure(*stage, *code, text, email),
        Trouble::TimedOut { stage: Stage::Greeting } if email.tls != MailTls::Tls => {
            format!("Port {port} gives no greeting. If it is 465, set tls.")
        }
        Trouble::Broke { .. } | Trouble::TimedOut { .. } => return None,
    };
    Some(text)
}

fn reply_cure(stage: Stage, code: u16, text: &str, email: &Email) -> Option<String> {
    if is_quota(text) {
        return Some("The provider's sending limit is used up; tocsin tries again every hour.".to_owned());
    }
    let text = match stage {
        _ if code == 530 && email.credentials.is_none() => {
            "The server wants a user name and a password.".to_owned()
        }
        Stage::Auth => {
            let hint = PRESETS.iter().find(|preset| email.host.ends_with(host_tail(preset.host)));
            match hint {
                Some(preset) => format!("User name or password is wrong. {}: {}", preset.name, preset.hint),
                None => "User name or password is wrong. Many providers want an app password or an API key here.".to_owned(),
            }
        }
        // A temporary refusal needs time, not a cure.
        _ if code < 500 => return None,
        Stage::Sender => format!("The provider does not let this account send as {}. Use an address that is verified there.", email.from.email),
        Stage::Recipient => "The server refuses the recipient. Check the address; a relay may also refuse strangers without a password.".to_owned(),
        Stage::Data if failure_is_broken(stage, code, text) => "Verify the sender (and, in a sandbox, the recipient) at the provider.".to_owned(),
        Stage::Greeting => "The server refuses this machine's address. Use your provider's submission server.".to_owned(),
        Stage::Connect | Stage::Tls | Stage::Data => return None,
    };
    Some(text)
}

fn failure_is_broken(stage: Stage, code: u16, text: &str) -> bool {
    reply_failure(stage, code, text) == Failure::ChannelBroken
}

/// `.amazonaws.com` of `email-smtp.{region}.amazonaws.com`; hosts without a free part stay whole.
fn host_tail(host: &'static str) -> &'static str {
    host.rsplit_once('}').map_or(host, |(_, tail)| tail)
}

#[cfg(test)]
mod tests {
    use super::super::tests::email;
    use super::*;

    fn reply(stage: Stage, code: u16, text: &str) -> Trouble {
        Trouble::Reply { stage, code, text: text.to_owned() }
    }

    #[test]
    fn permanent_and_temporary_answers_are_told_apart() {
        let later = Failure::Retryable { retry_after: None };
        for (trouble, expected) in [
            (reply(Stage::Auth, 535, "5.7.8 bad credentials"), Failure::ChannelBroken),
            (reply(Stage::Auth, 454, "4.7.0 temporary failure"), later),
            (reply(Stage::Sender, 553, "not allowed"), Failure::ChannelBroken),
            (reply(Stage::Sender, 451, "try later"), later),
            (reply(Stage::Recipient, 450, "greylisted"), Failure::RecipientLater),
            (reply(Stage::Recipient, 421, "shutting down"), later),
            (reply(Stage::Recipient, 550, "no such user"), Failure::ChannelBroken),
            (reply(Stage::Data, 552, "too big"), Failure::MessageRefused),
            (reply(Stage::Data, 554, "Email address is not verified."), Failure::ChannelBroken),
            (reply(Stage::Data, 421, "shutting down"), later),
            (reply(Stage::Greeting, 554, "no service"), later),
            (
                reply(Stage::Data, 550, "5.4.5 Daily user sending limit exceeded"),
                Failure::Retryable { retry_after: Some(QUOTA_WAIT) },
            ),
            (Trouble::ConnectTimedOut, later),
            (Trouble::Certificate("it has expired".to_owned()), later),
            (Trouble::NoAuthOffered, Failure::ChannelBroken),
        ] {
            assert_eq!(failure(&trouble), expected, "{trouble}");
        }
    }

    #[test]
    fn what_is_wrong_with_one_address_is_not_wrong_with_the_channel() {
        for (trouble, expected) in [
            (reply(Stage::Recipient, 550, "no such user"), Failure::MessageRefused),
            (reply(Stage::Recipient, 450, "greylisted"), Failure::RecipientLater),
            (reply(Stage::Recipient, 421, "shutting down"), Failure::Retryable { retry_after: None }),
            (reply(Stage::Data, 554, "Email address is not verified."), Failure::MessageRefused),
            (reply(Stage::Auth, 535, "5.7.8 bad credentials"), Failure::ChannelBroken),
            (reply(Stage::Sender, 553, "not allowed"), Failure::ChannelBroken),
        ] {
            assert_eq!(failure_to_one(&trouble), expected, "{trouble}");
        }
    }

    #[test]
    fn a_wrong_password_is_explained_in_the_providers_words() {
        let mut gmail = email();
        "smtp.gmail.com".clone_into(&mut gmail.host);
        let hint = cure(&reply(Stage::Auth, 535, "5.7.8"), &gmail);
        assert!(hint.unwrap().contains("app password"));
        "email-smtp.eu-west-1.amazonaws.com".clone_into(&mut gmail.host);
        let hint = cure(&reply(Stage::Auth, 535, "5.7.8"), &gmail);
        assert!(hint.unwrap().contains("not IAM access keys"));
    }
}
