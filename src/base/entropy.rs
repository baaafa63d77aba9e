//! Randomness as a parameter: the operating system's in production, a seeded stream in tests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::{Timestamp, Uid};

/// A source of unpredictable bytes, ids, tokens and jitter. Clones share one stream.
#[derive(Clone)]
pub struct Entropy {
    stream: Arc<Mutex<ChaCha20Rng>>,
}

impl Entropy {
    /// Seeds a cryptographic stream from the operating system.
    ///
    /// # Errors
    /// Where the operating system has no randomness to give.
    pub fn system() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::from_seed(seed))
    }

    /// The same stream for the same seed: for tests and benchmarks.
    pub fn seeded(seed: u64) -> Self {
        Self { stream: Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed))) }
    }

    fn from_seed(seed: [u8; 32]) -> Self {
        Self { stream: Arc::new(Mutex::new(ChaCha20Rng::from_seed(seed))) }
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut out);
        out
    }

    pub fn next_u64(&self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// A time-ordered outside id (UUID version 7, RFC 9562).
    pub fn uid(&self, now: Timestamp) -> Uid {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Uid(uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid())
    }

    /// 256 random bits as 43 URL-safe characters: for tokens, links and session cookies.
    pub fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A duration drawn evenly from `base × [1 − share, 1 + share]`; `share` is clamped to 0…1.
    pub fn jitter(&self, base: Duration, share: f64) -> Duration {
        let share = share.clamp(0.0, 1.0);
        let unit = f64::from(u32::from_le_bytes(self.bytes())) / f64::from(u32::MAX);
        base.mul_f64(1.0 - share + 2.0 * share * unit)
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_inside_its_share() {
        let entropy = Entropy::seeded(1);
        for _ in 0..1000 {
            let drawn = entropy.jitter(Duration::from_secs(10), 0.2);
            assert!((Duration::from_secs(8)..=Duration::from_secs(12)).contains(&drawn), "{drawn:?}");
        }
    }

    #[test]
    fn uids_sort_by_time() {
        let entropy = Entropy::seeded(1);
        let early = entropy.uid(Timestamp::from_secs(1_000));
        let late = entropy.uid(Timestamp::from_secs(1_001));
        assert!(early < late);
    }
}
