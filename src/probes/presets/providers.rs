//! What a team buys: payment, messages, mail, AI, storage of others.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Given, Input, Preset, base_url, conditions, optional, plain, secret};
use crate::base::Severity;
use crate::probes::definition::Definition;
use crate::probes::target::{Http, Target};

/// For one call over the internet with a fresh connection.
const BUDGET: Duration = Duration::from_secs(2);
/// AI providers take their time also over lists.
const AI_BUDGET: Duration = Duration::from_secs(3);
/// Upstash answers from near by; most of it is the fresh connection.
const UPSTASH_BUDGET: Duration = Duration::from_millis(500);

/// Fails where the key is refused, before anything else is asked.
const KEY_TAKEN: &str = "status not in (401, 403)";
/// Google says 400 to a key that is none.
const GOOGLE_KEY_TAKEN: &str = "status not in (400, 401, 403)";
const GOOD: &str = "status < 300";

pub(super) const ALL: &[Preset] = &[
    Preset {
        id: "stripe",
        name: "Stripe",
        checks: "The payment API takes the key and tells the balance.",
        documented_at: "https://docs.stripe.com/api/balance/balance_retrieve",
        inputs: &[
            secret(
                "key",
                "Secret key",
                "Stripe dashboard → Developers → API keys. A restricted key that may only read the balance is best.",
                &["sk_", "rk_"],
            ),
            base_url("https://api.stripe.com"),
        ],
        make: stripe,
    },
    Preset {
        id: "twilio-sms",
        name: "Twilio (SMS)",
        checks: "Twilio takes the token, and the account is active.",
        documented_at: "https://www.twilio.com/docs/iam/api/account",
        inputs: &[ACCOUNT_SID, AUTH_TOKEN, base_url("https://api.twilio.com")],
        make: twilio_sms,
    },
    Preset {
        id: "twilio-whatsapp",
        name: "Twilio (WhatsApp)",
        checks: "Twilio takes the token, and at least one WhatsApp sender is online.",
        documented_at: "https://www.twilio.com/docs/whatsapp/api/senders",
        inputs: &[ACCOUNT_SID, AUTH_TOKEN, base_url("https://messaging.twilio.com")],
        make: twilio_whatsapp,
    },
    Preset {
        id: "google-calendar",
        name: "Google Calendar",
        checks: "The Calendar API takes the key and lists events of a public calendar.",
        documented_at: "https://developers.google.com/calendar/v3/reference/events/list",
        inputs: &[
            secret(
                "key",
                "API key",
                "Google Cloud console → APIs & Services → Credentials, with the Calendar API allowed.",
                &["AIza", "AQ."],
            ),
            Input {
                default: Some("en.usa#holiday@group.v.calendar.google.com"),
                ..plain(
                    "calendar",
                    "Calendar",
                    "The id of a public calendar; nothing: the one of US holidays.",
                    &[],
                )
            },
            base_url("https://www.googleapis.com"),
        ],
        make: google_calendar,
    },
    Preset {
        id: "openai",
        name: "OpenAI",
        checks: "The API takes the key and lists its models.",
        documented_at: "https://developers.openai.com/api/reference/resources/models/methods/list",
        inputs: &[
            secret(
                "key",
                "API key",
                "platform.openai.com → API keys; a restricted one needs to read Models.",
                &["sk-"],
            ),
            base_url("https://api.openai.com"),
        ],
        make: openai,
    },
    Preset {
        id: "anthropic",
        name: "Anthropic",
        checks: "The API takes the key and lists its models.",
        documented_at: "https://platform.claude.com/docs/en/api/models-list",
        inputs: &[
            secret("key", "API key", "platform.claude.com → Settings → API keys.", &["sk-ant-"]),
            base_url("https://api.anthropic.com"),
        ],
        make: anthropic,
    },
    Preset {
        id: "gemini",
        name: "Gemini",
        checks: "The API takes the key and lists its models.",
        documented_at: "https://ai.google.dev/api/models",
        inputs: &[
            secret("key", "API key", "Google AI Studio → API keys.", &["AIza", "AQ."]),
            base_url("https://generativelanguage.googleapis.com"),
        ],
        make: gemini,
    },
    Preset {
        id: "sendgrid",
        name: "SendGrid",
        checks: "The API takes the key, and it may send mail.",
        documented_at: "https://www.twilio.com/docs/sendgrid/api-reference/api-key-permissions/retrieve-a-list-of-scopes-for-which-this-user-has-access",
        inputs: &[
            secret("key", "API key", "SendGrid → Settings → API Keys.", &["SG."]),
            base_url("https://api.sendgrid.com"),
        ],
        make: sendgrid,
    },
    Preset {
        id: "supabase",
        name: "Supabase",
        checks: "The project takes the key and its sign-in service answers; with a table, its database too.",
        documented_at: "https://supabase.com/docs/guides/troubleshooting/how-do-i-check-gotrueapi-version-of-a-supabase-project-lQAnOR",
        inputs: &[
            plain(
                "base_url",
                "Project address",
                "Supabase → Project settings → Data API, such as https://abcd.supabase.co.",
                &["https://"],
            ),
            secret(
                "key",
                "API key",
                "Supabase → Project settings → API keys; the publishable one is enough.",
                &["eyJ", "sb_"],
            ),
            optional("table", "Table", "One that this key may read; its database is asked then."),
        ],
        make: supabase,
    },
    Preset {
        id: "upstash",
        name: "Upstash",
        checks: "The Redis behind the REST address takes the token and answers PING.",
        documented_at: "https://upstash.com/docs/redis/features/restapi",
        inputs: &[
            plain(
                "base_url",
                "REST address",
                "Upstash console → the database → REST API, such as https://abcd.upstash.io.",
                &["https://"],
            ),
            secret("token", "Token", "Beside the address; the read-only one is enough.", &[]),
        ],
        make: upstash,
    },
    Preset {
        id: "slack",
        name: "Slack",
        checks: "Slack takes the token of the app.",
        documented_at: "https://docs.slack.dev/reference/methods/auth.test",
        inputs: &[
            secret(
                "token",
                "Token",
                "api.slack.com/apps → the app → OAuth & Permissions.",
                &["xox", "xapp-"],
            ),
            base_url("https://slack.com"),
        ],
        make: slack,
    },
];

const ACCOUNT_SID: Input = plain("account", "Account SID", "Twilio console → Account info.", &["AC"]);
const AUTH_TOKEN: Input = secret("token", "Auth token", "Twilio console → Account info.", &[]);

/// A provider's answer, taken as it should be.
fn provider(request: Http, asked: &[&str], slow_after: Duration) -> Definition {
    Definition {
        conditions: conditions(asked),
        slow_after: Some(slow_after),
        ..Definition::of(Target::Http(request))
    }
}

fn bearer(given: &mut Given, name: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", given.secret(name)))
}

fn stripe(given: &mut Given) -> Definition {
    let key = bearer(given, "key");
    provider(given.request("/v1/balance", &[key]), &[KEY_TAKEN, GOOD, "body.object == 'balance'"], BUDGET)
}

/// HTTP's own sign-in, sealed as a whole.
fn twilio_sign_in(given: &mut Given) -> (&'static str, String) {
    let both = STANDARD.encode(format!("{}:{}", given.text("account"), given.text("token")));
    ("authorization", format!("Basic {}", given.keep("sign_in", both)))
}

fn twilio_sms(given: &mut Given) -> Definition {
    let sign_in = twilio_sign_in(given);
    let path = format!("/2010-04-01/Accounts/{}.json", encoded(given.text("account")));
    provider(given.request(&path, &[sign_in]), &[KEY_TAKEN, GOOD, "body.status == 'active'"], BUDGET)
}

fn twilio_whatsapp(given: &mut Given) -> Definition {
    let sign_in = twilio_sign_in(given);
    let request = given.request("/v2/Channels/Senders?Channel=whatsapp&PageSize=50", &[sign_in]);
    let online = "any(body.senders[*].status) in ('ONLINE', 'ONLINE:UPDATING')";
    provider(request, &[KEY_TAKEN, GOOD, online], BUDGET)
}

fn google_calendar(given: &mut Given) -> Definition {
    let key = ("x-goog-api-key", given.secret("key"));
    let path = format!("/calendar/v3/calendars/{}/events?maxResults=1", encoded(given.text("calendar")));
    Definition {
        severity: Severity::Medium,
        ..provider(
            given.request(&path, &[key]),
            &[GOOGLE_KEY_TAKEN, GOOD, "body.kind == 'calendar#events'"],
            BUDGET,
        )
    }
}

fn openai(given: &mut Given) -> Definition {
    let key = bearer(given, "key");
    // The list is not paged and grows.
    let request = Http { body_kb: 512, ..given.request("/v1/models", &[key]) };
    provider(request, &[KEY_TAKEN, GOOD, "length(body.data) > 0"], AI_BUDGET)
}

fn anthropic(given: &mut Given) -> Definition {
    let headers = [("x-api-key", given.secret("key")), ("anthropic-version", "2023-06-01".to_owned())];
    let request = given.request("/v1/models?limit=1", &headers);
    provider(request, &[KEY_TAKEN, GOOD, "length(body.data) > 0"], AI_BUDGET)
}

fn gemini(given: &mut Given) -> Definition {
    let key = ("x-goog-api-key", given.secret("key"));
    let request = given.request("/v1beta/models?pageSize=1", &[key]);
    provider(request, &[GOOGLE_KEY_TAKEN, GOOD, "length(body.models) > 0"], AI_BUDGET)
}

fn sendgrid(given: &mut Given) -> Definition {
    let key = bearer(given, "key");
    provider(
        given.request("/v3/scopes", &[key]),
        &[KEY_TAKEN, GOOD, "body.scopes contains 'mail.send'"],
        BUDGET,
    )
}

fn supabase(given: &mut Given) -> Definition {
    let headers = [("apikey", given.secret("key"))];
    let path = match given.optional("table") {
        Some(table) => format!("/rest/v1/{}?select=*&limit=1", encoded(&table)),
        None => "/auth/v1/health".to_owned(),
    };
    let severity = Severity::Critical;
    Definition { severity, ..provider(given.request(&path, &headers), &[KEY_TAKEN, GOOD], BUDGET) }
}

fn upstash(given: &mut Given) -> Definition {
    let token = bearer(given, "token");
    provider(given.request("/ping", &[token]), &[KEY_TAKEN, GOOD, "body.result == 'PONG'"], UPSTASH_BUDGET)
}

/// Slack says 200 to everything, and in the body what is wrong.
fn slack(given: &mut Given) -> Definition {
    let token = bearer(given, "token");
    let request = Http { method: "POST".to_owned(), ..given.request("/api/auth.test", &[token]) };
    let refused = "body.error not exists or body.error not in ('invalid_auth', 'not_authed', 'account_inactive', 'token_revoked', 'token_expired')";
    Definition { severity: Severity::Medium, ..provider(request, &[GOOD, refused, "body.ok"], BUDGET) }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
