use sha2::{Digest, Sha256};

use crate::base::{Entropy, Secret};

/// The SHA-256 of a token, link or session cookie: what is stored and looked up. The text itself is 256 random
/// bits, so a fast hash without salt is enough and its lookup needs no comparison in constant time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A new secret of 256 random bits behind `prefix`, and its hash.
pub(super) fn generate(entropy: &Entropy, prefix: &str) -> (Secret, TokenHash) {
    let text = format!("{prefix}{}", entropy.token());
    let hash = TokenHash::of(&text);
    (Secret::new(text), hash)
}
