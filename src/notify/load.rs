//! From the rows of a claimed delivery to the facts of its message, in one read transaction.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::account;
use super::facts::{
    BundleFacts, BundleOccasion, Change, Detail, DigestFacts, Entry, Facts, IncidentFacts, Moment, Story,
    TestFacts, WitnessFacts,
};
use crate::base::seal::{SealError, Sealer};
use crate::base::{Timestamp, Uid};
use crate::incidents::deliveries::Claimed;
use crate::incidents::links::{self, Link, LinkPurpose};
use crate::incidents::{IncidentId, Purpose};
use crate::outbound::Url;
use crate::store::{self, ReadTx, Row, params};

/// What a message knows of what led to its trouble: "the hour before".
const CHANGES_BEFORE: Duration = Duration::from_hours(1);
const CHANGES_MAX: u32 = 10;
/// Witnesses that a message can draw facts from.
const WITNESSES_MAX: u32 = 20;
/// A link in a mail works this long; incidents are over sooner.
const LINK_LASTS: Duration = Duration::from_hours(7 * 24);

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
        Some(id) => tx.first("SELECT slug FROM projects WHERE id = ?1", [id.0], |row| row.get(0))?,
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
}

pub(super) fn content<T: DeserializeOwned>(value: &Value) -> Result<T, LoadError> {
    T::deserialize(value).map_err(LoadError::Content)
}

fn bundle(tx: &ReadTx<'_>, claimed: &Claimed) -> Result<Story, LoadError> {
    // A fold that was full lists nothing.
    let items = content::<Items>(&claimed.content).unwrap_or(Items { items: Vec::new(), reason: None });
    let since = tx.one(
        "SELECT ifnull(min(created_at), ?2) FROM deliveries WHERE bundle_id = ?1",
        params![claimed.id.0, claimed.created_at.as_micros()],
        |row| row.get(0).map(Timestamp::from_micros),
    )?;
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
    let found = tx.first(
        "SELECT uid, id, summary, impact_started_at, recovered_at, acknowledged_by, witness_count, state
         FROM incidents WHERE id = ?1",
        [id.0],
        |row| read_incident(row, moment),
    )?;
    let (mut incident, is_open) = found.ok_or(LoadError::NoIncident)?;
    let about: WitnessContent = content(&claimed.content)?;
    let witnesses = witnesses(tx, id)?;
    let named = |id: &i64| about.witness == Some(*id);
    incident.about = witnesses.iter().position(|(id, _)| named(id)).unwrap_or(0);
    incident.witnesses = witnesses.into_iter().map(|(_, witness)| witness).collect();
    incident.changes = match claimed.project {
        Some(project) => changes(tx, project.0, incident.impact_started_at)?,
        None => Vec::new(),
    };
    if is_open {
        let expires_at = now + LINK_LASTS;
        let link = Link { incident: incident.uid, purpose: LinkPurpose::Acknowledge, expires_at };
        incident.acknowledge_path = Some(format!("/ack/{}", links::sign(&maker.key, &link)));
    }
    Ok(Story::Incident(Box::new(incident)))
}

/// The incident without its lists, and whether it waits for an acknowledgement.
fn read_incident(row: &Row<'_>, moment: Moment) -> rusqlite::Result<(IncidentFacts, bool)> {
    let facts = IncidentFacts {
        moment,
        uid: Uid::from_bytes(row.get(0)?),
        number: row.get(1)?,
        summary: row.get(2)?,
        impact_started_at: Timestamp::from_micros(row.get(3)?),
        recovered_at: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_micros),
        acknowledged_by: row.get(5)?,
        witnesses: Vec::new(),
        witness_count: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        about: 0,
        changes: Vec::new(),
        acknowledge_path: None,
    };
    Ok((facts, row.get_ref(7)?.as_str()? == "open"))
}

fn witnesses(tx: &ReadTx<'_>, id: IncidentId) -> Result<Vec<(i64, WitnessFacts)>, store::Error> {
    tx.all(
        "SELECT id, source, summary, detail FROM witnesses WHERE incident_id = ?1 ORDER BY id LIMIT ?2",
        params![id.0, WITNESSES_MAX],
        |row| {
            // A detail of another version is no reason to keep silent.
            let detail: Detail = serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default();
            Ok((row.get(0)?, WitnessFacts { source: row.get(1)?, summary: row.get(2)?, detail }))
        },
    )
}

fn changes(tx: &ReadTx<'_>, project: i64, impact: Timestamp) -> Result<Vec<Change>, store::Error> {
    tx.all(
        "SELECT at, release, environment FROM deploys
         WHERE project_id = ?1 AND at BETWEEN ?2 AND ?3 ORDER BY at DESC LIMIT ?4",
        params![project, (impact - CHANGES_BEFORE).as_micros(), impact.as_micros(), CHANGES_MAX],
        |row| {
            let (release, environment): (String, String) = (row.get(1)?, row.get(2)?);
            let what = format!("deploy of {release} to {environment}");
            Ok(Change { at: Timestamp::from_micros(row.get(0)?), what })
        },
    )
}
