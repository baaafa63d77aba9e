//! How many different users an issue touched: exact while few, a bounded estimate when many.

use sha2::{Digest, Sha256};

use super::head::User;

/// Up to here every user is counted.
pub const USERS_EXACT_MAX: usize = 1_000;

/// Hashes in one stored chunk: what is appended to an issue's users is rewritten in pieces of 512 bytes at most.
pub const CHUNK_HASHES_MAX: usize = 64;

/// Stored hashes at which a set is written anew with only what it keeps. A set of any size stores about
/// `1,000 × (1 + ln(users / 1,000))` of them before, so this happens once or twice in an issue's life.
pub const STORED_HASHES_MAX: usize = 2_048;

/// One more than is exact, so that a stored set shows by its size alone that it is an estimate.
const KEPT: usize = USERS_EXACT_MAX + 1;

/// Bytes of one stored hash, little-endian.
const HASH_BYTES: usize = 8;

/// The users of one issue: the smallest 1,001 hashes of all that were inserted.
///
/// Above 1,000 the number follows from how densely the smallest hashes lie ("k minimum values"): its standard
/// error is 1 / √999, 3.2%. Memory: 8 kB at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSet {
    /// Ascending, distinct.
    smallest: Vec<u64>,
}

/// A number of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCount {
    Exact(u64),
    About(u64),
}

impl UserCount {
    pub const fn number(self) -> u64 {
        match self {
            Self::Exact(number) | Self::About(number) => number,
        }
    }

    pub const fn is_exact(self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::About(_) => false,
        }
    }
}

impl UserSet {
    /// Adds a user's hash. `true`: the set changed, and the hash is to be appended to what is stored of it.
    pub fn insert(&mut self, hash: u64) -> bool {
        let Some(at) = self.place_of(hash) else { return false };
        if self.smallest.len() == KEPT {
            self.smallest.pop();
        }
        self.smallest.insert(at, hash);
        true
    }

    /// Whether [`UserSet::insert`] would change the set.
    pub fn lacks(&self, hash: u64) -> bool {
        self.place_of(hash).is_some()
    }

    /// Where a hash belongs that the set lacks; `None` where it is there or too large to be kept.
    fn place_of(&self, hash: u64) -> Option<usize> {
        if self.smallest.len() == KEPT && self.smallest.last().is_some_and(|largest| hash >= *largest) {
            return None;
        }
        self.smallest.binary_search(&hash).err()
    }

    pub fn count(&self) -> UserCount {
        if self.smallest.len() <= USERS_EXACT_MAX {
            return UserCount::Exact(u64::try_from(self.smallest.len()).unwrap_or(u64::MAX));
        }
        // (k − 1) / U, where U is the k-th smallest hash as a share of all hashes.
        let largest = u128::from(self.smallest.last().copied().unwrap_or(u64::MAX)) + 1;
        let others = (KEPT - 1) as u128;
        UserCount::About(u64::try_from((others << 64) / largest).unwrap_or(u64::MAX))
    }

    /// Adds what is stored of a set: chunks in any order, the tail included. An odd end is left out.
    pub fn extend_from_bytes(&mut self, chunk: &[u8]) {
        let (hashes, _odd) = chunk.as_chunks::<HASH_BYTES>();
        for hash in hashes {
            self.insert(u64::from_le_bytes(*hash));
        }
    }

    /// All that the set keeps, to be cut into chunks of [`CHUNK_HASHES_MAX`] when it is written anew.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.smallest.iter().flat_map(|hash| hash.to_le_bytes()).collect()
    }
}

/// A hash as it is appended to a chunk.
pub const fn hash_bytes(hash: u64) -> [u8; HASH_BYTES] {
    hash.to_le_bytes()
}

/// The hash of the strongest thing that identifies a user: id, e-mail, name, address. `None`: nobody is named.
///
/// The same user has the same hash in every issue. It is stable for ever.
pub fn user_hash(user: &User<'_>) -> Option<u64> {
    let known = |text: &Option<std::borrow::Cow<'_, str>>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty() && !text.starts_with("{{") && !text.starts_with('['))
            .map(str::to_owned)
    };
    let identity = known(&user.id)
        .map(|id| format!("id:{id}"))
        .or_else(|| known(&user.email).map(|email| format!("email:{}", email.to_lowercase())))
        .or_else(|| known(&user.username).map(|name| format!("username:{name}")))
        .or_else(|| known(&user.ip_address).map(|address| format!("ip:{address}")))?;
    let digest: [u8; 32] = Sha256::digest(identity.as_bytes()).into();
    digest.first_chunk::<HASH_BYTES>().map(|head| u64::from_le_bytes(*head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `SplitMix64`: spreads consecutive numbers like a hash does.
    fn spread(n: u64) -> u64 {
        let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn up_to_a_thousand_is_exact_and_one_more_is_not() {
        let mut set = UserSet::default();
        for n in 0..1_000 {
            assert!(set.insert(spread(n)));
            assert!(!set.insert(spread(n)));
        }
        assert_eq!(set.count(), UserCount::Exact(1_000));
        set.insert(spread(1_000));
        assert!(!set.count().is_exact());
        assert!((900..=1_100).contains(&set.count().number()), "{:?}", set.count());
    }

    #[test]
    fn a_set_that_is_written_anew_is_still_an_estimate() {
        let mut set = UserSet::default();
        for n in 0..50_000 {
            set.insert(spread(n));
        }
        let mut read = UserSet::default();
        set.to_bytes()
            .chunks(CHUNK_HASHES_MAX * HASH_BYTES)
            .rev()
            .for_each(|chunk| read.extend_from_bytes(chunk));
        assert_eq!(read, set);
        assert!(!read.count().is_exact());
        assert_eq!(set.to_bytes().len(), KEPT * HASH_BYTES);
    }

    #[test]
    fn an_estimate_changes_rarely_enough_to_be_appended() {
        let mut set = UserSet::default();
        let changes = (0..1_000_000).filter(|n| set.insert(spread(*n))).count();
        assert!(changes < 8_500, "1,000 × (1 + ln 1,000) is 7,900; here {changes}");
    }

    #[test]
    fn the_estimate_is_as_close_as_it_says() {
        const SETS: u64 = 200;
        let mut squares = 0.0;
        let mut beyond_three_sigma = 0;
        for nth in 0..SETS {
            let users = 1_100 + nth * 150;
            let mut set = UserSet::default();
            for n in 0..users {
                set.insert(spread(spread(nth).wrapping_add(n)));
            }
            let estimate = set.count().number();
            assert!(estimate.abs_diff(users) * 100 < users * 13, "{estimate} for {users}");
            let error = f64::from(u32::try_from(estimate.abs_diff(users)).unwrap())
                / f64::from(u32::try_from(users).unwrap());
            squares += error * error;
            beyond_three_sigma += u32::from(error > 0.095);
        }
        let deviation = (squares / 200.0).sqrt();
        assert!((0.01..0.036).contains(&deviation), "{deviation}");
        assert!(beyond_three_sigma <= 2, "{beyond_three_sigma} of {SETS}");
    }

    #[test]
    fn the_strongest_identity_counts() {
        let user = |id: Option<&'static str>, email: Option<&'static str>, ip: Option<&'static str>| User {
            id: id.map(Into::into),
            email: email.map(Into::into),
            username: None,
            ip_address: ip.map(Into::into),
        };
        let by_id = user_hash(&user(Some("7"), Some("a@x.org"), None));
        assert_eq!(by_id, user_hash(&user(Some("7"), Some("b@x.org"), Some("10.0.0.1"))));
        assert_ne!(by_id, user_hash(&user(None, Some("7"), None)));
        assert_eq!(
            user_hash(&user(None, Some("A@x.org"), None)),
            user_hash(&user(None, Some("a@x.org"), None))
        );
        assert_eq!(user_hash(&user(Some(" "), Some("[Filtered]"), Some("{{auto}}"))), None);
        assert_eq!(
            user_hash(&user(Some("7"), None, None)),
            Some(0x7276_9bdb_9d81_f7cb),
            "stored hashes stay valid"
        );
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(mut hashes in prop::collection::vec(0_u64..3_000, 0..2_000)) {
            let mut forward = UserSet::default();
            for hash in &hashes {
                forward.insert(spread(*hash));
            }
            hashes.reverse();
            let mut stored = UserSet::default();
            let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash_bytes(spread(*hash))).collect();
            stored.extend_from_bytes(&bytes);
            prop_assert_eq!(&forward, &stored);
            hashes.sort_unstable();
            hashes.dedup();
            if hashes.len() <= USERS_EXACT_MAX {
                prop_assert_eq!(forward.count(), UserCount::Exact(hashes.len() as u64));
            }
        }
    }
}
