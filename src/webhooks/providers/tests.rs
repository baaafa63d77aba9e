use serde_json::{Value, json};

use super::*;
use crate::base::Timestamp;
use crate::webhooks::scheme::Covers;
use crate::webhooks::values::Wanted;

const FORM: &str = "application/x-www-form-urlencoded";

/// What a provider makes of a call.
fn identity(provider: &str, headers: &[(&str, &str)], body: &str) -> Identity {
    identity_at("https://hooks.example.com/x?token=t1", provider, headers, body)
}

fn identity_at(url: &str, provider: &str, headers: &[(&str, &str)], body: &str) -> Identity {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let call = Call { method: "POST", url, headers: &headers, body: body.as_bytes() };
    find(provider).unwrap().rules.identify(&call, &Content::of(&call, &Wanted::default()))
}

/// Asks something of a body.
fn of_body<T>(content_type: &str, body: &str, ask: impl FnOnce(&Call<'_>, &Content<'_>) -> T) -> T {
    let headers: [(&str, &[u8]); 1] = [("content-type", content_type.as_bytes())];
    let call = Call { method: "POST", url: "", headers: &headers, body: body.as_bytes() };
    ask(&call, &Content::of(&call, &Wanted::default()))
}

#[test]
fn every_provider_is_whole() {
    let mut ids = Vec::new();
    for provider in all() {
        assert_eq!(provider.rules.check(), Ok(()), "{}", provider.id);
        assert!((3..=5).contains(&provider.steps.len()), "{}: its steps", provider.id);
        let named = provider.steps.iter().filter(|step| step.contains("{url}")).count();
        assert_eq!(named, 1, "{} names its address once", provider.id);
        let sentences = provider.steps.iter().chain(&provider.retries).chain(&provider.late);
        for sentence in sentences.chain(provider.other_schemes.iter().map(|other| &other.when)) {
            assert!(sentence.ends_with('.') && sentence.len() <= 250, "{}: {sentence}", provider.id);
        }
        assert!(provider.documented_at.starts_with("https://") || provider.id == "generic");
        assert_eq!(provider.secret.is_some(), provider.scheme.needs_secret(), "{}", provider.id);
        assert!((200..300).contains(&provider.answer.status), "{}", provider.id);
        let is_late = !provider.scheme.late().is_accepted();
        assert!(!is_late || provider.late.is_some(), "{} says that it cannot be late", provider.id);
        ids.push(provider.id.as_str());
    }
    let known = "stripe github twilio slack shopify standard svix clerk resend openai linear gitlab vercel vapi paddle \
                 woocommerce sentry postmark square generic";
    assert_eq!(ids.join(" "), known);
    assert!(find("paypal").is_none());
}

/// A provider, the headers and the body of a call, and the id and the type that they give.
type Told = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);

const TOLD: &[Told] = &[
    ("stripe", &[], r#"{"id":"evt_1","type":"invoice.paid"}"#, "evt_1", "invoice.paid"),
    (
        "github",
        &[("X-GitHub-Delivery", "d-1"), ("X-GitHub-Event", "pull_request")],
        r#"{"action":"opened"}"#,
        "d-1",
        "pull_request.opened",
    ),
    ("github", &[("x-github-event", "ping")], "not json", OF_ITS_BODY, "ping"),
    (
        "github",
        &[("x-github-event", "issues"), ("content-type", FORM)],
        "payload=%7B%22action%22%3A%22closed%22%7D",
        OF_ITS_BODY,
        "issues.closed",
    ),
    (
        "twilio",
        &[("content-type", FORM)],
        "MessageSid=SM1&MessageStatus=delivered",
        "SM1:delivered",
        "message.delivered",
    ),
    (
        "twilio",
        &[("content-type", FORM)],
        "CallSid=CA1&CallStatus=ringing&SequenceNumber=2",
        "CA1:ringing:2",
        "call.ringing",
    ),
    ("twilio", &[("content-type", FORM), ("I-Twilio-Idempotency-Token", "t-1")], "CallSid=CA1", "t-1", ""),
    (
        "slack",
        &[],
        r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"message"}}"#,
        "Ev1",
        "message",
    ),
    ("slack", &[("content-type", FORM)], "command=%2Fdeploy&trigger_id=1.2", "1.2", "command./deploy"),
    (
        "slack",
        &[("content-type", FORM)],
        "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%229%22%7D",
        "9",
        "block_actions",
    ),
    (
        "shopify",
        &[("X-Shopify-Webhook-Id", "w1"), ("X-Shopify-Event-Id", "e1"), ("X-Shopify-Topic", "orders/create")],
        "{}",
        "w1",
        "orders/create",
    ),
    ("clerk", &[("svix-id", "msg_1")], r#"{"type":"user.created"}"#, "msg_1", "user.created"),
    ("openai", &[("webhook-id", "wh_1")], r#"{"type":"response.completed"}"#, "wh_1", "response.completed"),
    ("linear", &[("Linear-Delivery", "l1")], r#"{"type":"Issue","action":"update"}"#, "l1", "Issue.update"),
    (
        "gitlab",
        &[("webhook-id", "g1"), ("Idempotency-Key", "g1"), ("X-Gitlab-Event-UUID", "shared")],
        r#"{"object_kind":"push"}"#,
        "g1",
        "push",
    ),
    ("vercel", &[], r#"{"id":"v1","type":"deployment.succeeded"}"#, "v1", "deployment.succeeded"),
    (
        "vapi",
        &[],
        r#"{"message":{"type":"end-of-call-report","timestamp":17,"call":{"id":"c1"}}}"#,
        "c1:end-of-call-report:17",
        "end-of-call-report",
    ),
    (
        "paddle",
        &[],
        r#"{"event_id":"evt","event_type":"transaction.paid","notification_id":"ntf"}"#,
        "evt",
        "transaction.paid",
    ),
    (
        "woocommerce",
        &[("X-WC-Webhook-Delivery-ID", "w1"), ("X-WC-Webhook-Topic", "order.created")],
        "{}",
        OF_ITS_BODY,
        "order.created",
    ),
    (
        "sentry",
        &[("Request-ID", "r1"), ("Sentry-Hook-Resource", "issue")],
        r#"{"action":"created"}"#,
        "r1",
        "issue.created",
    ),
    ("postmark", &[], r#"{"MessageID":"m","RecordType":"Bounce","ID":42}"#, "m:Bounce:42", "Bounce"),
    ("square", &[], r#"{"event_id":"s1","type":"payment.updated"}"#, "s1", "payment.updated"),
    (
        "postmark",
        &[],
        r#"{"MessageID":"m","RecordType":"Delivery","Recipient":"a@b.example","DeliveredAt":"2026-01-02T03:04:05Z"}"#,
        "m:Delivery:a@b.example:2026-01-02T03%3A04%3A05Z",
        "Delivery",
    ),
    ("generic", &[("idempotency-key", "7")], r#"{"id":7,"event":"done"}"#, "7", "done"),
];

/// The id is made of a hash of the body.
const OF_ITS_BODY: &str = "sha256-";

#[test]
fn every_provider_tells_its_events_apart() {
    for (provider, headers, body, id, event_type) in TOLD {
        let told = identity(provider, headers, body);
        let told_id = told.event_id.unwrap();
        let is_right = if *id == OF_ITS_BODY { told_id.contains(id) } else { told_id == *id };
        assert!(is_right, "{provider} {body}: {told_id}");
        assert_eq!(told.event_type.unwrap_or_default(), *event_type, "{provider} {body}");
    }
    for provider in all() {
        let is_shown = ["standard", "svix", "resend"].contains(&provider.id.as_str());
        assert!(is_shown || TOLD.iter().any(|(id, ..)| *id == provider.id), "{}", provider.id);
    }
}

/// Two events of a provider, each with its headers and its body.
type Pair = (&'static str, [(&'static [(&'static str, &'static str)], &'static str); 2]);

/// Events that are two, though something of them is the same.
const TWO: &[Pair] = &[
    // The delivery id of WooCommerce is one for each webhook and second.
    (
        "woocommerce",
        [
            (&[("x-wc-webhook-delivery-id", "1")], r#"{"id":7}"#),
            (&[("x-wc-webhook-delivery-id", "1")], r#"{"id":8}"#),
        ],
    ),
    // Two states of one object.
    ("generic", [(&[], r#"{"id":7,"event":"created"}"#), (&[], r#"{"id":7,"event":"done"}"#)]),
    // Two steps of one call.
    (
        "twilio",
        [
            (&[("content-type", FORM)], "CallSid=CA1&CallStatus=in-progress&Digits=1"),
            (&[("content-type", FORM)], "CallSid=CA1&CallStatus=in-progress&Digits=2"),
        ],
    ),
    // One action of a merchant.
    (
        "shopify",
        [
            (&[("x-shopify-event-id", "e"), ("x-shopify-topic", "products/update")], r#"{"id":1}"#),
            (&[("x-shopify-event-id", "e"), ("x-shopify-topic", "products/update")], r#"{"id":2}"#),
        ],
    ),
    (
        "shopify",
        [
            (&[("x-shopify-event-id", "e"), ("x-shopify-topic", "orders/create")], r#"{"id":1}"#),
            (&[("x-shopify-event-id", "e"), ("x-shopify-topic", "orders/paid")], r#"{"id":1}"#),
        ],
    ),
    // One mail to two people.
    (
        "postmark",
        [
            (&[], r#"{"MessageID":"m","RecordType":"Delivery","Recipient":"a","DeliveredAt":"t"}"#),
            (&[], r#"{"MessageID":"m","RecordType":"Delivery","Recipient":"b","DeliveredAt":"t"}"#),
        ],
    ),
    (
        "gitlab",
        [(&[("x-gitlab-event-uuid", "u")], r#"{"n":1}"#), (&[("x-gitlab-event-uuid", "u")], r#"{"n":2}"#)],
    ),
    // Numbers that a float cannot tell apart.
    ("stripe", [(&[], r#"{"id":18446744073709551617}"#), (&[], r#"{"id":18446744073709551618}"#)]),
];

#[test]
fn two_events_are_never_one() {
    for (provider, [first, second]) in TWO {
        let ids = [first, second].map(|(headers, body)| identity(provider, headers, body).event_id.unwrap());
        assert_ne!(ids[0], ids[1], "{provider}");
    }
    let step = |url| identity_at(url, "twilio", &[("content-type", FORM)], "CallSid=CA1&Digits=1").event_id;
    assert_ne!(step("https://a.example/?step=1"), step("https://a.example/?step=2"));
}

#[test]
fn parts_of_an_id_end_where_they_end() {
    let rules: Rules = toml::from_str(r#"event_id = [[{ pointer = "/a" }, { pointer = "/b" }]]"#).unwrap();
    let id = |body: &str| of_body("", body, |call, content| rules.identify(call, content)).event_id.unwrap();
    assert_eq!(id(r#"{"a":"x","b":"y"}"#), "x:y");
    assert_ne!(id(r#"{"a":"a:b","b":"c"}"#), id(r#"{"a":"a","b":"b:c"}"#));
    assert_ne!(id(r#"{"a":"a%3Ab","b":"c"}"#), id(r#"{"a":"a:b","b":"c"}"#));
}

#[test]
fn whatever_a_provider_signs_is_known_by_something() {
    for provider in all() {
        let last = provider.rules.event_id.last().unwrap();
        assert!(matches!(last.0[..], [Part::BodyHash | Part::CallHash]), "{}", provider.id);
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for body in ["", "\u{0}", "no JSON", deep.as_str()] {
            assert!(identity(&provider.id, &[], body).event_id.is_some(), "{} {body}", provider.id);
        }
    }
}

#[test]
fn an_order_has_several_places_to_stand() {
    let key = |body: &str| {
        let rules =
            Rules { order_key: find("stripe").unwrap().order_key_suggested.clone(), ..Rules::default() };
        of_body("", body, |call, content| rules.identify(call, content)).order_key
    };
    let invoice = key(r#"{"data":{"object":{"id":"in_1","customer":"cus_1"}}}"#);
    assert_eq!(invoice.as_deref(), Some("cus_1"));
    assert_eq!(key(r#"{"data":{"object":{"id":"cus_1"}}}"#), invoice, "customer.updated is the customer's");
    assert_eq!(key("{}"), None);
}

#[test]
fn what_only_a_header_says_of_a_type_is_known_as_such() {
    let told =
        |provider: &str, headers: &[(&str, &str)], body: &str| identity(provider, headers, body).told_type;
    assert_eq!(told("shopify", &[("x-shopify-topic", "orders/paid")], "{}").as_deref(), Some("orders/paid"));
    let github = told("github", &[("x-github-event", "issues")], r#"{"action":"closed"}"#);
    assert_eq!(github.as_deref(), Some("issues"), "the action is signed with the body");
    assert_eq!(told("stripe", &[], r#"{"type":"invoice.paid"}"#), None);
}

#[test]
fn a_form_is_read_up_to_a_bound() {
    let fields: Vec<String> = (0..2000).map(|at| format!("f{at}=v{at}")).collect();
    of_body(FORM, &fields.join("&"), |_, content| {
        assert_eq!(content.field("f999"), Some(b"v999".as_slice()));
        assert_eq!(content.field("f1000"), None);
        assert!(!format!("{content:?}").contains("v9"), "{content:?}");
    });
}

#[test]
fn what_names_no_id_is_told_by_its_body() {
    let first = identity("generic", &[], "a").event_id.unwrap();
    assert_eq!(first, "sha256-ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    assert_ne!(Some(first), identity("generic", &[], "b").event_id);
}

#[test]
fn an_identity_is_bounded_and_can_be_shown() {
    let long = "x".repeat(256);
    for strange in [long.as_str(), "a\\u0000b", "a\\u202eb"] {
        let body = format!(r#"{{"id":"{strange}","type":"{strange}"}}"#);
        let identity = identity("stripe", &[], &body);
        let id = identity.event_id.unwrap();
        assert!(id.starts_with("sha256-") && id.len() == 71, "{id}");
        assert_eq!(identity.event_type, None);
    }
    let fits = "x".repeat(255);
    let identity = identity("stripe", &[], &format!(r#"{{"id":"{fits}"}}"#));
    assert_eq!(identity.event_id, Some(fits));
}

#[test]
fn rules_of_ones_own_are_read_and_checked() {
    let rules: Rules = toml::from_str(
        r#"
        event_id = [{ header = "x-none" }, [{ query = "token" }, { pointer = "/a/0" }], "body_hash"]
        event_type = [[{ text = "x" }, { header = "X-Kind" }]]
        order_key = ["/nowhere", "/customer"]
        "#,
    )
    .unwrap();
    assert_eq!(rules.check(), Ok(()));
    let headers: [(&str, &[u8]); 1] = [("x-kind", b"new")];
    let body = br#"{"a":[true],"customer":"c1"}"#;
    let call = Call { method: "POST", url: "https://a.example/?token=t1", headers: &headers, body };
    let wanted = Wanted::of(rules.pointers());
    let identity = rules.identify(&call, &Content::of(&call, &wanted));
    let some = |text: &str| Some(text.to_owned());
    let told = Identity {
        event_id: some("t1:true"),
        event_type: some("x.new"),
        told_type: some("new"),
        order_key: some("c1"),
    };
    assert_eq!(identity, told);

    let text = |text: &str| Way(vec![Part::Text(text.to_owned())]);
    let of_type = |ways: Vec<Way>| Rules { event_type: ways, ..Rules::default() }.check();
    assert_eq!(of_type(vec![text("")]), Err(BadRules::Text { field: "event_type" }));
    assert_eq!(of_type(vec![text("a\nb")]), Err(BadRules::Text { field: "event_type" }));
    assert_eq!(of_type(vec![Way(Vec::new())]), Err(BadRules::Count { field: "event_type" }));
    assert_eq!(of_type(vec![text("a"); 9]), Err(BadRules::Count { field: "event_type" }));
    let read = serde_json::from_value::<Rules>(json!({"event_type": [[]]})).unwrap_err().to_string();
    assert_eq!(read, "event_type: at most 8 ways of 1 to 6 parts each", "no rules are read unchecked");
}

#[test]
fn slack_hears_its_challenge() {
    let slack = find("slack").unwrap();
    let verified = Verified { secret: Some(0), signed_at: None, covers: Covers::Moment };
    let answer = |body: &str| of_body("", body, |_, content| slack.challenge(content, &verified));
    let heard = answer(r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#).unwrap();
    assert_eq!((heard.status, heard.body.as_str()), (200, "3eZbrw1a"));
    assert!(heard.content_type.starts_with("text/plain"), "a browser runs nothing of it");
    assert_eq!(answer(r#"{"type":"event_callback","challenge":"3eZbrw1a"}"#), None);
    assert_eq!(answer(r#"{"type":"url_verification"}"#), None);
    assert_eq!(answer("nothing"), None);
}

#[test]
fn a_ping_of_woocommerce_is_known_without_a_signature() {
    let is_ping = |provider: &str, content_type: &str, body: &str| {
        of_body(content_type, body, |call, content| find(provider).unwrap().is_ping(call, content))
    };
    assert!(is_ping("woocommerce", FORM, "webhook_id=17"));
    for body in ["webhook_id=17&x=1", "webhook_id=", "webhook_id=a", "id=17", ""] {
        assert!(!is_ping("woocommerce", FORM, body), "{body}");
    }
    assert!(!is_ping("woocommerce", "application/json", "webhook_id=17"));
    assert!(!is_ping("stripe", FORM, "webhook_id=17"));
    assert!(!is_ping("woocommerce", FORM, &format!("webhook_id={}", "1".repeat(100))));
}

#[test]
fn twilio_and_slack_hear_nothing_that_they_would_say() {
    let answer = &find("twilio").unwrap().answer;
    assert_eq!((answer.content_type.as_str(), answer.body.as_str()), ("text/xml", "<Response/>"));
    assert_eq!(find("stripe").unwrap().answer, Answer::default());
    // A word in an answer to Slack stands in the channel, or as an error in a form.
    let answer = &find("slack").unwrap().answer;
    assert_eq!((answer.status, answer.content_type.as_str(), answer.body.as_str()), (200, "text/plain", ""));
}

#[test]
fn mail_events_say_what_became_of_a_mail() {
    let outcome = |provider: &str, event_type, body: &str| {
        let mail = find(provider).unwrap().mail.as_ref()?;
        of_body("", body, |_, content| mail.outcome(event_type, content))
    };
    for (provider, event_type, body, wanted) in [
        ("resend", "email.delivered", "{}", Some(MailOutcome::Delivered)),
        ("resend", "email.bounced", "{}", Some(MailOutcome::Bounced)),
        ("resend", "email.failed", "{}", Some(MailOutcome::Bounced)),
        ("resend", "email.suppressed", "{}", Some(MailOutcome::Bounced)),
        ("resend", "email.opened", "{}", None),
        ("postmark", "SpamComplaint", "{}", Some(MailOutcome::Complained)),
        ("postmark", "Bounce", r#"{"Type":"HardBounce"}"#, Some(MailOutcome::Bounced)),
        ("postmark", "Bounce", r#"{"Type":"Transient"}"#, None),
        ("postmark", "Bounce", r#"{"Type":"AutoResponder"}"#, None),
        ("postmark", "Bounce", "{}", None),
        ("stripe", "email.delivered", "{}", None),
    ] {
        assert_eq!(outcome(provider, event_type, body), wanted, "{provider} {event_type} {body}");
    }
}

#[test]
fn deploys_of_github_and_vercel_are_marked() {
    let mark = |provider: &str, event_type: &str, body: &Value| {
        let rule = find(provider).unwrap().deploy.as_ref().unwrap();
        of_body("", &body.to_string(), |_, content| rule.mark(event_type, content))
    };
    let status = |state: &str| {
        json!({
            "action": "created",
            "deployment_status": {"state": state, "environment": "production",
                "environment_url": "", "target_url": "https://ci.example/7", "created_at": "2026-01-02T03:04:05Z"},
            "deployment": {"sha": "abc123", "environment": "staging"},
        })
    };
    let at = Timestamp::parse_rfc3339("2026-01-02T03:04:05Z");
    let wanted = DeployMark {
        release: "abc123".to_owned(),
        environment: "production".to_owned(),
        url: Some("https://ci.example/7".to_owned()),
        at,
    };
    assert_eq!(mark("github", "deployment_status.created", &status("success")), Some(wanted));
    assert_eq!(mark("github", "deployment_status.created", &status("pending")), None);
    assert_eq!(mark("github", "push", &status("success")), None);

    let vercel = json!({
        "createdAt": 1_767_323_045_000_i64,
        "payload": {"target": null, "deployment": {"id": "dpl_1", "url": "shop-abc.vercel.app", "meta": {}}},
    });
    let wanted = DeployMark {
        release: "dpl_1".to_owned(),
        environment: "preview".to_owned(),
        url: Some("https://shop-abc.vercel.app".to_owned()),
        at,
    };
    assert_eq!(mark("vercel", "deployment.succeeded", &vercel), Some(wanted));
    assert_eq!(mark("vercel", "deployment.created", &vercel), None);
    let strange = json!({"payload": {"deployment": {"id": "a\nb", "url": "javascript://x"}}});
    assert_eq!(mark("vercel", "deployment.succeeded", &strange), None);
}

/// Six providers sign as Standard Webhooks say; none of them alone is mended one day.
#[test]
fn who_signs_as_the_standard_says_signs_the_same() {
    let standard = &find("standard").unwrap().scheme;
    for id in ["svix", "clerk", "resend", "openai", "gitlab"] {
        assert_eq!(&find(id).unwrap().scheme, standard, "{id}");
    }
}

#[test]
fn a_secret_of_another_kind_is_warned_of() {
    let warning = |provider: &str, secret: &str| find(provider).unwrap().secret_warning(&Secret::new(secret));
    assert_eq!(warning("stripe", "whsec_0123456789"), None);
    let short = warning("stripe", "whsec_1").unwrap();
    assert_eq!(short, "Signing secret is shorter than 16 characters: take a long random one");
    let told = warning("stripe", "sk_live_1").unwrap();
    assert_eq!(told, "Signing secret usually begins with whsec_: is it the right one?");
    assert_eq!(warning("github", "anything long enough"), None);
}
