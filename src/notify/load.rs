//! From the rows of a claimed delivery to the facts of its message, in one read transaction.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::account;
use super::facts::{
    BundleFacts, BundleOccasion, Change, Closing, Detail, DigestFacts, Entry, Facts, IncidentFacts, Moment,
    Story, TestFacts, WitnessFacts,
};
use crate::accounts::{self, projects};
use crate::base::Timestamp;
use crate::base::seal::{SealError, Sealer};
use crate::incidents::deliveries::{self, Claimed};
use crate::incidents::links::{self, Link, LinkPurpose};
use crate::incidents::views::WitnessView;
use crate::incidents::{CloseReason, IncidentState, Purpose, queries};
use crate::issues::queries::recount;
use crate::outbound::Url;
use crate::releases::{self, Deploy};
use crate::store::{self, ReadTx};

/// A link in a mail works this long; incidents are over sooner.
const LINK_LASTS: Duration = Duration::from_hours(7 * 24);

/// The state of a witness that no longer fires.
const WITNESS_OVER: &str = "ok";

/// How links in messages are made.
#[derive(Clone)]
pub struct LinkMaker {
    pub base_url: Url,
    pub key: [u8; 32],
}

/// Why a claimed delivery cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("its content is not readable: {0}")]
    Content(serde_json::Error),
    #[error("its link cannot be opened: {0}")]
    Sealed(#[from] SealError),
    #[error("its incident is no longer kept")]
    NoIncident,
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

pub(super) fn facts(
    tx: &ReadTx<'_>,
    now: Timestamp,
    claimed: &Claimed,
    channel_name: &str,
    (maker, sealer): (&LinkMaker, &Sealer),
) -> Result<Facts, LoadError> {
    let incident = |moment| incident(tx, now, claimed, moment, maker);
    let story = match claimed.purpose {
        Purpose::Opened => incident(Moment::Opened)?,
        Purpose::Witness => incident(Moment::Witness)?,
        Purpose::Raised => incident(Moment::Raised)?,
        Purpose::RingAgain => incident(Moment::RingAgain)?,
        Purpose::Recovered => incident(Moment::Recovered)?,
        Purpose::Digest => Story::Digest(DigestFacts {
            entries: content::<Items>(&claimed.content)?.items,
            total: u64::try_from(claimed.quantity).unwrap_or(0),
        }),
        Purpose::Bundle => bundle(tx, claimed)?,
        Purpose::Test => Story::Test(TestFacts {
            channel: channel_name.to_owned(),
            asked_by: content::<TestContent>(&claimed.content)?.asked_by,
        }),
        Purpose::Account => {
            let recipient = claimed.recipient.as_deref().unwrap_or_default();
            Story::Account(account::open(sealer, recipient, &claimed.content)?)
        }
    };
    let project = match claimed.project {
        Some(id) => projects::find(tx, id)?.map(|project| project.slug.to_string()),
        None => None,
    };
    Ok(Facts { project, severity: claimed.severity, base_url: maker.base_url.clone(), story })
}

/// `{"items": […]}` of digests and bundles.
#[derive(Deserialize)]
struct Items {
    items: Vec<Entry>,
    #[serde(default)]
    reason: Option<BundleOccasion>,
}

#[derive(Deserialize)]
struct TestContent {
    asked_by: String,
}

/// The witness that a message is about, where it names one.
#[derive(Deserialize)]
struct WitnessContent {
    #[serde(default)]
    witness: Option<i64>,
    /// Whether it tells that this one has recovered.
    #[serde(default)]
    well_again: bool,
    /// Others that it tells of as well.
    #[serde(default)]
    gathered: Vec<i64>,
}

pub(super) fn content<T: DeserializeOwned>(value: &Value) -> Result<T, LoadError> {
    T::deserialize(value).map_err(LoadError::Content)
}

fn bundle(tx: &ReadTx<'_>, claimed: &Claimed) -> Result<Story, LoadError> {
    // A fold that was full lists nothing.
    let items = content::<Items>(&claimed.content).unwrap_or(Items { items: Vec::new(), reason: None });
    let bundle = claimed.follows.unwrap_or(claimed.id);
    let since = deliveries::find_oldest_bundled(tx, bundle)?.unwrap_or(claimed.created_at);
    Ok(Story::Bundle(BundleFacts {
        occasion: items.reason.unwrap_or(BundleOccasion::Burst),
        entries: items.items,
        total: u64::try_from(claimed.quantity).unwrap_or(0),
        since,
    }))
}

fn incident(
    tx: &ReadTx<'_>,
    now: Timestamp,
    claimed: &Claimed,
    moment: Moment,
    maker: &LinkMaker,
) -> Result<Story, LoadError> {
    let id = claimed.incident.ok_or(LoadError::NoIncident)?;
    let mut view = queries::find_by_number(tx, id)?.ok_or(LoadError::NoIncident)?;
    recount(tx, &mut view)?;
    let content: WitnessContent = content(&claimed.content)?;
    let named = view.witnesses.iter().position(|witness| content.witness == Some(witness.number));
    let lead = view.witnesses.iter().position(|witness| witness.summary == view.summary);
    let well_again = named.filter(|_| content.well_again);
    // Who was split off meanwhile is told of by another incident.
    let place = |number: &i64| view.witnesses.iter().position(|witness| witness.number == *number);
    let gathered: Vec<usize> =
        content.gathered.iter().filter_map(place).filter(|at| Some(*at) != named).collect();
    let fires = |at: &&usize| view.witnesses.get(**at).is_some_and(|witness| witness.state != WITNESS_OVER);
    let joined = gathered.iter().find(fires).or(gathered.first()).copied();
    let about = match moment {
        _ if well_again.is_some() => lead,
        Moment::Witness => named.or(joined).or(lead),
        _ => named.or(lead),
    };
    let changes = match claimed.project {
        Some(project) => releases::list_leading_to(tx, project, view.impact_started_at, view.detected_at)?,
        None => Vec::new(),
    };
    let acknowledge_path = (view.state == IncidentState::Open.as_str()).then(|| {
        let expires_at = now + LINK_LASTS;
        let link = Link { incident: view.id, purpose: LinkPurpose::Acknowledge, expires_at };
        format!("/ack/{}", links::sign(&maker.key, &link))
    });
    let moment = match (moment, view.recovered_at) {
        (Moment::Recovered, None) => Moment::Closed(closing(view.resolve_reason.as_deref())),
        (Moment::Witness, _) if content.well_again => Moment::WellAgain,
        (told, _) => told,
    };
    Ok(Story::Incident(Box::new(IncidentFacts {
        moment,
        uid: view.id,
        number: view.number,
        opened_as: queries::opened_as(tx, id)?,
        summary: view.summary,
        impact_started_at: view.impact_started_at,
        recovered_at: view.recovered_at,
        acknowledged_by: view.acknowledged_by,
        witnesses: view.witnesses.into_iter().map(witness).collect(),
        witness_count: u64::try_from(view.witness_count).unwrap_or(0),
        about: about.unwrap_or(0),
        well_again,
        gathered,
        changes: changes.iter().map(change).collect(),
        acknowledge_path,
    })))
}

fn closing(reason: Option<&str>) -> Closing {
    let is = |one: &CloseReason| reason == Some(one.as_str());
    let unwatched = [CloseReason::SubjectRemoved, CloseReason::SubjectPaused, CloseReason::SubjectArchived];
    if unwatched.iter().any(is) {
        Closing::Unwatched
    } else if is(&CloseReason::SubjectGrouped) {
        Closing::Regrouped
    } else {
        Closing::ByHand
    }
}

fn witness(view: WitnessView) -> WitnessFacts {
    // A detail of another version is no reason to keep silent.
    let detail: Detail = serde_json::from_value(view.detail).unwrap_or_default();
    let is_over = view.state == WITNESS_OVER;
    WitnessFacts { source: view.source, summary: view.summary, is_over, detail }
}

fn change(deploy: &Deploy) -> Change {
    Change { at: deploy.at, what: format!("deploy of {} to {}", deploy.release, deploy.environment) }
}

#[cfg(test)]
mod tests;
