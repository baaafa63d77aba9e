//! Every ready-made probe of a provider against one that answers as it does: with a good key, a wrong one, and down.

use serde_json::{Value, json};
use tocsin::probes::condition::{Condition, Finding};
use tocsin::probes::presets::{self, Inputs, Preset};

use crate::support::{
    asker::{Eye, Look, PATIENCE},
    database::{Postgres, Redis},
    peer::{Peer, Reply},
};

/// What a provider is asked, and what it says.
struct Provider {
    id: &'static str,
    method: &'static str,
    path: &'static str,
    /// Those that say who asks, and how.
    headers: Vec<(&'static str, &'static str)>,
    good: Value,
    /// To a key that it does not know.
    refusal: (u16, Value),
}

fn providers() -> Vec<Provider> {
    const BEARER: (&str, &str) = ("authorization", "Bearer the-key");
    const BASIC: (&str, &str) = ("authorization", "Basic QUMxMjM6dGhlLWtleQ==");
    let refusal = || (401, json!({"error": {"message": "Invalid key"}}));
    let of = |id, path, header, good| Provider {
        id,
        method: "GET",
        path,
        headers: vec![header],
        good,
        refusal: refusal(),
    };
    let google = (400, json!({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}));
    let calendar =
        "/calendar/v3/calendars/en%2Eusa%23holiday%40group%2Ev%2Ecalendar%2Egoogle%2Ecom/events?maxResults=1";
    vec![
        of("stripe", "/v1/balance", BEARER, json!({"object": "balance", "available": []})),
        // The account's own token stands in the answer.
        of(
            "twilio-sms",
            "/2010-04-01/Accounts/AC123.json",
            BASIC,
            json!({"status": "active", "auth_token": "the-key"}),
        ),
        of(
            "twilio-whatsapp",
            "/v2/Channels/Senders?Channel=whatsapp&PageSize=50",
            BASIC,
            json!({"senders": [{"status": "OFFLINE"}, {"status": "ONLINE"}]}),
        ),
        Provider {
            refusal: google.clone(),
            ..of(
                "google-calendar",
                calendar,
                ("x-goog-api-key", "the-key"),
                json!({"kind": "calendar#events", "items": []}),
            )
        },
        of("openai", "/v1/models", BEARER, json!({"data": [{"id": "gpt"}]})),
        Provider {
            headers: vec![("x-api-key", "the-key"), ("anthropic-version", "2023-06-01")],
            ..of("anthropic", "/v1/models?limit=1", BEARER, json!({"data": [{"id": "claude"}]}))
        },
        Provider {
            refusal: google,
            ..of(
                "gemini",
                "/v1beta/models?pageSize=1",
                ("x-goog-api-key", "the-key"),
                json!({"models": [{"name": "gemini"}]}),
            )
        },
        of("sendgrid", "/v3/scopes", BEARER, json!({"scopes": ["mail.send", "stats.read"]})),
        of("supabase", "/auth/v1/health", ("apikey", "the-key"), json!({"name": "GoTrue"})),
        of("upstash", "/ping", BEARER, json!({"result": "PONG"})),
        Provider {
            method: "POST",
            refusal: (200, json!({"ok": false, "error": "invalid_auth"})),
            ..of("slack", "/api/auth.test", BEARER, json!({"ok": true, "team": "shop"}))
        },
    ]
}

async fn run(preset: &Preset, base_url: &str) -> (Look, Option<(String, String)>) {
    let typed = [("key", "the-key"), ("token", "the-key"), ("account", "AC123"), ("base_url", base_url)];
    let inputs = typed.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let built = preset.build(&Inputs(inputs.into())).unwrap();
    let checked = built.definition.check(&built.secrets).unwrap();
    let look = Eye::new(None).ask_target(PATIENCE, checked.definition.target, built.secrets).await;
    assert_eq!(look.seen.failed, None, "{}", preset.id);
    let failing = checked.conditions.iter().find_map(|condition| match condition.check(&look.seen.facts) {
        Finding::Holds => None,
        Finding::Fails(reason) => Some((condition.to_string(), reason)),
    });
    (look, failing)
}

#[tokio::test]
async fn a_provider_is_good_refuses_the_key_or_is_down() {
    for provider in providers() {
        let preset = presets::find(provider.id).unwrap();
        let json_reply = |status: u16, body: &Value| {
            Reply::Status(status, vec![("Content-Type", "application/json".to_owned())], body.to_string())
        };
        let (status, body) = &provider.refusal;
        let peer =
            Peer::start(&[json_reply(200, &provider.good), json_reply(*status, body), Reply::status(503)]);
        let (look, failing) = run(preset, &peer.url("")).await;
        assert_eq!(failing, None, "{}", provider.id);
        assert!(!format!("{:?}", look.seen.sample).contains("the-key"), "{}", provider.id);
        let request = &peer.requests()[0];
        assert_eq!((&*request.method, &*request.path), (provider.method, provider.path), "{}", provider.id);
        for (name, value) in &provider.headers {
            assert_eq!(request.headers.get(*name).map(String::as_str), Some(*value), "{}", provider.id);
        }
        assert!(request.body.is_empty(), "{}: nothing is sent", provider.id);
        let length = request.headers.get("content-length").map(String::as_str);
        assert_eq!(length, (provider.method == "POST").then_some("0"), "{}", provider.id);

        let (condition, reason) = run(preset, &peer.url("")).await.1.expect("a wrong key is seen");
        assert!(condition.contains("not in ("), "{}: {reason}", provider.id);
        let (condition, reason) = run(preset, &peer.url("/")).await.1.expect("an outage is seen");
        assert_eq!(condition, "status < 300", "{}: {reason}", provider.id);
        assert!(reason.contains("503"), "{reason}");
    }
    let asked: Vec<_> = providers().iter().map(|provider| provider.id).collect();
    let rest: Vec<_> = presets::all().map(|preset| preset.id).filter(|id| !asked.contains(id)).collect();
    assert_eq!(rest, ["website", "postgres", "redis"], "every provider is tried here");
}

#[tokio::test]
async fn ones_own_databases_need_an_address_and_nothing_more() {
    let (postgres, redis) = (Postgres::start(None), Redis::start(&["--requirepass", "pa:ss"]));
    let password = "p%40ss%2Fw%3Ard%2541";
    let addresses = [
        ("postgres", postgres.url("").replace("{{password}}", password)),
        ("redis", format!("redis://:pa:ss@127.0.0.1:{}", redis.daemon.port)),
    ];
    for (id, address) in addresses {
        let inputs = Inputs([("url".to_owned(), address)].into());
        let built = presets::find(id).unwrap().build(&inputs).unwrap();
        assert_eq!(built.warnings, Vec::<String>::new());
        let checked = built.definition.check(&built.secrets).unwrap();
        let look = Eye::new(None).ask_target(PATIENCE, checked.definition.target, built.secrets).await;
        look.holds(&checked.conditions.iter().map(Condition::as_str).collect::<Vec<_>>());
    }
}
