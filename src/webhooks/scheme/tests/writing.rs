//! Schemes as people write them, and what cannot be one.

use serde_json::{Value, json};

use super::*;

#[test]
fn every_scheme_is_written_and_read_the_same() {
    for (name, scheme) in all() {
        let json = serde_json::to_string(scheme).unwrap();
        assert_eq!(&serde_json::from_str::<Scheme>(&json).unwrap(), scheme, "{name}");
        let written = toml::to_string(&std::collections::BTreeMap::from([("scheme", scheme)])).unwrap();
        let read: std::collections::BTreeMap<String, Scheme> = toml::from_str(&written).unwrap();
        assert_eq!(&read["scheme"], scheme, "{name}: {written}");
    }
    assert_eq!(serde_json::from_str::<Scheme>(r#""none""#).unwrap(), Scheme::None);
}

#[test]
fn what_does_not_fit_together_is_refused_with_a_cure() {
    let carrier = json!({"headers": ["x-signature"]});
    let pairs = json!({"headers": ["x-signature"], "layout": {"pairs": {"separator": ",", "key": "v1"}}});
    let at_header = json!({"place": {"headers": ["x-time"]}});
    for (hmac, wanted) in [
        (json!({"signed": "{timestamp}", "signature": carrier, "timestamp": at_header}), "{body} is missing"),
        (json!({"signed": "{body", "signature": carrier}), "a brace is open"),
        (json!({"signed": "{bdy}", "signature": carrier}), "{bdy} is unknown: use {body}"),
        (json!({"signed": "{timestamp}{body}", "signature": carrier}), "does not say where the time stands"),
        (
            json!({"signed": "{body}", "signature": carrier, "timestamp": at_header}),
            "anybody could change it",
        ),
        (
            json!({"signed": "{timestamp}{body}", "signature": carrier, "timestamp": {"place": {"pointer": "/t"}}}),
            "take {timestamp} out",
        ),
        (
            json!({"signed": "{timestamp}{body}", "signature": carrier, "timestamp": {"place": {"pair": "t"}}}),
            "only where the signature stands in pairs",
        ),
        (
            json!({"signed": "{timestamp}{body}", "signature": pairs, "timestamp": {"place": {"pair": "v1"}}}),
            "needs another key",
        ),
        (
            json!({"signed": "{body}", "signature": carrier, "timestamp": {"place": {"pointer": "/t"}, "past": "90d"}}),
            "between 1s and 30d",
        ),
        (json!({"signed": "{id}.{body}", "signature": carrier}), "id does not name the header"),
        (json!({"signed": "{body}", "signature": carrier, "id": ["x-id"]}), "write {id} into signed"),
        (
            json!({"signed": "{id}.{body}", "signature": carrier, "id": ["X-Signature"]}),
            "x-signature is named for two things",
        ),
        (
            json!({"signed": "{id}{body}", "signature": carrier, "id": ["x-id"]}),
            "between {id} and {body} a mark is missing",
        ),
        (json!({"signed": "{body}{id}", "signature": carrier, "id": ["x-id"]}), "a mark is missing"),
        (
            json!({"signed": "{timestamp}1{body}", "signature": carrier, "timestamp": at_header}),
            "between {timestamp} and {text} a mark is missing",
        ),
        (json!({"signed": "{body}", "signature": {"headers": []}}), "1 to 4 headers"),
        (json!({"signed": "{body}", "signature": {"headers": ["a b"]}}), "is no name of a header"),
        (json!({"signed": "{body}", "signature": {"headers": ["Host"]}}), "belongs to HTTP itself"),
        (
            json!({"signed": "{body}", "signature": {"headers": ["x"], "layout": {"prefixed": ""}}}),
            "say what stands before a signature",
        ),
        (
            json!({"signed": "{body}", "signature": {"headers": ["x"], "layout": {"pairs": {"separator": "=", "key": "v"}}}}),
            "two different marks",
        ),
        (json!({"signed": "{body}", "signature": carrier, "algorithm": "md5"}), "unknown variant"),
        (json!({"signed": "{body}", "signature": carrier, "secret": "x"}), "unknown field"),
    ] {
        let error = serde_json::from_value::<Scheme>(json!({"hmac": hmac})).unwrap_err().to_string();
        assert!(error.contains(wanted), "{hmac}: {error}");
    }
}

#[test]
fn what_is_no_scheme_is_refused_with_a_cure() {
    for (scheme, wanted) in [
        (json!("hmac"), "expected newtype variant"),
        (json!({"token": {"basic": {"user": "a", "password": "b"}}}), "unknown field"),
        (json!({"token": {"header": {"name": "content-length"}}}), "belongs to HTTP itself"),
        (json!({"token": {"basic": {"user": "a:b"}}}), "without a colon"),
        (json!({"token": {"basic": {"user": ""}}}), "1 to 100 characters"),
        (json!("nobody"), "unknown variant"),
    ] {
        let error = serde_json::from_value::<Scheme>(scheme.clone()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{scheme}: {error}");
    }
}

#[test]
fn secrets_are_checked_when_they_are_entered() {
    for (provider, secret, wanted) in [
        ("stripe", "whsec_abc", Ok(())),
        ("stripe", "", Err(BadSecret::Empty)),
        ("svix", "whsec_%%%", Err(BadSecret::NotBase64)),
        ("vapi", "tökén", Err(BadSecret::NotForHeader)),
        ("vapi", "to\nken", Err(BadSecret::Control)),
        ("stripe", "whsec_abc\n", Err(BadSecret::Control)),
        ("github", " abc", Err(BadSecret::Blank)),
        ("postmark", "   ", Err(BadSecret::Blank)),
        ("postmark", "pässword", Ok(())),
        ("twilio", &"x".repeat(1025), Err(BadSecret::TooLong)),
    ] {
        assert_eq!(scheme_of(provider).check_secret(&Secret::new(secret)), wanted, "{provider} {secret}");
    }
    assert_eq!(
        Scheme::None.verify(&Call { method: "", url: "", headers: &[], body: b"" }, &[], AT).unwrap().secret,
        None
    );
}

#[test]
fn tokens_are_sent_on_as_the_receiver_asks_for_them() {
    for (token, wanted) in [
        (Token::Basic { user: User::parse("tocsin").unwrap() }, ("authorization", "Basic dG9jc2luOnB3")),
        (Token::Bearer, ("authorization", "Bearer pw")),
        (Token::Header { name: Header::parse("X-Gitlab-Token").unwrap() }, ("x-gitlab-token", "pw")),
    ] {
        let scheme = Scheme::Token(token);
        let out = Outgoing { method: "POST", url: URL, id: "", content_type: None, body: b"", at: AT };
        let written = scheme.sign(&out, &Secret::new("pw")).unwrap();
        let [(name, value)] = &written[..] else { panic!("{written:?}") };
        assert_eq!((name.as_str(), value.to_str().unwrap()), wanted);
        assert!(value.is_sensitive());
        let header = scheme.signature_headers().into_iter().find(|header| header.name == wanted.0);
        assert!(header.unwrap().is_secret);
    }
}

#[test]
fn what_a_delivery_must_not_pass_on_is_named() {
    let names = |provider| {
        let headers = scheme_of(provider).signature_headers().into_iter();
        headers.filter(|header| !header.is_secret).map(|header| header.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("github"), "x-hub-signature-256 x-hub-signature");
    assert_eq!(names("slack"), "x-slack-signature x-slack-request-timestamp");
    assert_eq!(
        names("svix"),
        "webhook-signature svix-signature webhook-timestamp svix-timestamp webhook-id svix-id"
    );
    assert_eq!(names("twilio"), "x-twilio-signature x-twilio-webhooks-signature-settings");
    // Named twice, it is a secret all the same.
    let twice = json!({"hmac": {"signed": "{body}", "signature": {"headers": ["authorization"]}}});
    let twice: Scheme = serde_json::from_value(twice).unwrap();
    for scheme in all().into_iter().map(|(_, scheme)| scheme).chain([&twice]) {
        let headers = scheme.signature_headers();
        let mut names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), headers.len(), "each name once");
        assert!(headers.iter().any(|header| header.name == "authorization" && header.is_secret));
    }
}

/// tocsin waits longer than Linear's own libraries do, and says what those say.
#[test]
fn a_receiver_may_allow_less_than_is_taken_here() {
    let linear = scheme_of("linear");
    let secret = Secret::new("a long random secret");
    let call = Given::signed(linear, &secret, "application/json", BODY);
    let late = AT + std::time::Duration::from_mins(4);
    assert_eq!(call.word(linear, &[secret], late), "ok");
}

#[test]
fn what_is_alone_needs_no_brackets() {
    let read = |carrier: Value| -> Scheme {
        serde_json::from_value(json!({"hmac": {"signed": "{body}", "signature": carrier}})).unwrap()
    };
    let scheme = read(json!({"headers": "x-signature", "layout": {"prefixed": "HMAC "}}));
    assert_eq!(scheme, read(json!({"headers": ["x-signature"], "layout": {"prefixed": "HMAC "}})));
    let secret = Secret::new("a long random secret");
    let call = Given::signed(&scheme, &secret, "application/json", BODY);
    assert!(call.headers[1].1.starts_with(b"HMAC "), "{call:?}");
    assert_eq!(call.word(&scheme, &[secret], AT), "ok");
}

#[test]
fn a_time_may_be_a_date() {
    let scheme = json!({"hmac": {
        "signed": "{timestamp}|{body}",
        "signature": {"headers": ["x-signature"]},
        "timestamp": {"place": {"headers": ["x-time"]}, "unit": "rfc3339"},
    }});
    let scheme: Scheme = serde_json::from_value(scheme).unwrap();
    let secret = Secret::new("a long random secret");
    let call = Given::signed(&scheme, &secret, "application/json", BODY);
    assert_eq!(call.verify(&scheme, std::slice::from_ref(&secret), AT).unwrap().signed_at, Some(AT));
    assert_eq!(call.word(&scheme, &[secret], AT + std::time::Duration::from_mins(6)), "too_old");
}

#[test]
fn only_a_time_within_the_body_makes_a_late_delivery_fail() {
    let late: Vec<&str> = providers::all()
        .iter()
        .filter(|provider| !provider.scheme.late().is_accepted())
        .map(|provider| provider.id.as_str())
        .collect();
    assert_eq!(late, ["linear"]);
    assert_eq!(
        scheme_of("linear").late().to_string(),
        "the time stands in the body (/webhookTimestamp) and cannot be renewed: an app that looks at it refuses what is \
         delivered more than 1m late"
    );
}

#[test]
fn an_id_that_no_header_can_carry_is_not_signed() {
    let out = Outgoing { method: "POST", url: URL, id: "a\nb", content_type: None, body: b"", at: AT };
    let error = scheme_of("standard").sign(&out, &Secret::new("whsec_AAAA")).unwrap_err();
    assert_eq!(error, Unsignable::Value { header: "webhook-id".to_owned() });
}
