//! Sealing of secrets that must be used again (SMTP, Slack, webhook keys), with a key kept outside the database.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::{Entropy, Secret};

const NONCE_BYTES: usize = 24;

/// Seals and opens secrets with XChaCha20-Poly1305. A sealed value is a 24-byte nonce, then ciphertext and tag.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the sealed value is damaged or was sealed with another key")]
    Damaged,
    #[error("the secret could not be sealed")]
    Refused,
}

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// Seals `secret` for one place: `context` (such as `channel:7`) must be the same when it is opened.
    pub fn seal(&self, entropy: &Entropy, secret: &Secret, context: &str) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(entropy, secret.expose().as_bytes(), context)
    }

    pub fn open(&self, sealed: &[u8], context: &str) -> Result<Secret, SealError> {
        String::from_utf8(self.open_bytes(sealed, context)?).map(Secret::new).map_err(|_| SealError::Damaged)
    }

    /// As [`Sealer::seal`], for what is no text.
    pub fn seal_bytes(&self, entropy: &Entropy, plain: &[u8], context: &str) -> Result<Vec<u8>, SealError> {
        let nonce = entropy.bytes::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed =
            self.cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError::Refused)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub fn open_bytes(&self, sealed: &[u8], context: &str) -> Result<Vec<u8>, SealError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(SealError::Damaged)?;
        let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError::Damaged)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_in_its_place_and_undamaged() {
        let sealer = Sealer::new(&[7; 32]);
        let mut sealed = sealer.seal(&Entropy::seeded(1), &Secret::new("xoxb-1"), "channel:1").unwrap();
        assert_eq!(sealer.open(&sealed, "channel:1").unwrap().expose(), "xoxb-1");
        assert!(sealer.open(&sealed, "channel:2").is_err());
        assert!(Sealer::new(&[8; 32]).open(&sealed, "channel:1").is_err());
        sealed[30] ^= 1;
        assert!(sealer.open(&sealed, "channel:1").is_err());
        assert!(sealer.open(&[], "channel:1").is_err());
    }
}
