//! Twilio's signature: HMAC-SHA1 in base64 over the address and, of a form, its fields by their names
//! (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>). Of any other body the address carries the hash.

mod url;

use std::borrow::Cow;
use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::header::Header;
use super::hmac::{Algorithm, Encoding, Key};
use super::refusal::{FORM_BYTES_MAX, Refusal, Unsignable};
use super::{Call, Covers, Outgoing, Verified};
use crate::base::Secret;
use crate::base::hex::hex;
use crate::outbound::header::{HeaderName, HeaderValue};
use crate::webhooks::form;
use crate::webhooks::scheme::hmac::same;

static SIGNATURE: Header = Header::of("x-twilio-signature");
/// Names the algorithm where a call is signed with a shared key instead of the auth token:
/// `key=…,algorithm=HMAC_SHA256`.
static SETTINGS: Header = Header::of("x-twilio-webhooks-signature-settings");
const BODY_HASH: &str = "bodySHA256";

/// Both headers of the scheme.
pub(super) const HEADERS: [&str; 2] = ["x-twilio-signature", "x-twilio-webhooks-signature-settings"];

pub(super) fn verify(call: &Call<'_>, secrets: &[Secret]) -> Result<Verified, Refusal> {
    if secrets.iter().all(Secret::is_empty) {
        return Err(Refusal::NoSecret);
    }
    let written = SIGNATURE.read(call)?;
    let algorithm = algorithm(call)?;
    let signature = Encoding::Base64.read(written, algorithm.bytes()).ok_or_else(|| {
        let wanted = format!("{} bytes in base64", algorithm.bytes());
        Refusal::SignatureMalformed { header: SIGNATURE.to_string(), wanted }
    })?;
    let content = Proof::of(call.url, call.text("content-type"), call.body);
    let fields = match content {
        Proof::Fields(body) => fields(body).ok_or(Refusal::FormTooLarge)?,
        Proof::Hashed(_) => Vec::new(),
        Proof::Unsigned => return Err(Refusal::BodyUnsigned),
    };
    // Which spelling of the address was signed differs between Twilio's products.
    let addresses = url::spellings(call.url);
    let signed_with = |secret: &Secret| {
        let key = Key::Text.bytes(secret).ok()?;
        let is_signed =
            |address: &&String| same(&signature, &algorithm.sign(&key, &[address.as_bytes(), &fields]));
        addresses.iter().find(is_signed)
    };
    let found = secrets.iter().enumerate().find_map(|(at, secret)| Some((at, signed_with(secret)?)));
    let (secret, address) = found.ok_or(Refusal::SignatureWrong)?;
    match content {
        Proof::Hashed(hash) if !is_hash_of(&hash, call.body) => Err(Refusal::BodyHashWrong),
        Proof::Hashed(_) | Proof::Fields(_) | Proof::Unsigned => {
            // Not of the call: the same is signed in whatever order and spelling the fields come.
            let covers = Covers::content(&[address.as_bytes(), &fields]);
            Ok(Verified { secret: Some(secret), signed_at: None, covers })
        }
    }
}

pub(super) fn sign(
    out: &Outgoing<'_>,
    secret: &Secret,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
    let fields = match Proof::of(out.url, out.content_type, out.body) {
        Proof::Fields(body) => fields(body).ok_or(Unsignable::FormTooLarge)?,
        Proof::Hashed(hash) if is_hash_of(&hash, out.body) => Vec::new(),
        Proof::Hashed(_) | Proof::Unsigned => return Err(Unsignable::BodyHash),
    };
    let key = Key::Text.bytes(secret)?;
    let signature = Algorithm::Sha1.sign(&key, &[out.url.as_bytes(), &fields]);
    Ok(vec![SIGNATURE.write(&Encoding::Base64.write(&signature))?])
}

/// With the hash of the body in its query, where the body is no form.
pub(super) fn outgoing_url<'u>(url: &'u str, content_type: Option<&str>, body: &[u8]) -> Cow<'u, str> {
    let without = url::without_field(url, BODY_HASH);
    match Proof::of(&without, content_type, body) {
        Proof::Fields(_) | Proof::Hashed(_) => without,
        Proof::Unsigned => {
            let mark = if form::query(&without).is_empty() { "?" } else { "&" };
            let hash = hex(&Sha256::digest(body));
            Cow::Owned(format!("{}{mark}{BODY_HASH}={hash}", without.trim_end_matches(['?', '&'])))
        }
    }
}

/// How the body is part of what is signed.
enum Proof<'a> {
    /// By its fields; also a body of nothing.
    Fields(&'a [u8]),
    /// By its hash, as the address says it.
    Hashed(Vec<u8>),
    Unsigned,
}

impl<'a> Proof<'a> {
    fn of(url: &str, content_type: Option<&str>, body: &'a [u8]) -> Self {
        let mut query = form::pairs(form::query(url).as_bytes());
        if let Some((_, hash)) = query.find(|(name, _)| name == BODY_HASH.as_bytes()) {
            return Self::Hashed(hash);
        }
        if body.is_empty() || content_type.is_some_and(form::is_form) {
            Self::Fields(body)
        } else {
            Self::Unsigned
        }
    }
}

fn is_hash_of(hash: &[u8], body: &[u8]) -> bool {
    let claimed = std::str::from_utf8(hash).ok().and_then(|hash| Encoding::Hex.read(hash, 32));
    claimed.is_some_and(|claimed| same(&claimed, &Sha256::digest(body)))
}

/// Name and value of each field, one behind the other: by name, then by value, each pair once. `None` where there are more
/// than a stranger may have sorted.
fn fields(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() > FORM_BYTES_MAX || form::count(body) > form::PAIRS_MAX {
        return None;
    }
    let sorted: BTreeSet<(Vec<u8>, Vec<u8>)> = form::pairs(body).collect();
    Some(sorted.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect())
}

fn algorithm(call: &Call<'_>) -> Result<Algorithm, Refusal> {
    let settings = match SETTINGS.read(call) {
        Err(Refusal::Missing { .. } | Refusal::Empty { .. }) => return Ok(Algorithm::Sha1),
        read => read?,
    };
    let mut pairs = settings.split(',').filter_map(|pair| pair.split_once('='));
    match pairs.find(|(name, _)| name.trim() == "algorithm").map(|(_, value)| value.trim()) {
        None | Some("" | "HMAC_SHA1") => Ok(Algorithm::Sha1),
        Some("HMAC_SHA256") => Ok(Algorithm::Sha256),
        Some(_) => {
            let wanted = "HMAC_SHA1 or HMAC_SHA256".to_owned();
            Err(Refusal::SignatureVersion { header: SETTINGS.to_string(), wanted })
        }
    }
}
