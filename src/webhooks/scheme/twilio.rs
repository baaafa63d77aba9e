//! Twilio's signature: HMAC-SHA1 in base64 over the address and, of a form, its fields by their names
//! (<https://www.twilio.com/docs/usage/webhooks/webhooks-security>). Of any other body the address carries the hash.

mod url;

use std::borrow::Cow;
use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::header::Header;
use super::hmac::{Algorithm, Encoding, Key};
use super::refusal::{Refusal, Unsignable};
use super::{Call, Outgoing, Verified};
use crate::base::Secret;
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
    let content = Content::of(call.url, call.text("content-type"), call.body);
    let fields = match content {
        Content::Fields(body) => fields(body),
        Content::Hashed(_) => Vec::new(),
        Content::Unsigned => return Err(Refusal::BodyUnsigned),
    };
    // Which spelling of the address was signed differs between Twilio's products.
    let addresses = url::spellings(call.url);
    let is_signed_with = |secret: &Secret| {
        let Ok(key) = Key::Text.bytes(secret) else { return false };
        let signed = |address: &String| algorithm.sign(&key, &[address.as_bytes(), &fields]);
        addresses.iter().any(|address| same(&signature, &signed(address)))
    };
    let secret = secrets.iter().position(is_signed_with).ok_or(Refusal::SignatureWrong)?;
    match content {
        Content::Hashed(hash) if !is_hash_of(&hash, call.body) => Err(Refusal::BodyHashWrong),
        Content::Hashed(_) | Content::Fields(_) | Content::Unsigned => {
            Ok(Verified { secret: Some(secret), signed_at: None })
        }
    }
}

pub(super) fn sign(
    out: &Outgoing<'_>,
    secret: &Secret,
) -> Result<Vec<(HeaderName, HeaderValue)>, Unsignable> {
    let fields = match Content::of(out.url, out.content_type, out.body) {
        Content::Fields(body) => fields(body),
        Content::Hashed(hash) if is_hash_of(&hash, out.body) => Vec::new(),
        Content::Hashed(_) | Content::Unsigned => return Err(Unsignable::BodyHash),
    };
    let key = Key::Text.bytes(secret)?;
    let signature = Algorithm::Sha1.sign(&key, &[out.url.as_bytes(), &fields]);
    Ok(vec![SIGNATURE.write(&Encoding::Base64.write(&signature))?])
}

/// With the hash of the body in its query, where the body is no form.
pub(super) fn outgoing_url<'u>(url: &'u str, content_type: Option<&str>, body: &[u8]) -> Cow<'u, str> {
    let without = url::without_field(url, BODY_HASH);
    match Content::of(&without, content_type, body) {
        Content::Fields(_) | Content::Hashed(_) => without,
        Content::Unsigned => {
            let mark = if form::query(&without).is_empty() { "?" } else { "&" };
            let hash = super::hmac::hex(&Sha256::digest(body));
            Cow::Owned(format!("{}{mark}{BODY_HASH}={hash}", without.trim_end_matches(['?', '&'])))
        }
    }
}

/// How the body is part of what is signed.
enum Content<'a> {
    /// By its fields; also a body of nothing.
    Fields(&'a [u8]),
    /// By its hash, as the address says it.
    Hashed(Vec<u8>),
    Unsigned,
}

impl<'a> Content<'a> {
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

/// Name and value of each field, one behind the other: by name, then by value, each pair once.
fn fields(body: &[u8]) -> Vec<u8> {
    let sorted: BTreeSet<(Vec<u8>, Vec<u8>)> = form::pairs(body).collect();
    sorted.into_iter().flat_map(|(name, value)| [name, value]).flatten().collect()
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
