//! Judges the names of values: which keys, headers, parameters and variables hold secrets.
//!
//! A name is taken apart at case changes and punctuation, so that `authToken`, `AUTH-TOKEN` and `auth_token` are one
//! and `author` is none. Words that cannot be part of another word are found anywhere in the name.

use super::ScrubRules;

/// What a name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    /// Says nothing.
    Clear,
    /// The project's rules declare it harmless.
    Safe,
    /// A text of that name is a secret, structure below it is not (`session`).
    Text,
    /// Texts and structures of that name are secret, numbers are counts (`tokens`, `pass`).
    Uncounted,
    /// Whatever is below is a secret.
    Secret,
}

/// The names a project adds and exempts, brought to lower-case letters and digits.
#[derive(Debug, Default)]
pub(super) struct Names {
    extra: Vec<String>,
    safe: Vec<String>,
}

/// Found anywhere in the name without its punctuation: none of them is part of an innocent word.
const ANYWHERE: [&str; 26] = [
    "password",
    "passwort",
    "kennwort",
    "passwd",
    "passphrase",
    "passcode",
    "credential",
    "apikey",
    "privatekey",
    "secretkey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "csrf",
    "xsrf",
    "sessionid",
    "sessid",
    "mysqlpwd",
    "clientsecret",
    "twofactor",
    "amzsignature",
    "googsignature",
];
/// Found as a word of the name.
const WORDS: [&str; 16] = [
    "secret",
    "secrets",
    "token",
    "pwd",
    "otp",
    "jwt",
    "bearer",
    "cvv",
    "cvv2",
    "cvc",
    "ssn",
    "authorization",
    "cred",
    "creds",
    "cookies",
    "passwords",
];
/// Found as the last word: `http_cookie` and `basic_auth`, but not `cookie_consent` and `auth_method`.
const LAST_WORDS: [&str; 2] = ["cookie", "auth"];
/// Words of which numbers are counts, found as the last word.
const LAST_WORDS_UNCOUNTED: [&str; 4] = ["tokens", "pass", "pin", "sig"];
/// Before `key`, as two words; the one-word forms stand in [`ANYWHERE`].
const BEFORE_KEY: [&str; 7] = ["auth", "master", "shared", "account", "ssh", "deploy", "service"];
/// Names of session cookies; alone they are too common to condemn a structure.
const SESSIONS: [&str; 8] =
    ["session", "sid", "connectsid", "symfony", "usersession", "sentrysid", "sudo", "su"];
/// A name that ends so tells about a secret and does not hold it: `token_type`, `password_changed_at`.
const ABOUT: [&str; 22] = [
    "at",
    "count",
    "counts",
    "enabled",
    "endpoint",
    "error",
    "errors",
    "expiration",
    "expires",
    "expiry",
    "in",
    "len",
    "length",
    "limit",
    "policy",
    "required",
    "size",
    "ttl",
    "type",
    "url",
    "usage",
    "valid",
];
/// A name is judged by its last bytes up to here; more is no name.
const NAME_BYTES_MAX: usize = 256;
/// No listed name has fewer letters.
const NAME_BYTES_MIN: usize = 2;

impl Names {
    pub(super) fn new(rules: &ScrubRules) -> Self {
        let compact = |keys: &[String]| {
            let keys = keys.iter().map(|key| key.chars().filter(|c| c.is_alphanumeric()).collect::<String>());
            keys.map(|key| key.to_lowercase()).filter(|key| !key.is_empty()).collect()
        };
        Self { extra: compact(&rules.extra_keys), safe: compact(&rules.safe_keys) }
    }

    /// Judges one name.
    pub(super) fn judge(&self, name: &str) -> Sensitivity {
        let no_rules = self.extra.is_empty() && self.safe.is_empty();
        if name.len() < NAME_BYTES_MIN || (no_rules && !may_be_sensitive(name)) {
            return Sensitivity::Clear;
        }
        let words = Words::of(name);
        let compact = words.compact();
        if self.safe.contains(&compact) {
            return Sensitivity::Safe;
        }
        if self.extra.iter().any(|extra| compact.contains(extra.as_str())) {
            return Sensitivity::Secret;
        }
        words.judge(&compact, name)
    }
}

/// Whether three letters in a row belong to any listed word. Nearly every innocent name ends here.
fn may_be_sensitive(name: &str) -> bool {
    // `su`, the one listed name of two letters.
    if name.len() == NAME_BYTES_MIN {
        return name.eq_ignore_ascii_case("su");
    }
    let mut three = 0_usize;
    for byte in name.bytes().filter(u8::is_ascii_alphabetic) {
        three = ((three << 5) | usize::from(byte & 0x1f)) & 0x7fff;
        if TRIGRAMS[three >> 6] & (1 << (three & 63)) != 0 {
            return true;
        }
    }
    false
}

/// Three letters of every listed word, chosen to be rare, as a set of 15-bit numbers.
const TRIGRAMS: [u64; 512] = trigrams(&[
    b"pas", b"pwd", b"ecr", b"tok", b"aut", b"cre", b"key", b"srf", b"ses", b"sid", b"otp", b"jwt", b"bea",
    b"cvv", b"cvc", b"ssn", b"ook", b"wof", b"zsi", b"gsi", b"ymf", b"udo", b"pin", b"sig", b"nnw",
]);

const fn trigrams(list: &[&[u8; 3]]) -> [u64; 512] {
    let mut set = [0; 512];
    let mut at = 0;
    while at < list.len() {
        let [a, b, c] = *list[at];
        let three = ((a & 0x1f) as usize) << 10 | ((b & 0x1f) as usize) << 5 | (c & 0x1f) as usize;
        set[three >> 6] |= 1 << (three & 63);
        at += 1;
    }
    set
}

/// A name as lower-case words, each followed by a blank.
struct Words {
    spaced: String,
}

impl Words {
    fn of(name: &str) -> Self {
        let mut from = name.len().saturating_sub(NAME_BYTES_MAX);
        while !name.is_char_boundary(from) {
            from += 1;
        }
        let name = &name[from..];
        let mut spaced = String::with_capacity(2 * name.len() + 1);
        let mut previous = ' ';
        let mut characters = name.chars().peekable();
        while let Some(character) = characters.next() {
            let lower_follows = characters.peek().is_some_and(|next| next.is_lowercase());
            let new_word = character.is_uppercase()
                && (previous.is_lowercase()
                    || previous.is_numeric()
                    || (previous.is_uppercase() && lower_follows));
            if new_word || !character.is_alphanumeric() {
                end_word(&mut spaced);
            }
            if character.is_alphanumeric() {
                spaced.extend(character.to_lowercase());
            }
            previous = character;
        }
        end_word(&mut spaced);
        Self { spaced }
    }

    fn compact(&self) -> String {
        self.spaced.chars().filter(|c| *c != ' ').collect()
    }

    fn judge(&self, compact: &str, name: &str) -> Sensitivity {
        let mut words =
            self.spaced.split_terminator(' ').map(|word| word.trim_end_matches(|c: char| c.is_numeric()));
        let last = words.clone().next_back().unwrap_or_default();
        if ABOUT.contains(&last) {
            return Sensitivity::Clear;
        }
        if SESSIONS.contains(&compact) {
            return Sensitivity::Text;
        }
        // The shell's working directory is no password.
        if name == "PWD" || name == "OLDPWD" {
            return Sensitivity::Clear;
        }
        let before_key =
            last == "key" && words.clone().rev().nth(1).is_some_and(|word| BEFORE_KEY.contains(&word));
        let secret = before_key
            || LAST_WORDS.contains(&last)
            || words.any(|word| WORDS.contains(&word))
            || ANYWHERE.iter().any(|known| compact.contains(known));
        if secret {
            Sensitivity::Secret
        } else if LAST_WORDS_UNCOUNTED.contains(&last) {
            Sensitivity::Uncounted
        } else {
            Sensitivity::Clear
        }
    }
}

fn end_word(spaced: &mut String) {
    if !spaced.is_empty() && !spaced.ends_with(' ') {
        spaced.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(name: &str) -> Sensitivity {
        Names::default().judge(name)
    }

    #[test]
    fn secret_names_are_known_in_every_spelling() {
        for name in [
            "password",
            "PASSWORD",
            "db_password",
            "userPassword",
            "password2",
            "passwd",
            "PGPASSWORD",
            "secret",
            "client_secret",
            "clientSecret",
            "SECRET_KEY",
            "api_key",
            "apiKey",
            "API-Key",
            "X-Api-Key",
            "apikey",
            "auth",
            "auth_token",
            "authToken",
            "AuthToken",
            "AUTH-TOKEN",
            "token",
            "accessToken",
            "access_token",
            "id_token",
            "x-amz-security-token",
            "Authorization",
            "Proxy-Authorization",
            "http.request.header.cookie",
            "HTTP_COOKIE",
            "Cookie",
            "Set-Cookie",
            "cookies",
            "csrfmiddlewaretoken",
            "X-CSRFToken",
            "_xsrf",
            "credentials",
            "aws_credentials",
            "mysql_pwd",
            "db_pwd",
            "pwd",
            "private_key",
            "privateKey",
            "private-key",
            "otp",
            "two_factor",
            "two-factor",
            "sessionid",
            "session_id",
            "PHPSESSID",
            "JSESSIONID",
            "JWT",
            "bearer",
            "cvv",
            "card_cvc",
            "ssn",
            "account_key",
            "_vercel_jwt",
            "APIKey",
            "stripeAPIKey",
            "X-Amz-Signature",
            "passwords",
            "accessTokens",
            "Passwort",
            "db_kennwort",
        ] {
            assert_eq!(judge(name), Sensitivity::Secret, "{name}");
        }
    }

    #[test]
    fn innocent_names_stay_clear() {
        for name in [
            "author",
            "authors",
            "authenticated",
            "tokenizer",
            "secretary",
            "compass",
            "passenger",
            "bypass_cache",
            "keyboard",
            "key",
            "public_key",
            "primary_key",
            "cookie_consent",
            "auth_method",
            "token_type",
            "token_count",
            "expires_in",
            "token_expires_in",
            "password_changed_at",
            "passwordLength",
            "PWD",
            "OLDPWD",
            "session_start",
            "assessment",
            "usage",
            "filename",
            "function",
            "self",
            "request",
            "thread.id",
            "cvs",
            "signal",
            "design",
            "opinion",
            "spinner",
            "id",
            "x",
            "",
            "ü",
            "sn",
        ] {
            assert_eq!(judge(name), Sensitivity::Clear, "{name}");
        }
    }

    #[test]
    fn names_of_counts_and_sessions_are_judged_with_their_value() {
        for name in ["max_tokens", "gen_ai.usage.input_tokens", "pass", "db_pass", "pin", "sig"] {
            assert_eq!(judge(name), Sensitivity::Uncounted, "{name}");
        }
        for name in ["session", "__session", "user_session", "connect.sid", "sid"] {
            assert_eq!(judge(name), Sensitivity::Text, "{name}");
        }
    }

    #[test]
    fn a_project_adds_and_exempts_names() {
        let rules = ScrubRules {
            extra_keys: vec!["Tax-ID".to_owned(), String::new()],
            safe_keys: vec!["token_prefix".to_owned(), "auth".to_owned()],
        };
        let names = Names::new(&rules);
        assert_eq!(names.judge("customerTaxId"), Sensitivity::Secret);
        assert_eq!(names.judge("tokenPrefix"), Sensitivity::Safe);
        assert_eq!(names.judge("auth"), Sensitivity::Safe);
        assert_eq!(names.judge("token"), Sensitivity::Secret);
        assert_eq!(names.judge("name"), Sensitivity::Clear);
    }

    #[test]
    fn the_quick_look_passes_every_listed_word() {
        let lists = [&ANYWHERE[..], &WORDS, &LAST_WORDS, &LAST_WORDS_UNCOUNTED, &SESSIONS];
        for word in lists.into_iter().flatten() {
            assert!(may_be_sensitive(word), "{word}");
            assert!(may_be_sensitive(&word.to_uppercase()), "{word}");
        }
        assert!(BEFORE_KEY.iter().all(|word| may_be_sensitive(&format!("{word}_key"))));
        assert!(
            !may_be_sensitive("filename") && !may_be_sensitive("lineno") && !may_be_sensitive("function")
        );
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name in ".{0,300}") {
            let _judged = judge(&name);
        }
    }
}
