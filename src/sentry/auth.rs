//! Finds the sender's public key in a request, in every form that SDKs and proxies use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::base::text::clip;

/// Who sends, as claimed; whether the key exists is for the caller to look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub public_key: [u8; 16],
    /// The SDK's name and version (`sentry.python/2.75.0`), at most 100 characters.
    pub client: Option<String>,
    /// Protocol version, 2 to 8; [`VERSION_DEFAULT`] where none is given.
    pub version: u8,
}

/// The places of a request that may hold credentials, as plain text; absent where the request lacks them.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuthSources<'a> {
    pub x_sentry_auth: Option<&'a str>,
    pub authorization: Option<&'a str>,
    /// The raw query string without `?`.
    pub query: Option<&'a str>,
}

/// Why no credentials could be taken; the text is meant for `X-Sentry-Error` and holds nothing the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Answer 401.
    #[error("missing authorization information: no sentry_key in X-Sentry-Auth, Authorization, query or DSN")]
    Missing,
    /// Answer 401.
    #[error("bad sentry_key: expected 32 hexadecimal digits")]
    BadKey,
    /// Answer 400.
    #[error("unsupported sentry_version: expected 2 to 8")]
    UnsupportedVersion,
}

impl AuthError {
    /// The HTTP status that goes with the error.
    pub const fn status(self) -> u16 {
        match self {
            Self::Missing | Self::BadKey => 401,
            Self::UnsupportedVersion => 400,
        }
    }
}

/// What an SDK speaks that names no version.
pub const VERSION_DEFAULT: u8 = 7;
/// The newest protocol version that SDKs name today.
const VERSION_MAX: u8 = 8;
/// The oldest version whose events still have today's shape.
const VERSION_MIN: u8 = 2;
/// SDK names are short; whatever is longer is not a name.
const CLIENT_CHARS_MAX: usize = 100;

/// Takes the first valid credentials in the order header, authorization, query. Where there are none, an envelope may
/// still name a key: [`of_dsn`].
///
/// Proxies add credentials of their own (Basic, Bearer): what is not Sentry's is skipped, and several valid ones
/// are not an error. When none is valid, the error names the most telling fault seen.
pub fn credentials(sources: &AuthSources<'_>) -> Result<Credentials, AuthError> {
    let attempts = [
        sources.x_sentry_auth.map(from_sentry_header),
        sources.authorization.map(from_authorization),
        sources.query.map(from_query),
    ];
    let mut fault = AuthError::Missing;
    for attempt in attempts.into_iter().flatten() {
        match attempt {
            Ok(found) => return Ok(found),
            Err(AuthError::Missing) => {}
            Err(told @ (AuthError::BadKey | AuthError::UnsupportedVersion)) => fault = told,
        }
    }
    Err(fault)
}

/// The credentials in the `dsn` of an envelope header, known only after a part of the body was read. `fault` is what
/// [`credentials`] said of the request itself.
pub fn of_dsn(dsn: Option<&str>, fault: AuthError) -> Result<Credentials, AuthError> {
    let parsed = Dsn::parse(dsn.ok_or(fault)?).ok_or(AuthError::BadKey)?;
    Ok(Credentials { public_key: parsed.public_key, client: None, version: VERSION_DEFAULT })
}

/// A DSN taken apart: `scheme://KEY[:SECRET]@host[:port][/prefix]/PROJECT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dsn {
    pub public_key: [u8; 16],
    /// The last path segment, where it is a positive integer.
    pub project: Option<i64>,
}

impl Dsn {
    /// Reads a DSN; `None` where it holds no usable key.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.trim().split_once("://")?;
        let (user, place) = rest.split_once('@')?;
        let public_key = parse_key(user.split(':').next().unwrap_or(user))?;
        let path = place.split(['?', '#']).next().unwrap_or(place);
        let project = path.trim_end_matches('/').rsplit('/').next().and_then(|last| last.parse().ok());
        Some(Self { public_key, project: project.filter(|id| *id > 0) })
    }
}

/// The fields of one credential string as they come, before they are judged.
#[derive(Default)]
struct Claimed<'a> {
    key: Option<&'a str>,
    version: Option<&'a str>,
    client: Option<String>,
}

impl<'a> Claimed<'a> {
    /// Takes one field; the first of a name counts.
    fn take(&mut self, name: &str, value: &'a str) {
        if name.eq_ignore_ascii_case("sentry_key") {
            self.key.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("sentry_version") {
            self.version.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("sentry_client") && self.client.is_none() {
            let text = percent_decode_str(value).decode_utf8_lossy();
            let shown: String = text.chars().filter(|c| !c.is_control()).collect();
            self.client = Some(clip(&shown, CLIENT_CHARS_MAX).into_owned()).filter(|name| !name.is_empty());
        }
    }

    fn judge(self) -> Result<Credentials, AuthError> {
        let key = self.key.ok_or(AuthError::Missing)?;
        let public_key = parse_key(key).ok_or(AuthError::BadKey)?;
        let version = self.version.map_or(Ok(VERSION_DEFAULT), parse_version)?;
        Ok(Credentials { public_key, client: self.client, version })
    }
}

/// `Sentry sentry_key=…, sentry_version=7, sentry_client=…`; the word `Sentry` may be missing, secret and
/// timestamp of old SDKs are ignored.
fn from_sentry_header(value: &str) -> Result<Credentials, AuthError> {
    let mut claimed = Claimed::default();
    for (name, text) in strip_scheme(value, "sentry").unwrap_or(value).split([',', ' ']).filter_map(field) {
        claimed.take(name, text);
    }
    claimed.judge()
}

/// The Sentry form, or HTTP Basic with the key as user. Anything else belongs to somebody else.
fn from_authorization(value: &str) -> Result<Credentials, AuthError> {
    if strip_scheme(value, "sentry").is_some() {
        return from_sentry_header(value);
    }
    let encoded = strip_scheme(value, "basic").ok_or(AuthError::Missing)?;
    let user = STANDARD.decode(encoded.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
    let user = user.as_deref().and_then(|pair| pair.split(':').next());
    // A user that is no key is the proxy's, not a bad Sentry key.
    let public_key = user.and_then(parse_key).ok_or(AuthError::Missing)?;
    Ok(Credentials { public_key, client: None, version: VERSION_DEFAULT })
}

fn from_query(query: &str) -> Result<Credentials, AuthError> {
    let mut claimed = Claimed::default();
    for (name, text) in query.split('&').filter_map(field) {
        claimed.take(name, text);
    }
    claimed.judge()
}

fn strip_scheme<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (word, rest) = value.trim_start().split_once(' ')?;
    word.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn field(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((name.trim(), value.trim().trim_matches('"')))
}

/// Reads 32 hexadecimal digits in any case.
fn parse_key(text: &str) -> Option<[u8; 16]> {
    let digits: &[u8; 32] = text.trim().as_bytes().try_into().ok()?;
    let mut key = [0; 16];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [hex_digit(pair[0])?, hex_digit(pair[1])?];
        *byte = (high << 4) | low;
    }
    Some(key)
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `7`, or `2.0` as the oldest clients wrote it.
fn parse_version(text: &str) -> Result<u8, AuthError> {
    let major = text.split('.').next().unwrap_or(text);
    let version = major.parse().map_err(|_| AuthError::UnsupportedVersion)?;
    if (VERSION_MIN..=VERSION_MAX).contains(&version) {
        Ok(version)
    } else {
        Err(AuthError::UnsupportedVersion)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const KEY_BYTES: [u8; 16] =
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];

    fn header(value: &str) -> Result<Credentials, AuthError> {
        credentials(&AuthSources { x_sentry_auth: Some(value), ..AuthSources::default() })
    }

    fn authorization(value: &str) -> Result<Credentials, AuthError> {
        credentials(&AuthSources { authorization: Some(value), ..AuthSources::default() })
    }

    fn query(value: &str) -> Result<Credentials, AuthError> {
        credentials(&AuthSources { query: Some(value), ..AuthSources::default() })
    }

    #[test]
    fn every_form_of_credentials_is_understood() {
        let full = header(&format!(
            "Sentry sentry_timestamp=1795228726.07, sentry_client=raven-python/6.10.0, sentry_version=6, \
             sentry_key={KEY}, sentry_secret=fedcba9876543210fedcba9876543210"
        ))
        .unwrap();
        let client = Some("raven-python/6.10.0".to_owned());
        assert_eq!(full, Credentials { public_key: KEY_BYTES, client, version: 6 });

        let basic = STANDARD.encode(format!("{KEY}:secret"));
        let query_full =
            format!("sentry_version=7&sentry_key={KEY}&sentry_client=sentry.javascript.browser%2F11.0.0");
        for found in [
            header(&format!("sentry sentry_key={KEY}")),
            header(&format!("sentry_key={KEY},sentry_version=7")),
            header(&format!("Sentry sentry_key=\"{}\"", KEY.to_uppercase())),
            authorization(&format!("Sentry sentry_key={KEY}, sentry_version=7")),
            authorization(&format!("Basic {basic}")),
            query(&format!("sentry_key={KEY}")),
            query(&query_full),
            of_dsn(Some(&format!("https://{KEY}@tocsin.example.com:8787/prefix/4")), AuthError::Missing),
        ] {
            let found = found.unwrap();
            assert_eq!((found.public_key, found.version), (KEY_BYTES, 7));
        }
        assert_eq!(query(&query_full).unwrap().client.as_deref(), Some("sentry.javascript.browser/11.0.0"));
    }

    #[test]
    fn credentials_of_others_are_skipped_and_the_first_valid_wins() {
        let found = credentials(&AuthSources {
            x_sentry_auth: Some("Sentry sentry_version=7"),
            authorization: Some("Basic cHJveHk6cGFzcw=="),
            query: Some(&format!("a=b&sentry_key={KEY}")),
        })
        .unwrap();
        assert_eq!(found.public_key, KEY_BYTES);
        assert_eq!(authorization("Bearer eyJhbGciOi"), Err(AuthError::Missing));
        assert_eq!(authorization("Basic cHJveHk6cGFzcw=="), Err(AuthError::Missing));
    }

    #[test]
    fn faults_name_the_telling_reason_and_their_status() {
        assert_eq!(credentials(&AuthSources::default()), Err(AuthError::Missing));
        assert_eq!(header("Sentry sentry_key=abc"), Err(AuthError::BadKey));
        assert_eq!(
            header(&format!("Sentry sentry_key={KEY}, sentry_version=9")),
            Err(AuthError::UnsupportedVersion)
        );
        assert_eq!(
            header(&format!("Sentry sentry_key={KEY}, sentry_version=x")),
            Err(AuthError::UnsupportedVersion)
        );
        assert_eq!(header(&format!("Sentry sentry_key={KEY}, sentry_version=2.0")).unwrap().version, 2);
        assert_eq!(of_dsn(None, AuthError::UnsupportedVersion), Err(AuthError::UnsupportedVersion));
        assert_eq!(of_dsn(Some("https://host/1"), AuthError::Missing), Err(AuthError::BadKey));
        assert_eq!(AuthError::Missing.status(), 401);
        assert_eq!(AuthError::UnsupportedVersion.status(), 400);
    }

    #[test]
    fn a_dsn_is_taken_apart() {
        let project = |dsn: &str| Dsn::parse(dsn).map(|dsn| dsn.project);
        assert_eq!(project(&format!("http://{KEY}:secret@localhost:9100/4")), Some(Some(4)));
        assert_eq!(project(&format!("http://{KEY}@localhost/a/b/12/?x=1")), Some(Some(12)));
        assert_eq!(project(&format!("http://{KEY}@localhost/slug")), Some(None));
        assert_eq!(project(&format!("http://{KEY}@localhost/-3")), Some(None));
        assert_eq!(project("http://short@localhost/1"), None);
        assert_eq!(project("not a dsn"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(a in ".*", b in ".*", c in ".*", d in ".*") {
            let sources = AuthSources { x_sentry_auth: Some(&a), authorization: Some(&b), query: Some(&c) };
            if let Ok(found) = credentials(&sources).or_else(|fault| of_dsn(Some(&d), fault)) {
                prop_assert!((2..=8).contains(&found.version));
            }
        }
    }
}
