//! A channel as its form: what the fields show, and what was typed read as a channel. What is wrong stands beside its
//! field and says how to mend it. Secrets go in and never come out.

use serde_json::{Value, json};

use super::form::{Fields, Wrongs};
use crate::base::{Entropy, Secret};
use crate::incidents::channels::{self, ChannelKind};
use crate::notify::channel::{Channel, ConfigError, Parts};
use crate::notify::email::{EmailConfigError, MailTls, PRESETS, Preset};
use crate::notify::webhook::Webhook;
use crate::outbound::{NoAddress, Reach, Url, check_literal};

/// What the fields hold. No secret is among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) host: String,
    pub(super) port: String,
    pub(super) tls: String,
    pub(super) username: String,
    pub(super) from: String,
    /// One to a line.
    pub(super) to: String,
    /// How Slack is reached: `webhook` or `bot`.
    pub(super) access: String,
    pub(super) channel: String,
}

/// What is stored already: settings, and the opened secrets. A secret that is left empty is kept.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) settings: Value,
    secrets: Kept,
}

/// Opened secrets; never printed.
#[derive(Clone, Default)]
struct Kept(Value);

/// What a form makes of a channel.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) name: String,
    pub(super) parts: Parts,
    /// Where it leads, without secrets.
    pub(super) target: String,
    /// To be shown once.
    pub(super) new_signing_secret: Option<Secret>,
}

const NO_LOCAL: &str = "A channel made on this page reaches public addresses only. One on this machine or in a private \
                        network is named in the configuration file or the environment.";

impl Draft {
    /// An empty form, filled in as far as a preset knows.
    pub(super) fn new(kind: ChannelKind, preset: Option<&Preset>) -> Self {
        let tls = preset.map_or(MailTls::Tls, |preset| preset.tls);
        Self {
            name: match kind {
                ChannelKind::Email => "Mail".to_owned(),
                ChannelKind::Slack => "Slack".to_owned(),
                ChannelKind::Webhook => String::new(),
            },
            host: preset.map_or("", |preset| preset.host).to_owned(),
            port: preset.map_or(tls.default_port(), |preset| preset.port).to_string(),
            tls: word(tls).to_owned(),
            // The only user name that is the same for everybody.
            username: preset
                .filter(|preset| !preset.username.contains(' '))
                .map_or("", |it| it.username)
                .to_owned(),
            access: "webhook".to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn of(channel: &channels::Channel) -> Self {
        let text = |name: &str| match &channel.settings[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let to = channel.settings["to"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Self {
            name: channel.name.clone(),
            host: text("host"),
            port: text("port"),
            tls: text("tls"),
            username: text("username"),
            from: text("from"),
            to: to.collect::<Vec<_>>().join("\n"),
            access: text("access"),
            channel: text("channel"),
        }
    }

    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).to_owned();
        Self {
            name: text("name"),
            host: text("host"),
            port: text("port"),
            tls: text("tls"),
            username: text("username"),
            from: text("from"),
            to: text("to"),
            access: text("access"),
            channel: text("channel"),
        }
    }

    /// As it is shown again after a refusal: a user name that is a token is as secret as the password.
    pub(super) fn typed_again(fields: &Fields) -> Self {
        let mut draft = Self::typed(fields);
        let takes_token = draft.preset().is_some_and(|preset| preset.username.contains("token"));
        if takes_token || fields.secret("password").matches(&draft.username) {
            draft.username.clear();
        }
        draft
    }

    /// The preset whose server this is.
    pub(super) fn preset(&self) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| match preset.host.split_once('{') {
            None => preset.host == self.host,
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                self.host.starts_with(before) && self.host.ends_with(after)
            }
        })
    }
}

impl Known {
    pub(super) fn new(settings: Value, secrets: Option<&Secret>) -> Self {
        let secrets = secrets.and_then(|text| serde_json::from_str(text.expose()).ok()).unwrap_or_default();
        Self { settings, secrets: Kept(secrets) }
    }

    /// Whether a secret of this name is kept.
    pub(super) fn has(&self, name: &str) -> bool {
        self.secrets.0[name].is_string()
    }

    fn secret(&self, name: &str) -> Option<Secret> {
        self.secrets.0[name].as_str().map(Secret::new)
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("••••")
    }
}

/// The name of a preset in addresses.
pub(super) fn preset_key(preset: &Preset) -> String {
    preset.name.to_lowercase().replace(' ', "-")
}

/// Reads a form as a channel.
pub(super) fn read(
    kind: ChannelKind,
    fields: &Fields,
    known: Option<&Known>,
    entropy: &Entropy,
) -> Result<Content, Wrongs> {
    let draft = Draft::typed(fields);
    let mut wrongs = Wrongs::default();
    if draft.name.is_empty() {
        wrongs.add("name", "Give it a name that people know it by, such as On call.");
    }
    let mut new_signing_secret = None;
    let (settings, secrets) = match kind {
        ChannelKind::Email => read_email(&draft, fields, known, &mut wrongs),
        ChannelKind::Slack => read_slack(&draft, fields, known, &mut wrongs),
        ChannelKind::Webhook => {
            let signing = match fields.text("signing") {
                "none" => None,
                "keep" => known.and_then(|known| known.secret("signing_secret")),
                _ => {
                    new_signing_secret = Some(Webhook::new_signing_key(entropy).text());
                    new_signing_secret.clone()
                }
            };
            read_webhook(fields, known, signing, &mut wrongs)
        }
    };
    if !wrongs.is_empty() {
        return Err(wrongs);
    }
    let secrets = Some(secrets).filter(|it| !it.is_null()).map(|it| Secret::new(it.to_string()));
    let channel =
        Channel::parse(kind, &settings.to_string(), secrets.as_ref(), Reach::Public).map_err(explain)?;
    Ok(Content { name: draft.name, parts: channel.parts(), target: channel.describe(), new_signing_secret })
}

fn read_email(draft: &Draft, fields: &Fields, known: Option<&Known>, wrongs: &mut Wrongs) -> (Value, Value) {
    if draft.host.is_empty() {
        wrongs.add("host", "Enter the name of the mail server, such as smtp.example.com.");
    }
    if draft.host.contains('{') {
        wrongs.add("host", "Put your own in place of the braces, such as eu-west-1.");
    }
    if let Err(error) = check_literal(&draft.host, Reach::Public) {
        wrongs.add("host", not_public(&error));
    }
    let port = draft.port.parse::<u16>().ok().filter(|port| *port > 0);
    if port.is_none() {
        wrongs.add("port", "A port is a number: 465 for TLS, 587 for STARTTLS.");
    }
    if draft.tls != "tls" && draft.tls != "starttls" {
        wrongs.add("tls", "Choose TLS (port 465) or STARTTLS (port 587).");
    }
    if draft.to.is_empty() {
        wrongs.add("to", "Enter at least one address: who is rung?");
    }
    // A kept password goes only where it always went.
    let same_server = known.filter(|known| known.settings["host"] == draft.host.as_str());
    let kept = |name: &str| same_server.and_then(|known| known.secret(name));
    let username = Some(draft.username.clone()).filter(|name| !name.is_empty());
    let username = username.or_else(|| kept("username").map(|name| name.expose().to_owned()));
    let typed = typed_secret(fields, "password");
    let password = typed.or_else(|| kept("password").filter(|_| username.is_some()));
    match (&username, &password) {
        (Some(_), None) if known.is_some() && same_server.is_none() => {
            wrongs.add("password", "The server changed: enter the password for it.");
        }
        (Some(_), None) => wrongs.add("password", "A user name needs a password."),
        (None, Some(_)) => wrongs.add("username", "A password needs a user name."),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let to: Vec<&str> = draft.to.split(['\n', ',', ';']).map(str::trim).filter(|to| !to.is_empty()).collect();
    let settings = json!({
        "host": draft.host, "port": port, "tls": draft.tls, "username": username, "from": draft.from, "to": to,
    });
    (settings, password.map_or(Value::Null, |password| json!({ "password": password.expose() })))
}

fn read_slack(draft: &Draft, fields: &Fields, known: Option<&Known>, wrongs: &mut Wrongs) -> (Value, Value) {
    let secret = |name| typed_secret(fields, name).or_else(|| known.and_then(|known| known.secret(name)));
    if draft.access == "bot" {
        let token = secret("bot_token");
        match &token {
            None => wrongs.add("bot_token", "Paste the Bot User OAuth Token. It begins with xoxb-."),
            Some(token) if !token.expose().starts_with("xoxb-") => {
                wrongs.add("bot_token", "A bot's token begins with xoxb-. Copy the Bot User OAuth Token.");
            }
            Some(_) => {}
        }
        if draft.channel.is_empty() {
            wrongs.add("channel", "Enter the channel's id such as C0123456789, or its name such as #alerts.");
        }
        let mut settings = json!({ "access": "bot", "channel": draft.channel });
        if let Some(api_url) = known.map(|known| &known.settings["api_url"]).filter(|it| it.is_string()) {
            settings["api_url"] = api_url.clone();
        }
        return (settings, token.map_or(Value::Null, |token| json!({ "bot_token": token.expose() })));
    }
    let url = secret("webhook_url");
    match &url {
        None => {
            wrongs.add("webhook_url", "Paste the address. It begins with https://hooks.slack.com/services/.");
        }
        Some(url) => check_url("webhook_url", url, &["https"], wrongs),
    }
    (json!({ "access": "webhook" }), url.map_or(Value::Null, |url| json!({ "webhook_url": url.expose() })))
}

fn read_webhook(
    fields: &Fields,
    known: Option<&Known>,
    signing: Option<Secret>,
    wrongs: &mut Wrongs,
) -> (Value, Value) {
    let url = typed_secret(fields, "url").or_else(|| known.and_then(|known| known.secret("url")));
    let Some(url) = url else {
        wrongs.add("url", "Enter the address that takes a POST, such as https://example.com/alarms.");
        return (json!({}), Value::Null);
    };
    check_url("url", &url, &["https", "http"], wrongs);
    let mut secrets = json!({ "url": url.expose() });
    if let Some(signing) = signing {
        secrets["signing_secret"] = signing.expose().into();
    }
    (json!({}), secrets)
}

fn check_url(field: &'static str, text: &Secret, schemes: &[&str], wrongs: &mut Wrongs) {
    let Ok(url) = Url::parse(text.expose()) else {
        return wrongs.add(field, "That is not an address. Copy it whole, from https:// on.");
    };
    if !schemes.contains(&url.scheme()) {
        return wrongs.add(field, "The address must begin with https://.");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrongs.add(
            field,
            "The address must not hold a user name or password. Take them out: what is posted is signed, and the \
             receiver can check that.",
        );
    }
    match url.host_str().map(|host| check_literal(host, Reach::Public)) {
        None => wrongs.add(field, "The address names no server."),
        Some(Err(error)) => wrongs.add(field, not_public(&error)),
        Some(Ok(())) => {}
    }
}

fn not_public(error: &NoAddress) -> String {
    match error {
        NoAddress::Forbidden { host, .. } => format!("{host} is not a public address. {NO_LOCAL}"),
        NoAddress::Unknown { .. } | NoAddress::TimedOut => error.to_string(),
    }
}

fn typed_secret(fields: &Fields, name: &str) -> Option<Secret> {
    let typed = Secret::new(fields.secret(name).expose().trim());
    Some(typed).filter(|secret| !secret.is_empty())
}

fn explain(error: ConfigError) -> Wrongs {
    let (field, text) = match error {
        ConfigError::Email(EmailConfigError::BadAddress { field: "sender", .. }) => (
            "from",
            "Enter a mail address such as alarm@example.com, or tocsin <alarm@example.com>.".to_owned(),
        ),
        ConfigError::Email(EmailConfigError::BadAddress { text, .. }) => {
            ("to", format!("“{text}” is not a mail address. Write one to a line, such as ops@example.com."))
        }
        ConfigError::Email(error @ EmailConfigError::Recipients) => ("to", format!("Too many: {error}.")),
        ConfigError::Email(EmailConfigError::PlainToStranger) => {
            ("tls", "Choose TLS (port 465) or STARTTLS (port 587).".to_owned())
        }
        ConfigError::Email(EmailConfigError::HalfCredentials) => {
            ("password", "A user name needs a password, and a password a user name.".to_owned())
        }
        ConfigError::Email(EmailConfigError::BadHost) => (
            "host",
            "Enter the server's name alone, such as smtp.example.com: no https://, no path.".to_owned(),
        ),
        other => ("form", other.to_string()),
    };
    Wrongs::one(field, text)
}

const fn word(tls: MailTls) -> &'static str {
    match tls {
        MailTls::Tls => "tls",
        MailTls::Starttls => "starttls",
        MailTls::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: [(&str, &str); 7] = [
        ("name", "On call"),
        ("host", "smtp.example.com"),
        ("port", "587"),
        ("tls", "starttls"),
        ("username", "ops"),
        ("from", "alarm@example.com"),
        ("to", "ada@example.com\nbo@example.com"),
    ];

    fn form(base: &[(&str, &str)], changed: &[(&str, &str)]) -> Fields {
        let kept = base.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let all: Vec<(String, String)> =
            kept.chain(changed).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.into()
    }

    fn wrong(kind: ChannelKind, base: &[(&str, &str)], changed: &[(&str, &str)], field: &str) -> String {
        match read(kind, &form(base, changed), None, &Entropy::seeded(1)) {
            Ok(content) => panic!("{changed:?} was taken: {content:?}"),
            Err(wrongs) => wrongs.of(field).to_owned(),
        }
    }

    #[test]
    fn every_field_of_a_mail_channel_says_how_to_mend_it() {
        let cases = [
            ("name", "", "name"),
            ("host", "", "mail server"),
            ("host", "smtp.example.com/x", "no path"),
            ("host", "email-smtp.{region}.amazonaws.com", "braces"),
            ("host", "127.0.0.1", "configuration file"),
            ("host", "10.0.0.7", "configuration file"),
            ("host", "localhost", "public addresses only"),
            ("port", "many", "465"),
            ("port", "0", "465"),
            ("tls", "none", "STARTTLS"),
            ("from", "alarm", "alarm@example.com"),
            ("to", "", "who is rung"),
            ("to", "ada@example.com, bo", "“bo”"),
            ("password", "", "needs a password"),
            ("username", "", "needs a user name"),
        ];
        for (field, value, cure) in cases {
            let mut changed = vec![("password", "hunter2hunter2")];
            changed.retain(|(name, _)| *name != field);
            changed.push((field, value));
            let told = wrong(ChannelKind::Email, &MAIL, &changed, field);
            assert!(told.contains(cure), "{field}={value}: {told:?}");
        }
    }

    #[test]
    fn addresses_of_slack_and_webhooks_are_public_and_whole() {
        let slack = [("name", "Slack"), ("access", "webhook")];
        let hook = [("name", "Pager"), ("signing", "none")];
        for (value, cure) in [
            ("", "Paste"),
            ("hooks.slack.com", "whole"),
            ("http://hooks.slack.com/services/T/B/x", "https://"),
            ("https://192.168.1.4/hook", "public addresses only"),
            ("https://[::1]/hook", "public addresses only"),
            ("https://169.254.169.254/latest", "public addresses only"),
        ] {
            let told = wrong(ChannelKind::Slack, &slack, &[("webhook_url", value)], "webhook_url");
            assert!(told.contains(cure), "{value}: {told:?}");
        }
        for (value, cure) in [
            ("", "POST"),
            ("ftp://example.com", "https://"),
            ("http://localhost:9/x", "public"),
            ("https://ops:pw@example.com/", "user name"),
        ] {
            let told = wrong(ChannelKind::Webhook, &hook, &[("url", value)], "url");
            assert!(told.contains(cure), "{value}: {told:?}");
        }
        let bot = [("name", "Slack"), ("access", "bot")];
        let told = wrong(ChannelKind::Slack, &bot, &[("bot_token", "xoxp-1"), ("channel", "")], "bot_token");
        assert!(told.contains("xoxb-"), "{told}");
    }

    #[test]
    fn an_empty_secret_is_kept_for_the_same_server_only() {
        let typed = form(&MAIL, &[("password", "hunter2hunter2")]);
        let first = read(ChannelKind::Email, &typed, None, &Entropy::seeded(1)).unwrap();
        assert!(!first.parts.settings.to_string().contains("hunter2"));
        let known = Known::new(first.parts.settings, first.parts.secrets.as_ref());
        assert!(!format!("{known:?}").contains("hunter2"));
        let again =
            |changed| read(ChannelKind::Email, &form(&MAIL, changed), Some(&known), &Entropy::seeded(1));
        let kept = again(&[("to", "cy@example.com")]).unwrap();
        assert!(kept.parts.secrets.unwrap().expose().contains("hunter2hunter2"));
        let wrongs = again(&[("host", "smtp.evil.example")]).unwrap_err();
        assert!(wrongs.of("password").contains("server changed"), "{wrongs:?}");
    }

    #[test]
    fn a_token_that_is_the_user_name_is_not_shown_again() {
        let shown = |changed| Draft::typed_again(&form(&MAIL, changed)).username;
        assert_eq!(shown(&[("password", "hunter2")]), "ops");
        assert_eq!(shown(&[("password", "ops")]), "");
        assert_eq!(shown(&[("host", "smtp.postmarkapp.com"), ("password", "")]), "");
    }

    #[test]
    fn a_signing_secret_is_made_kept_or_left_out() {
        let read = |signing, known: Option<&Known>| {
            let fields =
                form(&[("name", "Pager"), ("url", "https://example.com/hook")], &[("signing", signing)]);
            read(ChannelKind::Webhook, &fields, known, &Entropy::seeded(1)).unwrap()
        };
        let made = read("new", None);
        let shown = made.new_signing_secret.unwrap();
        assert!(shown.expose().starts_with("whsec_"));
        let known = Known::new(json!({}), made.parts.secrets.as_ref());
        let kept = read("keep", Some(&known));
        assert!(kept.new_signing_secret.is_none());
        assert!(kept.parts.secrets.unwrap().expose().contains(shown.expose()));
        assert!(!read("none", Some(&known)).parts.secrets.unwrap().expose().contains("whsec_"));
    }

    #[test]
    fn presets_fill_in_what_they_know() {
        for preset in &PRESETS {
            let draft = Draft::new(ChannelKind::Email, Some(preset));
            assert_eq!(draft.preset(), Some(preset));
            assert_eq!(draft.port, preset.port.to_string());
        }
        let ses = Draft { host: "email-smtp.eu-west-1.amazonaws.com".to_owned(), ..Draft::default() };
        assert_eq!(ses.preset().unwrap().name, "Amazon SES");
        assert_eq!(Draft::new(ChannelKind::Email, None).preset(), None);
    }
}
