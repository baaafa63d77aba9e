//! Destinations as they are sent to: with their source, and the secrets opened.

use std::collections::BTreeMap;

use super::alarms::Subject;
use super::destination::{Definition, Sign};
use super::scheme::Scheme;
use super::secrets::{SIGNING, Secrets};
use super::{Destination, Source, SourceId, Webhooks, rows};
use crate::base::{Owner, Secret};
use crate::store::{Error, ReadTx};

/// A destination, ready to be sent to.
#[derive(Clone, Debug)]
pub struct Target {
    pub subject: Subject,
    pub definition: Definition,
    pub is_held: bool,
    pub owner: Owner,
    pub scheme: Scheme,
    pub signing: Signing,
    /// Those of its headers.
    pub secrets: Secrets,
}

/// With what its deliveries are signed.
#[derive(Clone, Debug)]
pub enum Signing {
    Off,
    With(Secret),
    /// Nothing can be sent until this is mended.
    Missing(&'static str),
}

const NO_SECRET: &str = "its source has no secret to sign with: enter the provider's secret there";
const NO_OWN_SECRET: &str = "it has no secret to sign with: enter one, or sign as its source does";
const NOT_OPENED: &str = "its secrets cannot be opened with this sealing.key: enter them anew";
const NO_SCHEME: &str =
    "this program does not know its source's provider: update tocsin, or choose a scheme there";

/// All of them, whoever's they are.
pub fn read_all(tx: &ReadTx<'_>, webhooks: &Webhooks) -> Result<Vec<Target>, Error> {
    let sources = tx.all(&format!("{} LIMIT {}", rows::SOURCES, super::SOURCES_MAX), [], rows::source)?;
    let sources: BTreeMap<SourceId, Source> = sources.into_iter().map(|source| (source.id, source)).collect();
    let destinations =
        tx.all(&format!("{} LIMIT {}", rows::DESTINATIONS, super::DESTINATIONS_MAX), [], rows::destination)?;
    let target = |destination: Destination| {
        let source = sources.get(&destination.source)?;
        Some(Target::of(webhooks, source, destination))
    };
    Ok(destinations.into_iter().filter_map(target).collect())
}

impl Target {
    fn of(webhooks: &Webhooks, source: &Source, destination: Destination) -> Self {
        let secrets = webhooks.open_destination(&destination);
        let (scheme, signing) = match (source.definition.scheme(), &secrets) {
            (None, _) => (Scheme::None, Signing::Missing(NO_SCHEME)),
            (Some(scheme), Err(_)) => (scheme, Signing::Missing(NOT_OPENED)),
            (Some(scheme), Ok(secrets)) => {
                let signing = signing(webhooks, &scheme, source, destination.definition.sign, secrets);
                (scheme, signing)
            }
        };
        Self {
            subject: Subject::of(source, &destination),
            is_held: destination.held.is_some(),
            owner: destination.owner,
            definition: destination.definition,
            scheme,
            signing,
            secrets: secrets.unwrap_or_default(),
        }
    }
}

fn signing(webhooks: &Webhooks, scheme: &Scheme, source: &Source, sign: Sign, own: &Secrets) -> Signing {
    match sign {
        Sign::Off => Signing::Off,
        Sign::AsSource | Sign::Own if !scheme.needs_secret() => Signing::Off,
        Sign::Own => own.0.get(SIGNING).cloned().map_or(Signing::Missing(NO_OWN_SECRET), Signing::With),
        Sign::AsSource => match webhooks.open_source(source) {
            Ok(secrets) => secrets.newest().cloned().map_or(Signing::Missing(NO_SECRET), Signing::With),
            Err(_) => Signing::Missing(NOT_OPENED),
        },
    }
}
