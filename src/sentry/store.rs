//! The bodies of the legacy `/store/` endpoint, brought to plain event JSON.
//!
//! SDKs of the raven era send JSON, or base64 around JSON, or base64 around zlib around JSON; old browsers put the
//! same into `sentry_data=` of a GET. NaN and Infinity inside the JSON are the scrubber's to repair.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode;

use super::body::{Body, BodyError, BodyLimits, Encoding};

/// Why a `/store/` body is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the body is empty where an event was expected")]
    Empty,
    #[error("the body is neither JSON nor base64")]
    NotBase64,
    #[error("the base64 body holds neither JSON nor zlib")]
    NotAnEvent,
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl StoreError {
    /// The HTTP status that goes with the error.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Empty | Self::NotBase64 | Self::NotAnEvent => 400,
            Self::Body(error) => error.status(),
        }
    }
}

const FORM_FIELD: &[u8] = b"sentry_data=";

/// Whether a `/store/` request carries an envelope, by its content type.
pub fn is_envelope(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or(content_type).trim();
    media_type.eq_ignore_ascii_case("application/x-sentry-envelope")
}

/// The event JSON of a POST body, whose `Content-Encoding` is already undone. `json_bytes_max` bounds what zlib
/// inside base64 may grow to.
pub fn event_json(body: &[u8], json_bytes_max: usize) -> Result<Cow<'_, [u8]>, StoreError> {
    let body = body.trim_ascii();
    if body.first() == Some(&b'{') {
        return Ok(Cow::Borrowed(body));
    }
    match body.strip_prefix(FORM_FIELD) {
        Some(field) => from_field(field, json_bytes_max),
        None => from_base64(body, json_bytes_max).map(Cow::Owned),
    }
}

/// The event JSON of a GET: `sentry_data` of the query string.
pub fn event_json_of_query(query: &str, json_bytes_max: usize) -> Result<Cow<'_, [u8]>, StoreError> {
    let field = query.split('&').find_map(|pair| pair.as_bytes().strip_prefix(FORM_FIELD));
    from_field(field.ok_or(StoreError::Empty)?, json_bytes_max)
}

fn from_field(field: &[u8], json_bytes_max: usize) -> Result<Cow<'_, [u8]>, StoreError> {
    let field = field.split(|byte| *byte == b'&').next().unwrap_or(field);
    let decoded: Cow<'_, [u8]> = percent_decode(field).into();
    if decoded.trim_ascii().first() == Some(&b'{') {
        return Ok(decoded);
    }
    from_base64(&decoded, json_bytes_max).map(Cow::Owned)
}

fn from_base64(encoded: &[u8], json_bytes_max: usize) -> Result<Vec<u8>, StoreError> {
    /// Padding was often cut off.
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

    // Both alphabets are met, lines are wrapped, and a form turned `+` into a space inside.
    let digits: Vec<u8> = encoded
        .trim_ascii()
        .iter()
        .filter(|byte| !matches!(byte, b'\n' | b'\r' | b'\t'))
        .map(|byte| match byte {
            b'-' | b' ' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    if digits.is_empty() {
        return Err(StoreError::Empty);
    }
    let decoded = STANDARD.decode(digits).map_err(|_| StoreError::NotBase64)?;
    if decoded.trim_ascii().first() == Some(&b'{') {
        return Ok(decoded);
    }
    let limits = BodyLimits { compressed_bytes: decoded.len(), decompressed_bytes: json_bytes_max };
    let mut body = Body::new(Encoding::Deflate, limits)?;
    let json = body.push(&decoded).and_then(|()| body.finish()).map_err(|error| match error {
        BodyError::TooLarge(_) => StoreError::Body(error),
        BodyError::UnknownEncoding(_)
        | BodyError::StackedEncodings
        | BodyError::CompressedTooLarge(_)
        | BodyError::Corrupt { .. }
        | BodyError::Truncated { .. } => StoreError::NotAnEvent,
    })?;
    if json.trim_ascii().first() == Some(&b'{') { Ok(json) } else { Err(StoreError::NotAnEvent) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::*;

    const JSON: &[u8] = br#"{"message": "subject ??>> \u00fc", "extra": {"n": NaN}}"#;
    const MAX: usize = 1 << 20;

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_of_the_raven_era_gives_the_same_event() {
        let packed = STANDARD.encode(zlib(JSON));
        let lines: Vec<&str> =
            packed.as_bytes().chunks(20).map(|line| str::from_utf8(line).unwrap()).collect();
        let wrapped = lines.join("\r\n");
        let escaped = percent_encode(packed.as_bytes(), NON_ALPHANUMERIC);
        for body in [
            format!("  {}", str::from_utf8(JSON).unwrap()),
            STANDARD.encode(JSON),
            URL_SAFE_NO_PAD.encode(JSON),
            packed.clone(),
            wrapped,
            format!("sentry_data={packed}"),
            format!("sentry_data={escaped}&sentry_version=4"),
        ] {
            assert_eq!(event_json(body.as_bytes(), MAX).unwrap(), JSON, "{body}");
        }
        let query = format!("sentry_key=x&sentry_data={escaped}");
        assert_eq!(event_json_of_query(&query, MAX).unwrap(), JSON);
        let plain = format!("sentry_data={}", percent_encode(JSON, NON_ALPHANUMERIC));
        assert_eq!(event_json_of_query(&plain, MAX).unwrap(), JSON);
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_reason() {
        assert_eq!(event_json(b"  ", MAX), Err(StoreError::Empty));
        assert_eq!(event_json(b"\x01\x02", MAX), Err(StoreError::NotBase64));
        assert_eq!(event_json(STANDARD.encode("[1]").as_bytes(), MAX), Err(StoreError::NotAnEvent));
        assert_eq!(event_json(STANDARD.encode(zlib(b"[1]")).as_bytes(), MAX), Err(StoreError::NotAnEvent));
        assert_eq!(event_json_of_query("sentry_key=x", MAX), Err(StoreError::Empty));
        let bomb = STANDARD.encode(zlib(&vec![b'{'; 1 << 20]));
        let refused = event_json(bomb.as_bytes(), 1000).unwrap_err();
        assert_eq!((refused.status(), refused), (413, StoreError::Body(BodyError::TooLarge(1000))));
    }

    #[test]
    fn an_envelope_is_known_by_its_content_type() {
        assert!(is_envelope("application/x-sentry-envelope; charset=utf-8"));
        assert!(!is_envelope("application/json"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), query in ".*") {
            if let Ok(json) = event_json(&body, 1000) {
                prop_assert_eq!(json.trim_ascii().first(), Some(&b'{'));
            }
            if let Ok(json) = event_json_of_query(&query, 1000) {
                prop_assert_eq!(json.trim_ascii().first(), Some(&b'{'));
            }
        }
    }
}
