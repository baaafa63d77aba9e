//! What holds for any body, secret, id and time.

use proptest::prelude::*;

use super::*;
use crate::outbound::Url;
use crate::webhooks::form;

fn any_scheme() -> impl Strategy<Value = &'static Scheme> {
    let all: Vec<&'static Scheme> = all().into_iter().map(|(_, scheme)| scheme).collect();
    proptest::sample::select(all)
}

/// JSON with the time where some look for it, and whatever else.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..200),
        ".{0,60}".prop_map(|text| {
            serde_json::json!({"text": text, "webhookTimestamp": AT.as_millis()}).to_string().into_bytes()
        }),
        "[a-c]{1,3}=[a-z%+0-9]{0,9}(&[a-c]=[x-z]{0,2}){0,3}".prop_map(String::into_bytes),
    ]
}

fn any_type() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["application/json", "application/x-www-form-urlencoded", ""])
}

/// What Twilio signs of a form, as another library reads it: not how it is encoded.
fn fields(body: &[u8]) -> String {
    let mut sorted: Vec<(String, String)> = Url::parse("x:?")
        .map(|mut url| {
            // Bytes that are no ASCII are escaped first: the library would take them for broken UTF-8.
            let escaped: String = body
                .iter()
                .map(|byte| {
                    if byte.is_ascii_graphic() && *byte != b'#' {
                        char::from(*byte).to_string()
                    } else {
                        format!("%{byte:02X}")
                    }
                })
                .collect();
            url.set_query(Some(&escaped));
            url.query_pairs().into_owned().collect()
        })
        .unwrap();
    sorted.sort();
    sorted.dedup();
    sorted.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// A time within the body can only be judged where the body holds it.
fn is_timeless(scheme: &Scheme, body: &[u8]) -> bool {
    matches!(scheme.late(), Late::TimeInBody { .. })
        && !body.ends_with(b"\"webhookTimestamp\":1700000000000}")
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        scheme in any_scheme(),
        body in any_body(),
        content_type in any_type(),
        seed in "[!-~]{1,60}",
    ) {
        prop_assume!(!is_timeless(scheme, &body));
        let secret = secret(scheme, &seed);
        let call = Given::signed(scheme, &secret, content_type, &body);
        prop_assert_eq!(call.verify(scheme, &[secret], AT).map(|verified| verified.secret), Ok(Some(0)));
    }

    #[test]
    fn one_flipped_bit_in_the_body_refuses(
        scheme in any_scheme(),
        body in any_body(),
        content_type in any_type(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        prop_assume!(!matches!(scheme, Scheme::Token(_)));
        let secret = secret(scheme, "a long random secret");
        let mut call = Given::signed(scheme, &secret, content_type, &body);
        let at = at.index(body.len());
        call.body[at] ^= 1 << bit;
        let is_form = *scheme == Scheme::Twilio && form::is_form(content_type);
        prop_assume!(!is_form || fields(&call.body) != fields(&body));
        prop_assert!(call.verify(scheme, &[secret], AT).is_err(), "{:?}", call);
    }

    #[test]
    fn one_flipped_bit_in_a_header_refuses(
        scheme in any_scheme(),
        header in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let secret = secret(scheme, "a long random secret");
        let mut call = Given::signed(scheme, &secret, "application/json", BODY);
        let header = 1 + header.index(call.headers.len() - 1);
        let value = &mut call.headers[header].1;
        let at = at.index(value.len());
        let before = value.clone();
        value[at] ^= 1 << bit;
        // Hex and the names of schemes of authorization read the same in either case.
        let is_hex = matches!(scheme, Scheme::Hmac(hmac) if hmac.encoding == hmac::Encoding::Hex);
        let is_scheme = matches!(scheme, Scheme::Token(Token::Basic { .. } | Token::Bearer)) && at < 6;
        prop_assume!(!(is_hex || is_scheme) || !value.eq_ignore_ascii_case(&before));
        prop_assert!(call.verify(scheme, &[secret], AT).is_err(), "{:?}", call);
    }

    #[test]
    fn whatever_comes_is_refused_without_harm(
        scheme in any_scheme(),
        body in any_body(),
        url in "(https?://)?[!-~é]{0,40}",
        values in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "(v1|v0|t|ts|h1)?[=,;: v01t]{0,9}[0-9a-f]{0,70}=?".prop_map(String::into_bytes),
        ], 1..4),
    ) {
        let names = scheme.signature_headers();
        let named = names.iter().rev().zip(values.iter().cycle());
        let headers = named.map(|(name, value)| (name.name.clone(), value.clone())).collect();
        let call = Given { method: String::new(), url, headers, body };
        let refusal = call.verify(scheme, &[secret(scheme, "a long random secret")], AT);
        prop_assert!(refusal.is_err(), "{:?}", call);
    }
}
