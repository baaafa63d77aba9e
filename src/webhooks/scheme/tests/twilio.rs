//! The cases of twilio-node's `spec/validation.spec.js`, and what bodies a signature covers.

use super::*;

const SITE: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const PARAMS: &str =
    "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
const JSON: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

fn given(url: &str, signature: &str, content_type: &str, body: &str) -> Given {
    let headers = [("Content-Type", content_type), ("X-Twilio-Signature", signature)];
    Given { url: url.to_owned(), ..Given::new(&headers, body.as_bytes()) }
}

fn word(given: &Given) -> &'static str {
    given.word(&Scheme::Twilio, &[Secret::new("12345")], AT)
}

#[test]
fn published_forms_verify() {
    for (url, signature, body) in [
        (SITE, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", PARAMS),
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", PARAMS),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=", PARAMS),
        (SITE, "kvajT1Ptam85bY51eRf/AJRuM3w=", PARAMS),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4=", PARAMS),
        ("https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", "CukzLTc1tT5dXEDIHm/tKBanW10=", PARAMS),
        ("https://user@mycompany.com/myapp.php?foo=1&bar=2", "2YRLlVAflCqxaNicjMpJcSTgzSs=", PARAMS),
        ("https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=", PARAMS),
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It's+amazing",
            "dsq4Ehbj6cs+KdTkpF5sSSplOWw=",
            PARAMS,
        ),
        (
            SITE,
            "83O6e2vORAoJHUNzJjDWN1jz+BA=",
            "MessagingBinding.Address=%2B1325xxxxxxx&MessagingBinding.Address=%2B1415xxxxxxx",
        ),
        (
            SITE,
            "83O6e2vORAoJHUNzJjDWN1jz+BA=",
            "MessagingBinding.Address=%2B1415xxxxxxx&MessagingBinding.Address=%2B1325xxxxxxx",
        ),
        (
            SITE,
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
        ),
    ] {
        assert_eq!(word(&given(url, signature, FORM, body)), "ok", "{url} {signature}");
    }
    assert_eq!(word(&given(SITE, "RSOYDt4T1cUTdK1PDd93/VVr8B9=", FORM, PARAMS)), "signature_malformed");
    assert_eq!(word(&given(SITE, "SSOYDt4T1cUTdK1PDd93/VVr8B8=", FORM, PARAMS)), "signature_wrong");
}

/// An address with an apostrophe in its escaped form, as older back ends signed it.
#[test]
fn a_query_that_was_encoded_the_older_way_verifies() {
    let address = "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It%27s+amazing";
    let written = "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It's%20amazing";
    let signature = "bD9iT2C/HNMwZ/yCH1s/5R2+wUs=";
    assert_eq!(word(&given(written, signature, FORM, PARAMS)), "ok");
    assert_eq!(word(&given(address, signature, FORM, PARAMS)), "ok");
}

/// As `new URL` of Node writes what came with an apostrophe; signed with and without the port.
#[test]
fn an_address_as_browsers_write_it_verifies() {
    let came = "https://mycompany.com/myapp.php?name=O'Brien&b=2";
    for signature in ["SbCbNLM4z4gSPtX8M7QUf4x6SiU=", "h0WJAWoDfKjRRh89qsDzwo+lGnY="] {
        assert_eq!(word(&given(came, signature, FORM, PARAMS)), "ok", "{signature}");
    }
}

#[test]
fn what_is_signed_is_one_content_however_it_is_spelled() {
    let covers = |url: &str, body: &str| {
        let call = given(url, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", FORM, body);
        call.verify(&Scheme::Twilio, &[Secret::new("12345")], AT).unwrap().covers
    };
    let content = covers(SITE, PARAMS);
    assert!(matches!(content, Covers::Content(_)));
    let turned: Vec<&str> = PARAMS.rsplit('&').collect();
    let doubled = format!("{PARAMS}&Digits=1234");
    let folded = "CallSi=dCA1234567890ABCDECaller%2B14158675309Digits1234From%2B14158675309To%2B18005551212";
    for (url, body) in [
        (SITE, turned.join("&").as_str()),
        (SITE, doubled.as_str()),
        (SITE, folded),
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", PARAMS),
    ] {
        assert_eq!(covers(url, body), content, "{url} {body}");
    }
}

#[test]
fn a_form_that_nobody_sends_is_not_taken_apart() {
    let many = "a=1&".repeat(1001);
    let long = format!("a={}", "x".repeat(256 * 1024));
    for body in [&many, &long] {
        assert_eq!(word(&given(SITE, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", FORM, body)), "form_too_large");
    }
    let out = Outgoing {
        method: "POST",
        url: SITE,
        id: "",
        content_type: Some(FORM),
        body: many.as_bytes(),
        at: AT,
    };
    assert_eq!(Scheme::Twilio.sign(&out, &Secret::new("12345")), Err(Unsignable::FormTooLarge));
}

#[test]
fn other_bodies_are_held_against_the_hash_in_the_address() {
    let hashed = format!("{SITE}&bodySHA256={JSON_HASH}");
    let signed = "a9nBmqA0ju/hNViExpshrM61xv4=";
    let json = "application/json";
    assert_eq!(word(&given(&hashed, signed, json, JSON)), "ok");
    let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let of_empty = format!("{SITE}&bodySHA256={empty}");
    assert_eq!(word(&given(&of_empty, "Ldidvp12m26NI7eqEvxnEpkd9Hc=", json, "{}")), "ok");
    let alone = format!("https://mycompany.com/myapp.php?bodySHA256={JSON_HASH}");
    assert_eq!(word(&given(&alone, "y77kIzt2vzLz71DgmJGsen2scGs=", json, JSON)), "ok");
    assert_eq!(word(&given(&hashed, signed, json, "{}")), "body_hash_wrong");
    assert_eq!(word(&given(&hashed, signed, FORM, PARAMS)), "body_hash_wrong");
    assert_eq!(word(&given(&hashed[..hashed.len() - 1], signed, json, JSON)), "signature_wrong");
}

/// The signature of an address alone, from a call without a body, must not let any body in.
#[test]
fn a_body_that_nothing_covers_is_refused() {
    let secret = Secret::new("12345");
    let of_nothing = Given::signed(&Scheme::Twilio, &secret, FORM, b"");
    assert_eq!(word(&of_nothing), "ok");
    let mut with_body = of_nothing;
    with_body.headers[0].1 = b"application/json".to_vec();
    with_body.body = JSON.as_bytes().to_vec();
    assert_eq!(word(&with_body), "body_unsigned");
}

/// The signature is of twilio 9.13 for Python.
#[test]
fn a_shared_key_signs_with_the_hash_that_the_call_names() {
    let mut call = given(SITE, "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=", FORM, PARAMS);
    let settings = "x-twilio-webhooks-signature-settings";
    for (named, wanted) in [
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "ok"),
        ("key=webhooks_sharedkey_1", "signature_malformed"),
        ("algorithm=HMAC_MD5", "signature_version"),
    ] {
        call.headers.truncate(2);
        call.headers.push((settings.to_owned(), named.as_bytes().to_vec()));
        assert_eq!(word(&call), wanted, "{named}");
    }
}

#[test]
fn the_address_of_a_delivery_carries_the_hash_of_its_own_body() {
    let url = |url, content_type, body: &str| {
        Scheme::Twilio.outgoing_url(url, Some(content_type), body.as_bytes()).into_owned()
    };
    assert_eq!(url("https://app.example/x", FORM, PARAMS), "https://app.example/x");
    assert_eq!(url("https://app.example/x?bodySHA256=00", FORM, PARAMS), "https://app.example/x");
    let hashed = url("https://app.example/x?bodySHA256=00&y=1", "application/json", JSON);
    assert_eq!(hashed, format!("https://app.example/x?y=1&bodySHA256={JSON_HASH}"));
    assert_eq!(
        url("https://app.example/x", "application/json", JSON),
        format!("https://app.example/x?bodySHA256={JSON_HASH}")
    );
    let out = Outgoing {
        method: "POST",
        url: "https://app.example/x",
        id: "",
        content_type: None,
        body: b"{}",
        at: AT,
    };
    assert_eq!(Scheme::Twilio.sign(&out, &Secret::new("12345")), Err(Unsignable::BodyHash));
}
