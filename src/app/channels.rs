//! The channels that the environment or the configuration file describes, as rows of `channels`.

use serde_json::{Value, json};

use crate::base::seal::Sealer;
use crate::base::{Entropy, Secret, Timestamp, Uid};
use crate::config::{Config, SlackTarget, Smtp};
use crate::incidents::channels::{self, Channel, ChannelKind, ChannelOwner, NewChannel};
use crate::incidents::{self, Incidents};
use crate::notify::outbox::seal_secrets;
use crate::store::{Store, WriteTx};

/// A channel before its secrets are sealed. The environment knows one of each kind.
struct Described {
    kind: ChannelKind,
    settings: Value,
    secrets: Option<Value>,
}

/// Makes the environment's channels exactly those that the configuration describes.
pub(super) async fn follow_configuration(
    store: &Store,
    incidents: &Incidents,
    config: &Config,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<(), incidents::Error> {
    let described = describe(config);
    let (incidents, sealer) = (incidents.clone(), sealer.clone());
    store
        .write("start.channels", move |tx| {
            let rows: Result<Vec<NewChannel>, incidents::Error> =
                described.into_iter().map(|one| row(tx, one, &incidents.entropy, &sealer, now)).collect();
            incidents.upsert_environment(tx, now, &rows?)
        })
        .await
}

fn row(
    tx: &WriteTx<'_>,
    described: Described,
    entropy: &Entropy,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<NewChannel, incidents::Error> {
    let (uid, name) = uid_and_name(tx, described.kind, entropy, now)?;
    let secrets = described.secrets.map(|secrets| Secret::new(secrets.to_string()));
    let sealed = seal_secrets(sealer, entropy, secrets.as_ref(), uid)
        .map_err(|error| incidents::Error::Invalid(error.to_string()))?;
    Ok(NewChannel {
        uid,
        name,
        kind: described.kind,
        settings: described.settings,
        sealed,
        owner: ChannelOwner::Environment,
    })
}

/// The uid and name that the environment's channel of this kind has, or is to have: its kind. Where a channel of the
/// page has that name already, the page's keeps it: a name is no reason not to start.
fn uid_and_name(
    tx: &WriteTx<'_>,
    kind: ChannelKind,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(Uid, String), incidents::Error> {
    let all = channels::list(tx)?;
    let own = |channel: &&Channel| channel.owner == ChannelOwner::Environment && channel.kind == kind;
    if let Some(known) = all.iter().find(own) {
        return Ok((known.uid, known.name.clone()));
    }
    let kind = kind.as_str();
    let numbered = (2..).map(|number| format!("{kind} (environment {number})"));
    let mut names = [kind.to_owned(), format!("{kind} (environment)")].into_iter().chain(numbered);
    let is_free = |name: &String| !all.iter().any(|channel| channel.name == *name);
    // There is one: more names than channels.
    let name = names.find(is_free).unwrap_or_default();
    if name != kind {
        tracing::warn!(taken = kind, %name, "another channel has the name of the environment's: it takes a free one");
    }
    Ok((entropy.uid(now), name))
}

fn describe(config: &Config) -> Vec<Described> {
    let email = config.smtp.as_ref().filter(|_| !config.alerts.email.is_empty());
    let email = email.map(|smtp| describe_email(smtp, &config.alerts.email));
    let slack = config.alerts.slack.as_ref().map(|target| describe_slack(target, config));
    let webhook = config.alerts.webhook.as_ref().map(|target| Described {
        kind: ChannelKind::Webhook,
        settings: json!({}),
        secrets: Some(json!({
            "url": target.url.expose(),
            "signing_secret": target.signing_secret.as_ref().map(Secret::expose),
        })),
    });
    [email, slack, webhook].into_iter().flatten().collect()
}

fn describe_email(smtp: &Smtp, to: &[String]) -> Described {
    let mut settings = json!({
        "host": smtp.host,
        "port": smtp.port,
        "tls": smtp.tls.as_str(),
        "from": smtp.from,
        "to": to,
    });
    let secrets = smtp.credentials.as_ref().map(|(username, password)| {
        let mut secrets = json!({ "password": password.expose() });
        // One token may be both, and is then as secret in either place.
        let place = if password.matches(username) { &mut secrets } else { &mut settings };
        place["username"] = json!(username);
        secrets
    });
    Described { kind: ChannelKind::Email, settings, secrets }
}

fn describe_slack(target: &SlackTarget, config: &Config) -> Described {
    let (settings, secrets) = match target {
        SlackTarget::Webhook { url } => {
            (json!({ "access": "webhook" }), json!({ "webhook_url": url.expose() }))
        }
        SlackTarget::Bot { token, channel } => {
            let mut settings = json!({ "access": "bot", "channel": channel });
            if config.slack.is_chosen {
                settings["api_url"] = json!(config.slack.api_url);
            }
            (settings, json!({ "bot_token": token.expose() }))
        }
    };
    Described { kind: ChannelKind::Slack, settings, secrets: Some(secrets) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::Policy;
    use crate::store::Options;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_channel_of_the_page_keeps_its_name_and_that_of_the_environment_takes_a_free_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let work = |tx: &WriteTx<'_>| -> Result<(), incidents::Error> {
            let incidents = Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) };
            let sealer = Sealer::new(&[7; 32]);
            let described = || Described { kind: ChannelKind::Email, settings: json!({}), secrets: None };
            let start = || {
                let channel = row(tx, described(), &incidents.entropy, &sealer, NOW)?;
                incidents.upsert_environment(tx, NOW, &[channel])
            };
            let names = || -> Result<Vec<String>, incidents::Error> {
                Ok(channels::list(tx)?.into_iter().map(|channel| channel.name).collect())
            };
            for name in ["email", "email (environment)"] {
                let channel = row(tx, described(), &incidents.entropy, &sealer, NOW)?;
                let (name, owner) = (name.to_owned(), ChannelOwner::Page);
                incidents.create_channel(tx, NOW, &NewChannel { name, owner, ..channel })?;
            }
            start()?;
            assert_eq!(names()?, ["email", "email (environment)", "email (environment 2)"]);
            start()?;
            assert_eq!(names()?.len(), 3, "the next start finds its own again");
            Ok(())
        };
        store.write_now("test", work).unwrap();
    }
}
