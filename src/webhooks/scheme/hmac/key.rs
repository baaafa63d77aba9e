//! Keys, hashes and how signatures are written.

use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{KeyInit, Mac};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::Invalid;
use crate::base::Secret;
use crate::base::hex::{from_hex, hex};
use crate::webhooks::scheme::refusal::BadSecret;

/// The hash of the HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Sha1,
    #[default]
    Sha256,
    Sha512,
}

/// How a secret becomes a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The text as it is, with whatever it begins with.
    #[default]
    Text,
    /// Base64 behind this beginning, such as `whsec_`. A secret without it is taken whole; padding may be missing.
    Base64(String),
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

/// Secrets are seen with and without `=` at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const PREFIX_CHARS_MAX: usize = 40;

impl Algorithm {
    /// The length of a signature.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(in crate::webhooks::scheme) fn sign(self, key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha1 => run::<hmac::Hmac<Sha1>>(key, pieces),
            Self::Sha256 => run::<hmac::Hmac<Sha256>>(key, pieces),
            Self::Sha512 => run::<hmac::Hmac<Sha512>>(key, pieces),
        }
    }
}

/// HMAC takes keys of every length, so the empty answer never comes; as a signature it would match nothing.
fn run<M: Mac + KeyInit>(key: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Compares in constant time for equal lengths; nothing equals nothing.
pub(in crate::webhooks::scheme) fn same(signature: &[u8], other: &[u8]) -> bool {
    !signature.is_empty() && bool::from(signature.ct_eq(other))
}

/// A key as long as it is used.
pub(in crate::webhooks::scheme) enum KeyBytes<'s> {
    Text(&'s [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl Deref for KeyBytes<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
        }
    }
}

impl Key {
    /// The bytes to sign with; what is decoded of a secret is wiped as the secret itself.
    pub(in crate::webhooks::scheme) fn bytes<'s>(
        &self,
        secret: &'s Secret,
    ) -> Result<KeyBytes<'s>, BadSecret> {
        let text = secret.expose();
        let bytes = match self {
            Self::Text => KeyBytes::Text(text.as_bytes()),
            Self::Base64(prefix) => {
                let encoded = text.strip_prefix(prefix.as_str()).unwrap_or(text);
                KeyBytes::Decoded(Zeroizing::new(LENIENT.decode(encoded).map_err(|_| BadSecret::NotBase64)?))
            }
        };
        if bytes.is_empty() { Err(BadSecret::Empty) } else { Ok(bytes) }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Base64(prefix) if prefix.chars().count() > PREFIX_CHARS_MAX => {
                Err(Invalid::Field { field: "key", reason: "the beginning holds at most 40 characters" })
            }
            Self::Base64(_) | Self::Text => Ok(()),
        }
    }
}

impl Encoding {
    pub(in crate::webhooks::scheme) fn write(self, signature: &[u8]) -> String {
        match self {
            Self::Hex => hex(signature),
            Self::Base64 => STANDARD.encode(signature),
        }
    }

    /// `None` where the text is not written so, or not of this length. Hex may be in either case.
    pub(in crate::webhooks::scheme) fn read(self, text: &str, bytes: usize) -> Option<Vec<u8>> {
        let read = match self {
            Self::Hex => from_hex(text)?,
            Self::Base64 => STANDARD.decode(text).ok()?,
        };
        (read.len() == bytes).then_some(read)
    }

    pub(in crate::webhooks::scheme) const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_written_and_read() {
        for (encoding, text) in [(Encoding::Hex, "00ff7e"), (Encoding::Base64, "AP9+")] {
            assert_eq!(encoding.write(&[0, 255, 126]), text);
            assert_eq!(encoding.read(text, 3), Some(vec![0, 255, 126]));
            assert_eq!(encoding.read(text, 4), None);
        }
        assert_eq!(Encoding::Hex.read("00FF7E", 3), Some(vec![0, 255, 126]));
        for text in ["0", "0g", "+1", "é", ""] {
            assert_eq!(Encoding::Hex.read(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_key_in_base64_may_lack_its_beginning_and_its_padding() {
        let key = Key::Base64("whsec_".to_owned());
        for text in ["whsec_AAECAw==", "whsec_AAECAw", "AAECAw=="] {
            assert_eq!(key.bytes(&Secret::new(text)).unwrap()[..], [0, 1, 2, 3], "{text}");
        }
        assert_eq!(key.bytes(&Secret::new("whsec_ä")).err(), Some(BadSecret::NotBase64));
        assert_eq!(key.bytes(&Secret::new("whsec_")).err(), Some(BadSecret::Empty));
        assert_eq!(Key::Text.bytes(&Secret::new("whsec_AAECAw")).unwrap()[..], *b"whsec_AAECAw");
    }

    /// RFC 2202 and RFC 4231, test case 2.
    #[test]
    fn the_hashes_are_those_of_the_standard() {
        let pieces: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
        for (algorithm, wanted) in [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ] {
            assert_eq!(hex(&algorithm.sign(b"Jefe", &pieces)), wanted);
        }
        let long = hex(&Algorithm::Sha512.sign(b"Jefe", &pieces));
        assert!(long.starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"), "{long}");
        assert_eq!(long.len(), 2 * Algorithm::Sha512.bytes());
    }
}
