//! A message as MIME: text and HTML that stand alone, the headers that thread it and keep robots quiet.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::super::channel::{Failure, Outgoing, SendError};
use super::super::facts::{Facts, Moment, Story};
use super::super::message::Message;
use super::{Email, html};
use crate::base::Severity;

/// A mail ready to be handed over.
pub(in super::super) struct Mail {
    pub(super) envelope: Envelope,
    pub(in super::super) bytes: Vec<u8>,
    /// With angle brackets.
    pub(super) message_id: String,
    /// To an address of its own, not to the channel's.
    pub(super) is_to_one: bool,
}

/// Widest label and a gap: the column where texts begin.
const LABEL_WIDTH: usize = 8;

pub(in super::super) fn compose(email: &Email, outgoing: Outgoing<'_>) -> Result<Mail, SendError> {
    let Outgoing { message, delivery, now, .. } = outgoing;
    let to = recipients(email, outgoing.recipient)?;
    let domain = email.from.email.domain();
    let message_id = format!("<{delivery}@{domain}>");
    let since_epoch = Duration::from_micros(u64::try_from(now.as_micros()).unwrap_or(0));
    let mut builder = lettre::Message::builder()
        .from(email.from.clone())
        .subject(&message.subject)
        .date(UNIX_EPOCH + since_epoch)
        .message_id(Some(message_id.clone()));
    for mailbox in &to {
        builder = builder.to(mailbox.clone());
    }
    if let Some(incident) = message.thread {
        // A root that no mail carries: every mail of the incident hangs on it, also when the first got lost.
        let root = format!("<incident-{incident}@{domain}>");
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    for (name, value) in headers(is_urgent(message.severity, outgoing.facts)) {
        builder =
            builder.raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned()));
    }
    let parts = MultiPart::alternative()
        .boundary(format!("tocsin-{}", delivery.0.simple()))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text(message)))
        .singlepart(SinglePart::builder().header(ContentType::TEXT_HTML).body(html::html(message)));
    let mail = builder.multipart(parts).map_err(|error| refused(&error.to_string()))?;
    let is_to_one = outgoing.recipient.is_some();
    Ok(Mail { envelope: mail.envelope().clone(), bytes: mail.formatted(), message_id, is_to_one })
}

/// RFC 3834 keeps vacation robots silent, the Exchange header does the same there; the last two make phones ring
/// through for what is critical.
fn headers(is_urgent: bool) -> Vec<(&'static str, &'static str)> {
    let mut headers = vec![("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];
    if is_urgent {
        headers.extend([("Importance", "high"), ("X-Priority", "1")]);
    }
    headers
}

/// Critical, and not the news that it is over or one part of it is: nobody is woken for that.
fn is_urgent(severity: Severity, facts: &Facts) -> bool {
    let is_good = |moment: Moment| moment.is_over() || moment == Moment::WellAgain;
    let is_good_news = matches!(&facts.story, Story::Incident(incident) if is_good(incident.moment));
    severity == Severity::Critical && !is_good_news
}

fn recipients(email: &Email, recipient: Option<&str>) -> Result<Vec<Mailbox>, SendError> {
    match recipient {
        None => Ok(email.to.clone()),
        Some(text) => {
            let mailbox = text.parse().map_err(|_| refused("the recipient is not a mail address"))?;
            Ok(vec![mailbox])
        }
    }
}

fn refused(summary: &str) -> SendError {
    SendError {
        failure: Failure::MessageRefused,
        summary: summary.to_owned(),
        detail: String::new(),
        cure: None,
    }
}

/// The text part: readable on a watch, by an SMS gateway, in a terminal.
pub(in super::super) fn text(message: &Message) -> String {
    let mut out = vec![message.headline.clone(), String::new()];
    out.extend(message.lines.iter().map(|line| format!("{:<LABEL_WIDTH$}{}", line.label, line.text)));
    for list in &message.lists {
        out.extend([String::new(), list.title.clone()]);
        out.extend(list.items.iter().map(|item| format!("- {item}")));
        out.extend(list.more.iter().map(|more| format!("  {more}")));
    }
    if let Some(link) = &message.link {
        out.extend([String::new(), format!("{}: {}", link.label, link.url)]);
    }
    if let Some(note) = &message.note {
        out.extend([String::new(), note.clone()]);
    }
    out.extend([String::new(), message.sender.clone(), String::new()]);
    out.join("\n")
}
