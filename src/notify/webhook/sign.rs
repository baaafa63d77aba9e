//! The symmetric signature of the Standard Webhooks specification, version 1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::base::Secret;

const PREFIX: &str = "whsec_";
/// The specification asks for 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets are seen with and without `=` at the end.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key to sign with.
#[derive(Clone)]
pub struct SigningKey {
    bytes: Vec<u8>,
}

impl SigningKey {
    pub(super) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Reads `whsec_` and base64; `None` where it is not that or not 24 to 64 bytes.
    pub fn parse(text: &Secret) -> Option<Self> {
        let bytes = LENIENT.decode(text.expose().trim().strip_prefix(PREFIX)?).ok()?;
        KEY_BYTES.contains(&bytes.len()).then_some(Self { bytes })
    }

    /// As the receiver enters it.
    pub fn text(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}", STANDARD.encode(&self.bytes)))
    }

    /// The header `webhook-signature`: `v1,` and base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // HMAC takes keys of every length; without a key nothing could be signed, so an empty text is no risk.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.bytes) else { return String::new() };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's own Rust library.
    #[test]
    fn the_signature_is_the_one_of_the_specification() {
        let key = SigningKey::parse(&Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")).unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            key.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        assert_eq!(key.text().expose(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    }

    #[test]
    fn padding_is_optional_and_strangers_are_refused() {
        let unpadded = format!("whsec_{}", STANDARD.encode([7; 32]).trim_end_matches('='));
        assert!(SigningKey::parse(&Secret::new(unpadded)).is_some());
        for text in ["", "whsec_", "whsec_AAAA", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_%%%%"] {
            assert!(SigningKey::parse(&Secret::new(text)).is_none(), "{text}");
        }
    }
}
