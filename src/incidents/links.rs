//! Links that act without an account, such as acknowledge: who holds one may do that one thing, for a while.
//!
//! A link is 42 bytes in URL-safe base64: version, purpose, incident uid, expiry in seconds (big-endian), and the
//! first 16 bytes of an HMAC-SHA256 over what precedes. A GET with it only shows; only a POST acts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::{Timestamp, Uid};

/// What the holder of a link may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    Acknowledge,
}

/// A link that was signed here and has not run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub incident: Uid,
    pub purpose: LinkPurpose,
    /// Whole seconds.
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not of our making, or damaged on its way.
    #[error("this link is not valid")]
    Invalid,
    #[error("this link has run out")]
    Expired,
}

const VERSION: u8 = 1;
const BODY_BYTES: usize = 26;
/// 128 bits, RFC 2104 §5 allows half of the hash; keeps the link on one line of a mail.
const TAG_BYTES: usize = 16;
/// Keeps these signatures apart from any other use of the key.
const CONTEXT: &[u8] = b"tocsin incident link";

/// The text after `/ack/`, 56 characters.
pub fn sign(key: &[u8; 32], link: &Link) -> String {
    let mut bytes = Vec::with_capacity(BODY_BYTES + TAG_BYTES);
    bytes.extend([VERSION, link.purpose.code()]);
    bytes.extend(link.incident.as_bytes());
    bytes.extend(link.expires_at.as_secs().to_be_bytes());
    if let Some(mac) = mac(key, &bytes) {
        let tag = mac.finalize().into_bytes();
        bytes.extend(tag.iter().take(TAG_BYTES));
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a link; the signature is compared in constant time and before anything else is believed.
pub fn verify(key: &[u8; 32], text: &str, now: Timestamp) -> Result<Link, LinkError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| LinkError::Invalid)?;
    let (body, tag) = bytes.split_at_checked(BODY_BYTES).ok_or(LinkError::Invalid)?;
    if tag.len() != TAG_BYTES {
        return Err(LinkError::Invalid);
    }
    let mac = mac(key, body).ok_or(LinkError::Invalid)?;
    mac.verify_truncated_left(tag).map_err(|_| LinkError::Invalid)?;
    let link = read_body(body).ok_or(LinkError::Invalid)?;
    if link.expires_at <= now { Err(LinkError::Expired) } else { Ok(link) }
}

fn read_body(body: &[u8]) -> Option<Link> {
    let (&[version, purpose], rest) = body.split_first_chunk()?;
    let (uid, expiry) = rest.split_first_chunk()?;
    let expires_at = Timestamp::from_secs(i64::from_be_bytes(expiry.try_into().ok()?));
    let purpose = LinkPurpose::of_code(purpose).filter(|_| version == VERSION)?;
    Some(Link { incident: Uid::from_bytes(*uid), purpose, expires_at })
}

/// HMAC takes keys of every length; `None` cannot happen and makes a link that nobody accepts.
fn mac(key: &[u8; 32], body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(CONTEXT);
    mac.update(body);
    Some(mac)
}

impl LinkPurpose {
    const fn code(self) -> u8 {
        match self {
            Self::Acknowledge => 1,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        [Self::Acknowledge].into_iter().find(|purpose| purpose.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Entropy;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn link() -> Link {
        Link {
            incident: Entropy::seeded(1).uid(NOW),
            purpose: LinkPurpose::Acknowledge,
            expires_at: NOW + Duration::from_hours(24),
        }
    }

    #[test]
    fn a_link_round_trips_until_it_runs_out() {
        let text = sign(&[7; 32], &link());
        assert_eq!(text.len(), 56);
        assert_eq!(verify(&[7; 32], &text, NOW), Ok(link()));
        assert_eq!(verify(&[7; 32], &text, link().expires_at), Err(LinkError::Expired));
        assert_eq!(verify(&[8; 32], &text, NOW), Err(LinkError::Invalid));
    }

    proptest! {
        #[test]
        fn a_changed_link_is_refused(at in 0_usize..42, bit in 0_u8..8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(sign(&[7; 32], &link())).unwrap();
            bytes[at] ^= 1 << bit;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(verify(&[7; 32], &text, NOW), Err(LinkError::Invalid));
        }

        #[test]
        fn any_text_is_refused_calmly(text in ".{0,80}") {
            prop_assert_eq!(verify(&[7; 32], &text, NOW), Err(LinkError::Invalid));
        }
    }
}
