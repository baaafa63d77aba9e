use serde_json::{Value, json};

use super::*;
use crate::base::{Secret, Timestamp};

const FORM: &str = "application/x-www-form-urlencoded";

/// What a provider makes of a call.
fn identity(provider: &str, headers: &[(&str, &str)], body: &str) -> Identity {
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let url = "https://hooks.example.com/x?token=t1";
    let call = Call { method: "POST", url, headers: &headers, body: body.as_bytes() };
    find(provider).unwrap().rules.identify(&call, &Content::of(&call))
}

fn told(id: &str, event_type: &str) -> Identity {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Identity { event_id: some(id), event_type: some(event_type), order_key: None }
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
    ("github", &[("x-github-event", "ping")], "not json", "", "ping"),
    (
        "github",
        &[("x-github-event", "issues"), ("content-type", FORM)],
        "payload=%7B%22action%22%3A%22closed%22%7D",
        "",
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
        &[("X-Shopify-Event-Id", "e1"), ("X-Shopify-Topic", "orders/create")],
        "{}",
        "e1:orders/create",
        "orders/create",
    ),
    ("clerk", &[("svix-id", "msg_1")], r#"{"type":"user.created"}"#, "msg_1", "user.created"),
    ("openai", &[("webhook-id", "wh_1")], r#"{"type":"response.completed"}"#, "wh_1", "response.completed"),
    ("linear", &[("Linear-Delivery", "l1")], r#"{"type":"Issue","action":"update"}"#, "l1", "Issue.update"),
    (
        "gitlab",
        &[("Idempotency-Key", "g1"), ("X-Gitlab-Event-UUID", "shared")],
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
        "w1",
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
    ("generic", &[], r#"{"id":7,"event":"done"}"#, "7", "done"),
];

#[test]
fn every_provider_tells_its_events_apart() {
    for (provider, headers, body, id, event_type) in TOLD {
        assert_eq!(identity(provider, headers, body), told(id, event_type), "{provider} {body}");
    }
    for provider in all() {
        let is_shown = ["standard", "svix", "resend"].contains(&provider.id.as_str());
        assert!(is_shown || TOLD.iter().any(|(id, ..)| *id == provider.id), "{}", provider.id);
    }
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
        event_id = [[{ query = "token" }, { pointer = "/a/0" }]]
        event_type = [[{ text = "x" }, { header = "X-Kind" }]]
        order_key = "/customer"
        "#,
    )
    .unwrap();
    assert_eq!(rules.check(), Ok(()));
    let headers: [(&str, &[u8]); 1] = [("x-kind", b"new")];
    let body = br#"{"a":[true],"customer":"c1"}"#;
    let call = Call { method: "POST", url: "https://a.example/?token=t1", headers: &headers, body };
    let identity = rules.identify(&call, &Content::of(&call));
    assert_eq!(identity, Identity { order_key: Some("c1".to_owned()), ..told("t1:true", "x.new") });

    let text = |text: &str| Way(vec![Part::Text(text.to_owned())]);
    let of_type = |ways: Vec<Way>| Rules { event_type: ways, ..Rules::default() }.check();
    assert_eq!(of_type(vec![text("")]), Err(BadRules::Text { field: "event_type" }));
    assert_eq!(of_type(vec![text("a\nb")]), Err(BadRules::Text { field: "event_type" }));
    assert_eq!(of_type(vec![Way(Vec::new())]), Err(BadRules::Count { field: "event_type" }));
    assert_eq!(of_type(vec![text("a"); 9]), Err(BadRules::Count { field: "event_type" }));
}

#[test]
fn slack_hears_its_challenge() {
    let slack = find("slack").unwrap();
    let answer = |body: &str| {
        let call = Call { method: "POST", url: "", headers: &[], body: body.as_bytes() };
        slack.challenge(&Content::of(&call))
    };
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
        let headers: [(&str, &[u8]); 1] = [("content-type", content_type.as_bytes())];
        let call = Call { method: "POST", url: "", headers: &headers, body: body.as_bytes() };
        find(provider).unwrap().is_ping(&call, &Content::of(&call))
    };
    assert!(is_ping("woocommerce", FORM, "webhook_id=17"));
    for body in ["webhook_id=17&x=1", "webhook_id=", "webhook_id=a", "id=17", ""] {
        assert!(!is_ping("woocommerce", FORM, body), "{body}");
    }
    assert!(!is_ping("woocommerce", "application/json", "webhook_id=17"));
    assert!(!is_ping("stripe", FORM, "webhook_id=17"));
}

#[test]
fn twilio_hears_nothing_that_it_would_say() {
    let answer = &find("twilio").unwrap().answer;
    assert_eq!((answer.content_type.as_str(), answer.body.as_str()), ("text/xml", "<Response/>"));
    assert_eq!(find("stripe").unwrap().answer, Answer::default());
}

#[test]
fn mail_events_say_what_became_of_a_mail() {
    let outcome = |provider: &str, event_type| find(provider).unwrap().mail.as_ref()?.outcome(event_type);
    assert_eq!(outcome("resend", "email.delivered"), Some(MailOutcome::Delivered));
    assert_eq!(outcome("resend", "email.bounced"), Some(MailOutcome::Bounced));
    assert_eq!(outcome("resend", "email.opened"), None);
    assert_eq!(outcome("postmark", "SpamComplaint"), Some(MailOutcome::Complained));
    assert_eq!(outcome("stripe", "email.delivered"), None);
}

#[test]
fn deploys_of_github_and_vercel_are_marked() {
    let mark = |provider: &str, event_type: &str, body: &Value| {
        find(provider).unwrap().deploy.as_ref().unwrap().mark(event_type, body)
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

#[test]
fn a_secret_of_another_kind_is_warned_of() {
    let warning = |provider: &str, secret: &str| find(provider).unwrap().secret_warning(&Secret::new(secret));
    assert_eq!(warning("stripe", "whsec_1"), None);
    let told = warning("stripe", "sk_live_1").unwrap();
    assert_eq!(told, "Signing secret usually begins with whsec_: is it the right one?");
    assert_eq!(warning("github", "anything"), None);
}
