//! The channels that the environment or the configuration file describes, as rows of `channels`.

use serde_json::{Value, json};

use crate::base::seal::{SealError, Sealer};
use crate::base::{Entropy, Secret, Timestamp, Uid};
use crate::config::{Config, SlackTarget, Smtp};
use crate::incidents::channels::{self, ChannelKind, ChannelOwner, NewChannel};
use crate::incidents::{self, Incidents};
use crate::notify::outbox::seal_secrets;
use crate::store::{Store, WriteTx};

/// A channel before its secrets are sealed. Its name is its kind: the environment knows one of each.
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
    let name = described.kind.as_str();
    let known =
        channels::find_by_name(tx, name)?.filter(|channel| channel.owner == ChannelOwner::Environment);
    let uid: Uid = known.map_or_else(|| entropy.uid(now), |channel| channel.uid);
    let seal = |secrets: Value| seal_secrets(sealer, entropy, &Secret::new(secrets.to_string()), uid);
    let sealed = described
        .secrets
        .map(seal)
        .transpose()
        .map_err(|error: SealError| incidents::Error::Invalid(error.to_string()))?;
    Ok(NewChannel {
        uid,
        name: name.to_owned(),
        kind: described.kind,
        settings: described.settings,
        sealed,
        owner: ChannelOwner::Environment,
    })
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
