//! What providers and their libraries published, and what their libraries signed.

use super::*;

struct Vector {
    scheme: &'static str,
    secret: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    at: i64,
}

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F\
%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.4744562912\
1.803a0bc887a14d10d2c447fce8b6703c";

const VECTORS: &[Vector] = &[
    // GitHub's documentation.
    Vector {
        scheme: "github",
        secret: "It's a Secret to Everybody",
        headers: &[(
            "X-Hub-Signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )],
        body: "Hello, World!",
        at: 0,
    },
    // The tests of @octokit/webhooks-methods.
    Vector {
        scheme: "github",
        secret: "mysecret",
        headers: &[(
            "x-hub-signature-256",
            "sha256=4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3",
        )],
        body: r#"{"foo":"bar"}"#,
        at: 0,
    },
    Vector {
        scheme: "github",
        secret: "mysecret",
        headers: &[(
            "x-hub-signature-256",
            "sha256=e3eccac34c43c7dc1cbb905488b1b81347fcc700a7b025697a9d07862256023f",
        )],
        body: "{\n  \"foo\": \"bar\"\n}\n",
        at: 0,
    },
    Vector {
        scheme: "github",
        secret: "development",
        headers: &[(
            "x-hub-signature-256",
            "sha256=87316067e2011fae39998b18c46a14d83b3e7c3ffdd88fb2ee5afb7d11288e60",
        )],
        body: "{\n  \"foo\": \"\\\\u001b\"\n}\n",
        at: 0,
    },
    // Slack's documentation.
    Vector {
        scheme: "slack",
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        headers: &[
            ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
            ("X-Slack-Request-Timestamp", "1531420618"),
        ],
        body: SLACK_BODY,
        at: 1_531_420_618,
    },
    // The tests of Standard Webhooks, under both families of names.
    Vector {
        scheme: "standard",
        secret: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        headers: &[
            ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            ("webhook-timestamp", "1649367553"),
            ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        ],
        body: r#"{"email":"test@example.com","username":"test_user"}"#,
        at: 1_649_367_553,
    },
    Vector {
        scheme: "resend",
        secret: "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        headers: &[
            ("svix-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
            ("svix-timestamp", "1649367553"),
            ("svix-signature", "v1a,AAAA v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
        ],
        body: r#"{"email":"test@example.com","username":"test_user"}"#,
        at: 1_649_367_553,
    },
    // The tests of Svix's server.
    Vector {
        scheme: "svix",
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        headers: &[
            ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("svix-timestamp", "1614265330"),
            ("svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        body: r#"{"test": 2432232314}"#,
        at: 1_614_265_330,
    },
    // Made by stripe 16.1 for Python: `WebhookSignature.generate_signature_header`.
    Vector {
        scheme: "stripe",
        secret: "whsec_test_secret",
        headers: &[(
            "Stripe-Signature",
            "t=1492774577,v1=654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543",
        )],
        body: r#"{"id":"evt_1","object":"event"}"#,
        at: 1_492_774_577,
    },
];

#[test]
fn published_signatures_verify() {
    for vector in VECTORS {
        let given = Given::new(vector.headers, vector.body.as_bytes());
        let secrets = [Secret::new(vector.secret)];
        let verified = given.verify(scheme_of(vector.scheme), &secrets, Timestamp::from_secs(vector.at));
        let signed_at = (vector.at > 0).then_some(Timestamp::from_secs(vector.at));
        let verified = verified.unwrap();
        assert_eq!((verified.secret, verified.signed_at), (Some(0), signed_at), "{}", vector.scheme);
        assert_eq!(verified.covers == Covers::Moment, vector.at > 0, "{}", vector.scheme);
    }
}

#[test]
fn signing_writes_what_was_published() {
    for vector in VECTORS {
        let id = vector.headers.iter().find(|(name, _)| name.ends_with("-id")).map_or("", |(_, id)| *id);
        let out = Outgoing {
            method: "POST",
            url: URL,
            id,
            content_type: None,
            body: vector.body.as_bytes(),
            at: Timestamp::from_secs(vector.at),
        };
        let written = scheme_of(vector.scheme).sign(&out, &Secret::new(vector.secret)).unwrap();
        for (name, value) in vector.headers {
            let ours = written.iter().find(|(ours, _)| ours.as_str().eq_ignore_ascii_case(name));
            let ours = ours.unwrap_or_else(|| panic!("{} writes {name}", vector.scheme)).1.to_str().unwrap();
            assert!(value.ends_with(ours), "{}: {name} is {ours}", vector.scheme);
        }
    }
}
