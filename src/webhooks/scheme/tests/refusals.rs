//! What every scheme refuses, and in which word. Of tokens, which cover no body and no time, only what they can know.

use std::time::Duration;

use super::*;
use crate::base::hex::hex;
use crate::webhooks::scheme::hmac::{Layout, Place};

struct Sample {
    name: String,
    scheme: &'static Scheme,
    secret: Secret,
    call: Given,
}

fn samples() -> Vec<Sample> {
    let sample = |(name, scheme): (String, &'static Scheme)| {
        let secret = secret(scheme, "a long random secret");
        let call = Given::signed(scheme, &secret, "application/json", BODY);
        Sample { name, scheme, secret, call }
    };
    all().into_iter().map(sample).collect()
}

impl Sample {
    fn is_token(&self) -> bool {
        matches!(self.scheme, Scheme::Token(_))
    }

    #[track_caller]
    fn expect(&self, call: &Given, what: &str, wanted: &[&str]) {
        let word = call.word(self.scheme, std::slice::from_ref(&self.secret), AT);
        assert!(wanted.contains(&word), "{}: {what} is {word}, not {wanted:?}", self.name);
    }
}

#[test]
fn what_is_signed_again_verifies() {
    for sample in samples() {
        sample.expect(&sample.call, "a call as it was signed", &["ok"]);
    }
}

#[test]
fn secrets_change_without_a_gap_and_their_absence_lets_nobody_in() {
    for sample in samples() {
        let other = secret(sample.scheme, "another random secret");
        let verify = |secrets: &[Secret]| sample.call.verify(sample.scheme, secrets, AT);
        let wrong = if sample.is_token() { "token_wrong" } else { "signature_wrong" };
        assert_eq!(verify(std::slice::from_ref(&other)).unwrap_err().as_str(), wrong, "{}", sample.name);
        assert_eq!(verify(&[other, sample.secret.clone()]).unwrap().secret, Some(1), "{}", sample.name);
        assert_eq!(verify(&[]), Err(Refusal::NoSecret), "{}", sample.name);
        assert_eq!(verify(&[Secret::new("")]), Err(Refusal::NoSecret), "{}", sample.name);
        assert_eq!(sample.scheme.check_secret(&sample.secret), Ok(()), "{}", sample.name);
    }
}

#[test]
fn headers_come_once_and_whole() {
    for sample in samples() {
        let mut none = sample.call.clone();
        none.headers.truncate(1);
        sample.expect(&none, "a call without its headers", &["header_missing"]);
        for at in 1..sample.call.headers.len() {
            let name = sample.call.headers[at].0.clone();
            let mut empty = sample.call.clone();
            empty.headers[at].1.clear();
            sample.expect(&empty, &format!("an empty {name}"), &["header_empty"]);
            let mut twice = sample.call.clone();
            twice.headers.push(twice.headers[at].clone());
            sample.expect(&twice, &format!("a doubled {name}"), &["header_doubled"]);
            let mut spelled = sample.call.clone();
            spelled.headers.push((name.to_uppercase(), b"x".to_vec()));
            sample.expect(&spelled, &format!("a second {name} in capitals"), &["header_doubled"]);
            let mut bytes = sample.call.clone();
            bytes.headers[at].1.push(0xff);
            sample.expect(&bytes, &format!("bytes in {name}"), &["header_unreadable"]);
        }
    }
}

#[test]
fn a_cut_signature_is_refused() {
    for sample in samples() {
        let cut = sample.call.clone().with_values(|value| match value {
            // Ids and times stand beside a signature and stay.
            b"msg_1" | b"1700000000" => value.to_vec(),
            _ => value[..value.len() - 1].to_vec(),
        });
        let wanted: &[&str] =
            if sample.is_token() { &["token_wrong", "token_malformed"] } else { &["signature_malformed"] };
        sample.expect(&cut, "a cut signature", wanted);
    }
}

#[test]
fn a_changed_body_is_refused_and_bytes_that_are_no_text_are_not() {
    for sample in samples().into_iter().filter(|sample| !sample.is_token()) {
        let changes: [(&str, &[u8]); 3] = [("a line end", b"\r\n"), ("a space", b" "), ("a zero", b"\0")];
        for (what, added) in changes {
            let mut changed = sample.call.clone();
            changed.body.extend_from_slice(added);
            sample.expect(&changed, what, &["signature_wrong", "body_hash_wrong"]);
        }
        let mut flipped = sample.call.clone();
        flipped.body[3] ^= 1;
        sample.expect(&flipped, "a flipped bit", &["signature_wrong", "body_hash_wrong"]);
        let bytes = Given::signed(sample.scheme, &sample.secret, "text/plain", b"\xff\xfe\0 no text");
        // A time within the body can only be read where the body is JSON.
        let is_timed_by_body = matches!(sample.scheme.late(), Late::TimeInBody { .. });
        sample.expect(&bytes, "bytes", if is_timed_by_body { &["time_missing"] } else { &["ok"] });
    }
}

#[test]
fn only_a_fresh_signature_is_believed_where_its_time_is_known() {
    let mut guarded = 0;
    for sample in samples() {
        let Scheme::Hmac(hmac) = sample.scheme else { continue };
        let Some(stamp) = &hmac.timestamp else { continue };
        guarded += 1;
        let secrets = [sample.secret.clone()];
        let at = |now| sample.call.verify(sample.scheme, &secrets, now);
        let second = Duration::from_secs(1);
        assert_eq!(at(AT + stamp.past).unwrap().signed_at, Some(AT), "{}", sample.name);
        assert_eq!(at(AT - stamp.future).unwrap().signed_at, Some(AT), "{}", sample.name);
        let (age, allowed) = (stamp.past + second, stamp.past);
        assert_eq!(at(AT + age), Err(Refusal::TooOld { age, allowed }), "{}", sample.name);
        let (ahead, allowed) = (stamp.future + second, stamp.future);
        assert_eq!(at(AT - ahead), Err(Refusal::TooNew { ahead, allowed }), "{}", sample.name);
    }
    assert!(guarded >= 9, "{guarded} schemes know the time");
}

#[test]
fn a_changed_time_is_refused() {
    for sample in samples() {
        let Scheme::Hmac(hmac) = sample.scheme else { continue };
        let Some(stamp) = &hmac.timestamp else { continue };
        if matches!(stamp.place, Place::Pointer(_)) {
            continue;
        }
        for (time, wanted) in
            [("1700000001", "signature_wrong"), ("soon", "signature_wrong"), ("", "header_empty")]
        {
            let changed = sample
                .call
                .clone()
                .with_values(|value| String::from_utf8_lossy(value).replace("1700000000", time).into_bytes());
            sample.expect(&changed, &format!("the time {time}"), &[wanted, "signature_wrong"]);
        }
    }
}

/// Somebody with the secret may still write nonsense.
#[test]
fn a_time_that_is_no_number_is_refused_though_it_was_signed() {
    let secret = Secret::new("s");
    for time in
        ["soon", "-1", "+1700000000", "1700000000.5", "99999999999999999999", " 1700000000", "01700000000"]
    {
        let signature = hmac::Algorithm::Sha256.sign(b"s", &[b"v0:", time.as_bytes(), b":", BODY]);
        let signature = format!("v0={}", hex(&signature));
        let headers = [("x-slack-signature", signature.as_str()), ("x-slack-request-timestamp", time)];
        let word = Given::new(&headers, BODY).word(scheme_of("slack"), std::slice::from_ref(&secret), AT);
        assert_eq!(word, "time_malformed", "{time}");
    }
}

/// `a.b` and `c.…` are the same bytes as `a` and `b.c.…`.
#[test]
fn the_end_of_an_id_cannot_be_moved() {
    let secret = Secret::new("whsec_AAAA");
    let scheme = scheme_of("standard");
    let out = Outgoing { method: "POST", url: URL, id: "msg.1", content_type: None, body: BODY, at: AT };
    let written = scheme.sign(&out, &secret).unwrap();
    let headers: Vec<(&str, &str)> =
        written.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(Given::new(&headers, BODY).word(scheme, &[secret], AT), "id_malformed");
}

#[test]
fn it_is_known_what_a_proof_covers() {
    for sample in samples() {
        let verified =
            |call: &Given| call.verify(sample.scheme, std::slice::from_ref(&sample.secret), AT).unwrap();
        let first = verified(&sample.call);
        let other = Given::signed(sample.scheme, &sample.secret, "application/json", &[BODY, b" "].concat());
        match (sample.scheme, first.covers) {
            (Scheme::Token(_) | Scheme::None, Covers::Nothing) => {}
            (Scheme::Hmac(hmac), Covers::Moment) => assert!(hmac.id.is_some() || hmac.timestamp.is_some()),
            (Scheme::Hmac(_) | Scheme::Twilio, Covers::Content(_)) => {
                let mut unsigned = sample.call.clone();
                unsigned.headers.push(("idempotency-key".to_owned(), b"forged".to_vec()));
                assert_eq!(verified(&unsigned).covers, first.covers, "{}", sample.name);
                assert_ne!(verified(&other).covers, first.covers, "{}", sample.name);
            }
            (_, covers) => panic!("{}: {covers:?}", sample.name),
        }
    }
}

#[test]
fn what_is_printed_of_a_call_holds_nothing_of_it() {
    let headers: [(&str, &[u8]); 1] = [("authorization", b"THE-TOKEN")];
    let call =
        Call { method: "POST", url: "https://a.example/?k=THE-KEY", headers: &headers, body: b"THE-BODY" };
    let out =
        Outgoing { method: "POST", url: call.url, id: "i", content_type: None, body: call.body, at: AT };
    for text in [format!("{call:?}"), format!("{out:?}")] {
        assert!(!text.contains("THE-") && text.contains("body_bytes: 8"), "{text}");
    }
}

#[test]
fn of_several_signatures_one_of_the_known_version_must_be_right() {
    for sample in samples() {
        let Scheme::Hmac(hmac) = sample.scheme else { continue };
        let (known, other, junk) = match &hmac.signature.layout {
            Layout::Plain => continue,
            Layout::Prefixed(prefix) => (prefix.clone(), "v9=".to_owned(), None),
            Layout::Pairs { separator, key, .. } => {
                let junk = format!("{key}={}{separator}", "0".repeat(64));
                (format!("{key}="), "v9=".to_owned(), Some(junk))
            }
            Layout::Versions(version) => {
                (format!("{version},"), "v9,".to_owned(), Some(format!("{version},AAAA ")))
            }
        };
        let replaced = |with: &str| {
            let change = |value: &[u8]| String::from_utf8_lossy(value).replace(&known, with).into_bytes();
            sample.call.clone().with_values(change)
        };
        sample.expect(&replaced(&other), "another version", &["signature_version"]);
        if let Some(junk) = junk {
            sample.expect(&replaced(&format!("{junk}{known}")), "a second signature", &["ok"]);
            let many = format!("{}{known}", junk.repeat(16));
            sample.expect(&replaced(&many), "seventeen signatures", &["signature_malformed"]);
        }
    }
}

#[test]
fn names_of_one_header_that_say_different_things_are_refused() {
    let scheme = scheme_of("standard");
    let secret = secret(scheme, "s");
    let call = Given::signed(scheme, &secret, "application/json", BODY);
    for at in 1..call.headers.len() {
        let mut other = call.clone();
        other.headers[at].1.push(b'0');
        let word = other.word(scheme, std::slice::from_ref(&secret), AT);
        assert_eq!(word, "header_doubled", "{}", call.headers[at].0);
    }
}

#[test]
fn a_refusal_says_what_to_do_and_holds_nothing_that_was_sent() {
    for sample in samples() {
        let sent = sample.call.clone().with_values(|_| b"THE-SENT-VALUE".to_vec());
        let refusal = sent.verify(sample.scheme, std::slice::from_ref(&sample.secret), AT).unwrap_err();
        for text in [refusal.to_string(), format!("{refusal:?}")] {
            assert!(!text.contains("THE-SENT-VALUE") && !text.contains("a long random secret"), "{text}");
        }
        assert!(refusal.to_string().contains([':', ';']), "{refusal} names a cure");
    }
    let text = String::new;
    for refusal in [
        Refusal::IdMalformed { header: text() },
        Refusal::TimeMissing { place: text() },
        Refusal::TimeMalformed { place: text(), unit: "" },
        Refusal::TooNew { ahead: Duration::ZERO, allowed: Duration::ZERO },
        Refusal::BodyUnsigned,
        Refusal::BodyHashWrong,
        Refusal::FormTooLarge,
        Refusal::SignatureVersion { header: text(), wanted: text() },
    ] {
        assert!(refusal.to_string().contains(": "), "{refusal} names a cure");
    }
    let late = Refusal::TooOld { age: Duration::from_secs(601), allowed: Duration::from_mins(5) };
    assert_eq!(
        late.to_string(),
        "the call was signed 10m1s ago, and at most 5m are allowed: look at the clocks, and at who sends it again"
    );
}
