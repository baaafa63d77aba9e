//! `[channels.NAME]`: a way to reach people, with its settings and the places of its secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Draft, Fault, Section, Shape, Stored, Work, table};
use crate::base::Secret;
use crate::incidents::channels::{self, Channel, ChannelKind, ChannelOwner, ChannelState, NewChannel};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader::{self, unknown_words};
use crate::manifest::tree::Entry;
use crate::notify::channel::{self, ConfigError, Parts};
use crate::notify::outbox::{seal_context, seal_secrets};
use crate::outbound::Reach;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "channels",
    word: "channel",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: false,
    action: |what| match what {
        What::Created => "channel.create",
        What::Changed => "channel.update",
        What::Removed => "channel.remove",
        What::HandedOver => "channel.release",
    },
    // What is missing there may stand in the wrong place.
    judged_with: &[("secrets", &["url", "webhook_url", "bot_token", "signing_secret", "password"])],
    read,
    stored,
    remove,
};

struct Wanted {
    name: String,
    kind: ChannelKind,
    settings: Value,
    /// References by the names of the secrets; those that are not named are kept.
    references: BTreeMap<String, String>,
}

const KINDS: &str = "email, slack, webhook";

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    let mut entry = entry.clone();
    let kind = match entry.fields.remove("kind") {
        Some(Value::String(word)) => ChannelKind::parse(&word).ok_or("takes one of"),
        Some(_) => Err("takes one of"),
        None => Err("is missing: it is one of"),
    };
    let kind = match kind {
        Ok(kind) => kind,
        Err(why) => {
            problems.push(entry.problem("kind", format!("kind {why} {KINDS}")));
            return None;
        }
    };
    for name in entry.secrets.keys().filter(|name| !secret_names(kind).contains(&name.as_str())) {
        let text = format!("secrets: {}", unknown_words(name, secret_names(kind)));
        problems.push(entry.problem(&format!("secrets.{name}"), text));
    }
    reader::read_with(&entry, problems, |fields| {
        let stand_ins = stand_ins(kind, fields, &entry.secrets);
        parse(kind, &settings(kind, fields), Some(&stand_ins)).map_err(|error| words(kind, &error))
    })?;
    let settings = settings(kind, &entry.fields);
    Some(Box::new(Wanted { name: entry.key, kind, settings, references: entry.secrets }))
}

const fn secret_names(kind: ChannelKind) -> &'static [&'static str] {
    match kind {
        ChannelKind::Email => &["password", "username"],
        ChannelKind::Slack => &["webhook_url", "bot_token"],
        ChannelKind::Webhook => &["url", "signing_secret"],
    }
}

/// How Slack is reached follows from whether a channel is named.
fn settings(kind: ChannelKind, fields: &Map<String, Value>) -> Value {
    let mut settings = fields.clone();
    if kind == ChannelKind::Slack && !settings.contains_key("access") {
        let access = if settings.contains_key("channel") { "bot" } else { "webhook" };
        settings.insert("access".to_owned(), access.into());
    }
    Value::Object(settings)
}

/// Secrets that fit, to check the rest by: the real ones are known only where they are stored.
fn stand_ins(kind: ChannelKind, fields: &Map<String, Value>, references: &BTreeMap<String, String>) -> Value {
    match kind {
        ChannelKind::Email if references.contains_key("username") => {
            json!({ "password": "a", "username": "b" })
        }
        ChannelKind::Email if fields.contains_key("username") => json!({ "password": "a" }),
        ChannelKind::Email => Value::Null,
        ChannelKind::Slack => json!({ "webhook_url": "https://slack.example", "bot_token": "a" }),
        ChannelKind::Webhook => json!({ "url": "https://hook.example" }),
    }
}

fn parse(kind: ChannelKind, settings: &Value, secrets: Option<&Value>) -> Result<Parts, ConfigError> {
    let secrets =
        secrets.filter(|secrets| !secrets.is_null()).map(|secrets| Secret::new(secrets.to_string()));
    let parsed = channel::Channel::parse(kind, &settings.to_string(), secrets.as_ref(), Reach::Private)?;
    Ok(parsed.parts())
}

/// Says which secret is missing in the words of a file.
fn words(kind: ChannelKind, error: &ConfigError) -> String {
    let name = match (kind, error) {
        (ChannelKind::Slack, ConfigError::Missing("the webhook address")) => "webhook_url",
        (ChannelKind::Slack, ConfigError::Missing("the bot token")) => "bot_token",
        (ChannelKind::Webhook, ConfigError::Missing("the address")) => "url",
        _ => return error.to_string(),
    };
    format!("{error}: name it as secrets = {{ {name} = \"file:PATH\" }}")
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let known = channels::find_by_name(work.tx, &self.name)?;
        if let Some(known) = known.as_ref().filter(|known| known.kind != self.kind) {
            let kind = known.kind.as_str();
            let text = format!("it is of kind {kind}, which stays: give the new one another name");
            return Err(Fault::at("kind", text));
        }
        let kept = known.as_ref().map(|known| opened(work.means, known)).unwrap_or_default();
        let secrets = self.secrets(work, &kept)?;
        let parts = parse(self.kind, &self.settings, Some(&secrets))
            .map_err(|error| Fault::at("secrets", words(self.kind, &error)))?;
        let is_so = |known: &Channel| {
            known.owner == ChannelOwner::File
                && known.settings == parts.settings
                && kept == named(parts.secrets.as_ref())
        };
        if known.as_ref().is_some_and(is_so) {
            return Ok(());
        }
        let uid = known.as_ref().map_or_else(|| work.means.entropy.uid(work.by.now), |known| known.uid);
        let sealed = seal_secrets(&work.means.sealer, &work.means.entropy, parts.secrets.as_ref(), uid)
            .map_err(|error| Fault::at("secrets", error.to_string()))?;
        let new = NewChannel {
            uid,
            name: self.name.clone(),
            kind: self.kind,
            settings: parts.settings,
            sealed,
            owner: ChannelOwner::File,
        };
        work.means.incidents.save_channel_of_file(work.tx, work.by.now, known.as_ref(), &new)?;
        Ok(())
    }
}

impl Wanted {
    /// Those that the file names over those that are kept.
    fn secrets(&self, work: &Work<'_>, kept: &BTreeMap<String, String>) -> Result<Value, Fault> {
        let mut secrets = kept.clone();
        for (name, reference) in &self.references {
            if let Some(secret) = work.secrets.get(reference) {
                secrets.insert(name.clone(), secret.expose().to_owned());
            }
        }
        let named_in_file = self.settings["username"].is_string();
        if self.kind == ChannelKind::Email {
            if named_in_file {
                secrets.remove("username");
            } else if !secrets.contains_key("username") && !self.references.contains_key("password") {
                // Without a name there is no sign-in any more.
                secrets.remove("password");
            }
        }
        if secrets.get("username").is_some_and(|name| secrets.get("password") != Some(name)) {
            let text = "secrets.username: a name is a secret only where it is the password, too: else write username = …";
            return Err(Fault::at("secrets.username", text));
        }
        Ok(if secrets.is_empty() { Value::Null } else { json!(secrets) })
    }
}

/// The secrets of a stored channel by their names; none where they cannot be opened.
fn opened(means: &Means, channel: &Channel) -> BTreeMap<String, String> {
    let sealed = channel.sealed.as_deref();
    named(sealed.and_then(|sealed| means.sealer.open(sealed, &seal_context(channel.uid)).ok()).as_ref())
}

fn named(secrets: Option<&Secret>) -> BTreeMap<String, String> {
    secrets.and_then(|secrets| serde_json::from_str(secrets.expose()).ok()).unwrap_or_default()
}

/// Without those of the environment, which has the say over them.
fn stored(tx: &ReadTx<'_>, means: &Means) -> Result<Vec<Stored>, Fault> {
    let all = channels::list(tx)?;
    let ours = all.iter().filter(|channel| {
        channel.owner != ChannelOwner::Environment && channel.state != ChannelState::Absent
    });
    Ok(ours
        .map(|channel| {
            let mut fields = table(channel.settings.clone());
            fields.insert("kind".to_owned(), channel.kind.as_str().into());
            let secrets = opened(means, channel);
            Stored {
                key: channel.name.clone(),
                entry_key: None,
                of_file: channel.owner == ChannelOwner::File,
                table: fields,
                secrets: secrets.into_iter().map(|(name, secret)| (name, Secret::new(secret))).collect(),
            }
        })
        .collect())
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    work.means.incidents.remove_channel_of_file(work.tx, work.by.now, &thing.key)?;
    Ok(What::Removed)
}
