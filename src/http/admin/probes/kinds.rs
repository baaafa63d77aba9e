//! What the form asks of each kind: a table of inputs, and how they become a target.

use serde_json::{Map, Value, json};

use super::fields::Typed;
use crate::http::admin::Wrongs;
use crate::probes::secrets::with_stand_ins;
use crate::probes::{Kind, Target, secrets};

/// One input of the part of the form that a kind decides.
#[derive(Debug)]
pub(super) struct Input {
    /// `target.` and the member of the target.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    pub(super) placeholder: &'static str,
    pub(super) look: Look,
    pub(super) is_needed: bool,
}

/// How an input looks, and what of the target it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Line,
    /// A whole number.
    Number,
    /// Several lines of text.
    Area,
    /// `Name: value`, one to a line.
    Headers,
    /// `send …` and `expect …`, one to a line.
    Dialogue,
    Tick,
    Choice(&'static [(&'static str, &'static str)]),
    /// Written, never shown again; the target names the secret of this name.
    Secret(&'static str),
}

const fn input(name: &'static str, label: &'static str, look: Look) -> Input {
    Input { name, label, hint: "", placeholder: "", look, is_needed: false }
}

impl Input {
    const fn needed(self) -> Self {
        Self { is_needed: true, ..self }
    }

    const fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    const fn like(self, placeholder: &'static str) -> Self {
        Self { placeholder, ..self }
    }

    /// The member of the target.
    pub(super) fn member(&self) -> &'static str {
        self.name.strip_prefix("target.").unwrap_or(self.name)
    }
}

const METHODS: &[(&str, &str)] =
    &[("GET", "GET"), ("HEAD", "HEAD"), ("POST", "POST"), ("PUT", "PUT"), ("OPTIONS", "OPTIONS")];
const RECORDS: &[(&str, &str)] = &[
    ("A", "A"),
    ("AAAA", "AAAA"),
    ("CAA", "CAA"),
    ("CNAME", "CNAME"),
    ("MX", "MX"),
    ("NS", "NS"),
    ("PTR", "PTR"),
    ("SOA", "SOA"),
    ("SRV", "SRV"),
    ("TXT", "TXT"),
];
const SMTP_TLS: &[(&str, &str)] = &[("starttls", "STARTTLS"), ("tls", "TLS"), ("none", "none")];
const SECRET_HINT: &str = "{{name}} stands for a secret, which is asked for below.";

const HTTP: &[Input] = &[
    input("target.url", "Address", Look::Line).needed().like("https://shop.example/health").hint(SECRET_HINT),
    input("target.method", "Method", Look::Choice(METHODS)),
    input("target.headers", "Headers", Look::Headers)
        .like("Authorization: Bearer {{token}}")
        .hint("One to a line: Name: value. {{name}} stands for a secret, which is asked for below."),
    input("target.body", "Body", Look::Area),
    input("target.redirects", "Redirects that are followed", Look::Number)
        .hint("0: none. Each is checked like the first address."),
    input("target.body_kb", "Read of the answer, in KiB", Look::Number).hint("At most 1024."),
    input("target.verify", "Take only trusted certificates", Look::Tick),
];

const TCP: &[Input] = &[
    input("target.host", "Host", Look::Line).needed().like("mail.example.com"),
    input("target.port", "Port", Look::Number).needed().like("25"),
    input("target.tls", "Over TLS", Look::Tick),
    input("target.dialogue", "Dialogue", Look::Dialogue)
        .like("expect 220\nsend QUIT\\r\\n\nexpect 221")
        .hint("One step to a line: send TEXT, expect TEXT. \\r \\n \\t \\\\ and \\xNN stand for bytes."),
];

const TLS: &[Input] = &[
    input("target.host", "Host", Look::Line).needed().like("shop.example"),
    input("target.port", "Port", Look::Number).like("443"),
    input("target.server_name", "Name on the certificate", Look::Line).hint("Where it is not the host."),
];

const DNS: &[Input] = &[
    input("target.name", "Name", Look::Line).needed().like("shop.example"),
    input("target.record", "Record", Look::Choice(RECORDS)),
    input("target.server", "Name server", Look::Line)
        .like("192.0.2.53:53")
        .hint("Empty: the name server of this machine."),
];

const SMTP: &[Input] = &[
    input("target.host", "Host", Look::Line).needed().like("smtp.example.com"),
    input("target.port", "Port", Look::Number).like("587"),
    input("target.tls", "Encryption", Look::Choice(SMTP_TLS)),
    input("target.username", "User name", Look::Line).hint("With a password the sign-in is tried."),
    input("target.password", "Password", Look::Secret("password")),
];

const S3: &[Input] = &[
    input("target.endpoint", "Server", Look::Line)
        .needed()
        .like("https://s3.eu-central-1.amazonaws.com")
        .hint("Without the bucket."),
    input("target.bucket", "Bucket", Look::Line).needed(),
    input("target.region", "Region", Look::Line).like("us-east-1"),
    input("target.access_key", "Access key", Look::Line).needed(),
    input("target.secret_key", "Secret key", Look::Secret("secret_key")).needed(),
    input("target.prefix", "Prefix", Look::Line).hint("Only objects whose names begin so."),
    input("target.path_style", "endpoint/bucket instead of bucket.endpoint", Look::Tick),
];

const POSTGRES: &[Input] = &[
    input("target.url", "Address", Look::Line)
        .needed()
        .like("postgres://tocsin@db.example.com:5432/shop?sslmode=require")
        .hint("A password in it is kept apart, sealed: {{password}} stands for it."),
    input("target.query", "Query", Look::Area)
        .like("SELECT count(*) AS waiting FROM jobs")
        .hint("Runs in a read-only transaction. Empty: SELECT 1."),
    input("target.table", "Table", Look::Line).like("public.orders"),
    input("target.time_column", "Column of times", Look::Line)
        .like("created_at")
        .hint("Says how new a row is."),
];

const REDIS: &[Input] = &[
    input("target.url", "Address", Look::Line)
        .needed()
        .like("rediss://cache.example.com:6379/0")
        .hint("A password in it is kept apart, sealed: {{password}} stands for it."),
    input("target.key", "Key", Look::Line).hint("Looked at: whether it is there, how long it is."),
];

const DISK: &[Input] = &[input("target.path", "Path", Look::Line).like("/")];
const PROCESS: &[Input] = &[
    input("target.name", "Program", Look::Line).like("nginx").hint("Its name, or else its pid file."),
    input("target.pid_file", "Pid file", Look::Line).like("/run/nginx.pid"),
];
const FILE: &[Input] = &[input("target.path", "Path", Look::Line).needed().like("/var/backups/shop.dump")];

/// The inputs of a kind, in their order.
pub(super) const fn inputs(kind: Kind) -> &'static [Input] {
    match kind {
        Kind::Http => HTTP,
        Kind::Tcp => TCP,
        Kind::Tls => TLS,
        Kind::Dns => DNS,
        Kind::Smtp => SMTP,
        Kind::S3 => S3,
        Kind::Postgres => POSTGRES,
        Kind::Redis => REDIS,
        Kind::Disk => DISK,
        Kind::Process => PROCESS,
        Kind::File => FILE,
        Kind::Machine | Kind::Push => &[],
    }
}

/// What stands in the inputs for a target.
pub(super) fn texts(target: &Target) -> Vec<(&'static str, String)> {
    let whole = serde_json::to_value(target).unwrap_or_default();
    let told = inputs(target.kind()).iter().map(|input| {
        let value = &whole[input.member()];
        (input.name, text_of(input, value))
    });
    told.collect()
}

fn text_of(input: &Input, value: &Value) -> String {
    match (input.look, value) {
        // Members that are on by default are not written.
        (Look::Tick, Value::Null) => ticked(is_on_by_default(input.name)),
        (Look::Tick, value) => ticked(value == &Value::Bool(true)),
        (Look::Headers, Value::Object(headers)) => {
            let lines = headers.iter().map(|(name, value)| format!("{name}: {}", plain(value)));
            lines.collect::<Vec<_>>().join("\n")
        }
        (Look::Dialogue, Value::Array(turns)) => {
            let step = |turn: &Value, word: &str| turn[word].as_str().map(|text| format!("{word} {text}"));
            let steps = turns.iter().flat_map(|turn| [step(turn, "send"), step(turn, "expect")]);
            steps.flatten().collect::<Vec<_>>().join("\n")
        }
        (Look::Choice(_) | Look::Number, Value::Null) => by_default(input.name).to_owned(),
        (Look::Secret(_), _) | (_, Value::Null) => String::new(),
        (_, value) => plain(value),
    }
}

fn ticked(is_on: bool) -> String {
    if is_on { "on".to_owned() } else { String::new() }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_on_by_default(name: &str) -> bool {
    matches!(name, "target.verify" | "target.path_style")
}

/// What a member is where the target does not say.
fn by_default(name: &str) -> &'static str {
    match name {
        "target.method" => "GET",
        "target.redirects" => "0",
        "target.body_kb" => "64",
        "target.record" => "A",
        "target.tls" => "starttls",
        _ => "",
    }
}

/// The target that was typed. Secrets of its own inputs stand in it as `{{name}}`: where one was typed, or is kept.
pub(super) fn target(kind: Kind, typed: &Typed, wrongs: &mut Wrongs) -> Option<Target> {
    let mut members = Map::from_iter([("kind".to_owned(), json!(kind.as_str()))]);
    for input in inputs(kind) {
        if let Some(value) = member(input, typed, wrongs) {
            members.insert(input.member().to_owned(), value);
        }
    }
    if !wrongs.is_empty() {
        return None;
    }
    match serde_json::from_value(Value::Object(members)) {
        Ok(target) => Some(target),
        Err(error) => {
            wrongs.add("form", format!("The target cannot be read: {error}."));
            None
        }
    }
}

fn member(input: &Input, typed: &Typed, wrongs: &mut Wrongs) -> Option<Value> {
    let text = typed.text(input.name).trim();
    if let Look::Secret(name) = input.look {
        return typed.has_secret(name).then(|| json!(format!("{{{{{name}}}}}"))).or_else(|| {
            if input.is_needed {
                wrongs.add(input.name, format!("The {} is needed.", input.label.to_lowercase()));
            }
            None
        });
    }
    if input.look == Look::Tick {
        return Some(json!(!text.is_empty()));
    }
    if text.is_empty() {
        if input.is_needed {
            wrongs.add(input.name, format!("{} is needed, such as {}.", input.label, input.placeholder));
        }
        return None;
    }
    match input.look {
        Look::Number => number(input, text, wrongs),
        Look::Headers => headers(input, text, wrongs),
        Look::Dialogue => dialogue(input, text, wrongs),
        Look::Area => Some(json!(typed.text(input.name).replace("\r\n", "\n"))),
        Look::Line | Look::Choice(_) | Look::Tick | Look::Secret(_) => Some(json!(text)),
    }
}

fn number(input: &Input, text: &str, wrongs: &mut Wrongs) -> Option<Value> {
    let number: Option<u16> = text.parse().ok();
    let fits = |number: &u16| input.name != "target.redirects" || u8::try_from(*number).is_ok();
    if let Some(number) = number.filter(fits) {
        return Some(json!(number));
    }
    wrongs.add(input.name, format!("“{text}” is no number that fits here."));
    None
}

fn headers(input: &Input, text: &str, wrongs: &mut Wrongs) -> Option<Value> {
    let mut headers = Map::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            wrongs.add(input.name, format!("“{line}” is no header: write Name: value, one to a line."));
            return None;
        };
        if headers.insert(name.trim().to_owned(), json!(value.trim())).is_some() {
            wrongs.add(input.name, format!("{} stands there twice: take one out.", name.trim()));
            return None;
        }
    }
    Some(Value::Object(headers))
}

/// A step that expects ends its turn.
fn dialogue(input: &Input, text: &str, wrongs: &mut Wrongs) -> Option<Value> {
    let mut turns: Vec<Map<String, Value>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, said) = line.split_once(' ').unwrap_or((line, ""));
        let (word, said) = (word.trim_end_matches(':'), said.trim());
        if !matches!(word, "send" | "expect") || said.is_empty() {
            wrongs.add(input.name, format!("“{line}” is no step: write send TEXT or expect TEXT."));
            return None;
        }
        let goes_on = word == "expect" && turns.last().is_some_and(|turn| !turn.contains_key("expect"));
        if !goes_on {
            turns.push(Map::new());
        }
        if let Some(turn) = turns.last_mut() {
            turn.insert(word.to_owned(), json!(said));
        }
    }
    Some(json!(turns))
}

/// The names of secrets that a target asks for and that no input of its own takes: the form asks for them by name.
pub(super) fn named_secrets(kind: Kind, target: &Target) -> Vec<String> {
    let own = |name: &String| inputs(kind).iter().any(|input| input.look == Look::Secret(name_of(name)));
    secrets::names(target).into_iter().filter(|name| !own(name)).collect()
}

/// The two names that inputs of their own take.
fn name_of(name: &str) -> &'static str {
    match name {
        "password" => "password",
        "secret_key" => "secret_key",
        _ => "",
    }
}

/// A name for a probe of this target, where nobody wrote one: its host, else what it looks at.
pub(super) fn proposed_name(target: &Target) -> String {
    let described = with_stand_ins(&target.describe());
    let place = described.split_once("://").map_or(described.as_str(), |(_, rest)| rest);
    let place = place.split('/').next().filter(|place| !place.is_empty()).unwrap_or(&described);
    place.chars().take(60).collect()
}
