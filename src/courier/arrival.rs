//! What a call to a source is: believed or not, answered at once or taken, and for whom. Pure; above 64 KiB of body it
//! belongs on the blocking pool.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::intake::Intake;
use crate::accounts::names::ENVIRONMENT_CHARS_MAX;
use crate::base::hex::hex;
use crate::base::seal::Sealer;
use crate::base::text::clip;
use crate::base::{Entropy, Timestamp};
use crate::metrics::Point;
use crate::releases::NewDeploy;
use crate::scrub::{FILTERED, Scrubber};
use crate::webhooks::accept::{Arrival, Towards};
use crate::webhooks::door::{Door, Exit};
use crate::webhooks::payload::{HEADERS_BYTES_MAX, Payload, Unreadable};
use crate::webhooks::providers::{Answer, Content, Identity, MailOutcome};
use crate::webhooks::refused;
use crate::webhooks::scheme::{Call, Covers, Refusal, Scheme, Verified};

/// A call whose body was read.
#[derive(Clone, Copy, Debug)]
pub struct Came<'c> {
    pub call: Call<'c>,
    /// What stood behind the `?`.
    pub query: &'c str,
    /// Who called.
    pub address: &'c str,
    pub at: Timestamp,
}

/// With what a call is read.
#[derive(Clone, Debug)]
pub struct Means {
    pub sealer: Sealer,
    pub entropy: Entropy,
}

/// What is to be done about a call.
#[derive(Debug)]
pub enum Heard {
    /// It is an event: the answer waits until it is stored.
    Event(Box<Intake>),
    /// It only asks whether somebody is there. Nothing of it is stored.
    Asked(Answer),
}

/// Why a call is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotHeard {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Not the caller's fault.
    #[error("what it brought could not be sealed: {0}")]
    Unsealed(#[from] Unreadable),
}

/// What a mail's provider says of it, as a metric: 1 where it was delivered, else 0.
pub const EMAIL_DELIVERY: &str = "email_delivery";
/// Of the connection, not of the call; the delivery has its own.
const NOT_KEPT: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Judges a call.
///
/// # Errors
/// [`NotHeard`].
pub fn hear(door: &Door, means: &Means, scrubber: &Scrubber, came: &Came<'_>) -> Result<Heard, NotHeard> {
    let call = &came.call;
    let content = Content::of(call, &door.wanted);
    if door.provider.is_ping(call, &content) {
        return Ok(Heard::Asked(door.answer()));
    }
    let verified = door.scheme.verify(call, &door.secrets, came.at)?;
    if let Some(answer) = door.provider.challenge(&content, &verified) {
        return Ok(Heard::Asked(answer));
    }
    let identity = door.rules.identify(call, &content);
    let event_type = identity.event_type.clone().unwrap_or_default();
    let takes = |exit: &&Exit| exit.filter.takes(identity.event_type.as_deref(), &content).takes();
    let taken = door.exits.iter().filter(takes);
    let to = taken.map(|exit| Towards { destination: exit.id, in_order: exit.in_order }).collect();
    let deploy = deploy(door, &event_type, &content, scrubber);
    let mail = mail(door, &event_type, &content, came.at);
    let arrival = arrival(door, means, scrubber, came, Judged { verified, identity, to })?;
    Ok(Heard::Event(Box::new(Intake { arrival, deploy, mail })))
}

/// What is known of a call that is believed.
struct Judged {
    verified: Verified,
    identity: Identity,
    to: Vec<Towards>,
}

fn arrival(
    door: &Door,
    means: &Means,
    scrubber: &Scrubber,
    came: &Came<'_>,
    judged: Judged,
) -> Result<Arrival, Unreadable> {
    let Judged { verified, identity, to } = judged;
    let (uid, call) = (means.entropy.uid(came.at), &came.call);
    let payload = Payload {
        method: call.method.to_owned(),
        query: came.query.to_owned(),
        headers: kept_headers(door, scrubber, call.headers),
        body: call.body.to_vec(),
    };
    Ok(Arrival {
        uid,
        source: door.id,
        project: door.project,
        received_at: came.at,
        content: content_name(&verified, &identity),
        // Without an id every call is an event of its own.
        event_id: identity.event_id.unwrap_or_else(|| uid.to_string()),
        event_type: identity.event_type.unwrap_or_default(),
        order_key: identity.order_key,
        content_type: payload.header("content-type").unwrap_or_default().to_owned(),
        body_bytes: u32::try_from(call.body.len()).unwrap_or(u32::MAX),
        address: came.address.to_owned(),
        secret: verified.secret.and_then(|place| u32::try_from(place).ok()),
        signed_at: verified.signed_at,
        payload: payload.seal(&means.sealer, &means.entropy, uid)?,
        to,
    })
}

/// By what an event is known that could be sent again under another id. One body may be several events that only a header
/// tells apart, so what that says of the type belongs to it.
fn content_name(verified: &Verified, identity: &Identity) -> Option<String> {
    let signed = match verified.covers {
        Covers::Content(signed) => signed,
        Covers::Nothing | Covers::Moment => return None,
    };
    let told = identity.told_type.as_deref().unwrap_or_default();
    let hash = Sha256::new().chain_update(signed).chain_update(told).finalize();
    Some(format!("content:{}", hex(&hash)))
}

/// The headers of a call that are stored: none that is a secret as it stands, none of the connection, and no more than
/// there is room for. A caller may send the token of another scheme, too: what is called as secrets are is none of the
/// app's, unless the event is known by it.
fn kept_headers(door: &Door, scrubber: &Scrubber, headers: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let proof = door.scheme.signature_headers();
    let looks_secret = |name: &str, value: &[u8]| {
        let is_known =
            proof.iter().any(|header| header.name == name) || door.rules.headers().any(|known| known == name);
        !is_known && scrubber.hides(name, &String::from_utf8_lossy(value))
    };
    let mut room = HEADERS_BYTES_MAX;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let is_secret =
            proof.iter().any(|header| header.is_secret && header.name == name) || looks_secret(&name, value);
        let bytes = name.len() + value.len();
        if is_secret || NOT_KEPT.contains(&name.as_str()) || bytes > room {
            continue;
        }
        room -= bytes;
        kept.push((name, value.to_vec()));
    }
    kept
}

/// The headers of a call that was turned away, as they may be shown: what is a secret as it stands, or looks like one, is
/// hidden.
pub fn shown_headers(
    scheme: &Scheme,
    scrubber: &Scrubber,
    headers: &[(&str, &[u8])],
) -> Vec<(String, String)> {
    let proof = scheme.signature_headers();
    let mut room = refused::HEADERS_BYTES_MAX;
    let mut shown = Vec::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let part = proof.iter().find(|header| header.name == name);
        let text = String::from_utf8_lossy(value);
        let value = match part {
            Some(header) if header.is_secret => FILTERED.to_owned(),
            // A signature tells what is wrong with it, and nothing else.
            Some(_) => text.into_owned(),
            None if scrubber.hides(&name, &text) => FILTERED.to_owned(),
            None => scrubber.text(&text).into_owned(),
        };
        if name.len() + value.len() <= room {
            room -= name.len() + value.len();
            shown.push((name, value));
        }
    }
    shown
}

/// The deploy that an event reports, where its provider reports any.
fn deploy(door: &Door, event_type: &str, content: &Content<'_>, scrubber: &Scrubber) -> Option<NewDeploy> {
    let mark = door.provider.deploy.as_ref()?.mark(event_type, content)?;
    let environment = clip(&mark.environment, ENVIRONMENT_CHARS_MAX);
    let told = json!({"release": mark.release, "environment": environment, "at": mark.at, "url": mark.url});
    let read = NewDeploy::parse(told.to_string().as_bytes(), scrubber);
    read.inspect_err(|error| tracing::debug!(webhook.source = door.key, %error, "a deploy was not marked"))
        .ok()
}

fn mail(door: &Door, event_type: &str, content: &Content<'_>, now: Timestamp) -> Option<Point> {
    let outcome = door.provider.mail.as_ref()?.outcome(event_type, content)?;
    let (value, word) = match outcome {
        MailOutcome::Delivered => (1.0, "delivered"),
        MailOutcome::Bounced => (0.0, "bounced"),
        MailOutcome::Complained => (0.0, "complained"),
    };
    Some(Point {
        project: door.project,
        kind: EMAIL_DELIVERY.to_owned(),
        value,
        unit: None,
        metadata: json!({"outcome": word, "source": door.key}).to_string(),
        at: now,
        received_at: now,
    })
}
