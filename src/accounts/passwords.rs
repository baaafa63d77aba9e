//! Passwords: what is accepted, how they are hashed, and a check that takes the same time for everybody.
//!
//! Hashing takes 15 to 50 milliseconds and 19 MiB: one at a time, on the blocking pool, never in a store closure.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::users::{Credentials, User};
use super::{Email, Error};
use crate::base::{Entropy, Secret};

/// A password that somebody chose and that is good enough to be hashed.
#[derive(Clone, Debug)]
pub struct NewPassword(Secret);

/// A password as it is stored: argon2id in the PHC string format, salt and parameters included.
#[derive(Clone)]
pub struct PasswordHash(String);

/// What a sign-in attempt came to. The visitor is told only whether it was [`Verdict::Right`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right(User),
    UnknownUser,
    WrongPassword,
    /// The password is right, but the user may not come in.
    Disabled,
    /// The user comes in by links only.
    NoPassword,
}

/// Shorter ones are guessed; longer ones are not demanded, because people then write them down.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Room for any phrase; bounds what a stranger can make the program hash.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// OWASP's first choice for argon2id (password storage cheat sheet, 2024): 19 MiB, two passes, one lane. More
/// memory would not fit beside the load on a machine of 512 MB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// RFC 9106 §3.1 recommends 16 bytes.
const SALT_BYTES: usize = 16;

/// What hashing works in, kept for the next one. Given back each time, it would stay in the heap of whichever thread
/// hashed: many threads, many times 19 MiB.
static WORKSPACE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// The hash of a password nobody knows, with the parameters above: what an unknown user is checked against.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$S+2Hqzp+N0WbqoGxCTx/og$TR7GNm9t4AV1RJ640KMnMX/exG5bYxpaeu0d6emgKnU";

impl NewPassword {
    /// # Errors
    /// [`Error::PasswordTooShort`], [`Error::PasswordTooLong`], [`Error::PasswordCommon`].
    pub fn parse(text: Secret, email: &Email) -> Result<Self, Error> {
        if text.expose().chars().count() < PASSWORD_CHARS_MIN {
            return Err(Error::PasswordTooShort);
        }
        if text.expose().len() > PASSWORD_BYTES_MAX {
            return Err(Error::PasswordTooLong);
        }
        if is_common(text.expose(), email) {
            return Err(Error::PasswordCommon);
        }
        Ok(Self(text))
    }
}

impl PasswordHash {
    pub(super) fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Hashes for the store, with a new salt. Slow on purpose.
pub fn hash(password: &NewPassword, entropy: &Entropy) -> Result<PasswordHash, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Hashing(error.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| failed(&error))?;
    let salt = phc::Salt::new(&entropy.bytes::<SALT_BYTES>()).map_err(|error| failed(&error))?;
    let output = digest(&params, password.0.expose().as_bytes(), &salt, Params::DEFAULT_OUTPUT_LEN)
        .ok_or_else(|| failed(&"argon2 refused its parameters"))?;
    let hash = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.into(),
        version: Some(Version::V0x13.into()),
        params: (&params).try_into().map_err(|error: argon2::password_hash::Error| failed(&error))?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(PasswordHash(hash.to_string()))
}

/// Checks `candidate`, in about the same time whether the user exists, has a password or is disabled.
pub fn verify(credentials: Option<&Credentials>, candidate: &Secret) -> Verdict {
    let stored = credentials.and_then(|credentials| credentials.password.as_ref());
    let matches = matches(stored.map_or(DECOY, PasswordHash::as_str), candidate);
    match (credentials, stored) {
        (None, _) => Verdict::UnknownUser,
        (Some(_), None) => Verdict::NoPassword,
        (Some(_), Some(_)) if !matches => Verdict::WrongPassword,
        (Some(found), Some(_)) if found.user.disabled_at.is_some() => Verdict::Disabled,
        (Some(found), Some(_)) => Verdict::Right(found.user.clone()),
    }
}

/// Uses the parameters that stand in the hash, so that older hashes stay valid when the constants change.
fn matches(stored: &str, candidate: &Secret) -> bool {
    let candidate = candidate.expose().as_bytes();
    // What is too long was never accepted as a password; hashing its beginning keeps the time the same.
    let fits = candidate.len() <= PASSWORD_BYTES_MAX;
    let hashed = &candidate[..candidate.len().min(PASSWORD_BYTES_MAX)];
    compare(stored, hashed) == Some(true) && fits
}

/// `None` where the stored hash cannot be read.
fn compare(stored: &str, candidate: &[u8]) -> Option<bool> {
    let stored = phc::PasswordHash::new(stored).ok()?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let params = Params::try_from(&stored).ok()?;
    // The comparison of outputs takes constant time.
    Some(digest(&params, candidate, &salt, expected.len())? == expected)
}

/// argon2id in the one workspace, so one at a time.
fn digest(params: &Params, password: &[u8], salt: &[u8], length: usize) -> Option<phc::Output> {
    let mut workspace = WORKSPACE.lock().unwrap_or_else(PoisonError::into_inner);
    let blocks = params.block_count();
    if workspace.len() < blocks {
        workspace.resize(blocks, Block::new());
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut output = vec![0; length];
    argon2.hash_password_into_with_memory(password, salt, &mut output, &mut workspace[..blocks]).ok()?;
    phc::Output::new(&output).ok()
}

/// Long enough, and still the first that anybody tries: one character over and over, a run of neighbours, the
/// address itself, or a well-known stem with digits and signs around it.
fn is_common(text: &str, email: &Email) -> bool {
    let folded = text.to_lowercase();
    let distinct: std::collections::BTreeSet<char> = folded.chars().collect();
    let letters = folded.trim_matches(|c: char| !c.is_alphabetic());
    let plain = |word: &str| folded == word || letters == word;
    distinct.len() <= 2
        || is_run(&folded)
        || plain(&email.folded())
        || plain(&email.local_part().to_lowercase())
        || COMMON.iter().any(|word| plain(word))
}

/// Every character follows the one before, as in `1234567890` and `abcdefghij`.
fn is_run(text: &str) -> bool {
    let codes = || text.chars().map(u32::from);
    let steps = |step: i64| {
        codes().zip(codes().skip(1)).all(|(a, b)| {
            let step_here = i64::from(b) - i64::from(a);
            step_here == step || (step_here == -9 * step && step != 0)
        })
    };
    steps(1) || steps(-1)
}

/// From public lists of leaked passwords: those of ten characters or more, and the stems people pad to ten.
const COMMON: [&str; 30] = [
    "password",
    "passwort",
    "passw0rd",
    "p@ssw0rd",
    "p@ssword",
    "passwordpassword",
    "mypassword",
    "qwertyuiop",
    "qwertyuiopasdfghjkl",
    "qwertz",
    "qwerty",
    "asdfghjkl",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "zaq12wsx",
    "iloveyou",
    "letmein",
    "letmeinplease",
    "welcome",
    "administrator",
    "admin",
    "changeme",
    "changemeplease",
    "superman",
    "football",
    "baseball",
    "trustno",
    "correcthorsebatterystaple",
    "tocsin",
];

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Role;
    use crate::accounts::users::UserId;
    use crate::base::{Timestamp, Uid};

    fn email() -> Email {
        "ada.lovelace@example.com".parse().unwrap()
    }

    fn parse(text: &str) -> Result<NewPassword, Error> {
        NewPassword::parse(Secret::new(text), &email())
    }

    fn credentials(password: Option<PasswordHash>, disabled: bool) -> Credentials {
        let user = User {
            id: UserId(1),
            uid: Uid::from_bytes([1; 16]),
            email: email(),
            role: Role::Member,
            has_password: password.is_some(),
            created_at: Timestamp::EPOCH,
            last_seen_at: None,
            disabled_at: disabled.then_some(Timestamp::EPOCH),
        };
        Credentials { user, password }
    }

    #[test]
    fn length_is_bounded_on_both_sides() {
        assert!(matches!(parse("ninechars"), Err(Error::PasswordTooShort)));
        assert!(matches!(parse("äöüßäöüßä"), Err(Error::PasswordTooShort)));
        assert!(matches!(parse(&"ab3".repeat(400)), Err(Error::PasswordTooLong)));
        assert!(parse("plum train 7").is_ok());
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for common in [
            "1234567890",
            "0987654321",
            "abcdefghijkl",
            "aaaaaaaaaaaa",
            "ababababab",
            "Password123",
            "!!password2026!!",
            "QWERTYUIOP",
            "1q2w3e4r5t",
            "ada.lovelace@example.com",
            "Ada.Lovelace1",
            "changeme!!!",
        ] {
            assert!(matches!(parse(common), Err(Error::PasswordCommon)), "{common}");
        }
        for good in ["password of my aunt", "xk-1234567890", "lovelace engine"] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_hash_opens_with_its_password_alone_and_every_hash_is_salted() {
        let entropy = Entropy::seeded(1);
        let password = parse("plum train 7").unwrap();
        let first = hash(&password, &entropy).unwrap();
        assert_ne!(first.as_str(), hash(&password, &entropy).unwrap().as_str());
        assert!(first.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", first.as_str());
        let right = Secret::new("plum train 7");
        let active = credentials(Some(first.clone()), false);
        assert_eq!(verify(Some(&active), &right), Verdict::Right(active.user.clone()));
        assert_eq!(verify(Some(&active), &Secret::new("plum train 8")), Verdict::WrongPassword);
        assert_eq!(verify(Some(&active), &Secret::new("x".repeat(2000))), Verdict::WrongPassword);
        let disabled = credentials(Some(first), true);
        assert_eq!(verify(Some(&disabled), &right), Verdict::Disabled);
        assert_eq!(verify(Some(&disabled), &Secret::new("wrong wrong")), Verdict::WrongPassword);
        assert_eq!(verify(Some(&credentials(None, false)), &right), Verdict::NoPassword);
        assert_eq!(verify(None, &right), Verdict::UnknownUser);
    }

    #[test]
    fn the_decoy_costs_what_a_new_hash_costs() {
        let head = |text: &str| text.rsplitn(3, '$').last().map(str::to_owned);
        let fresh = hash(&parse("plum train 7").unwrap(), &Entropy::seeded(1)).unwrap();
        assert_eq!(head(DECOY), head(fresh.as_str()));
        assert_eq!(DECOY.len(), fresh.as_str().len());
        assert!(phc::PasswordHash::new(DECOY).is_ok());
    }
}
