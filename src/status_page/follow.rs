//! Posts that follow real incidents: begun where one touches a service that strangers see, over when it is, or when the
//! services are well ([`course`]).
//!
//! The words are ours, not the incident's: its summary may name what strangers must not know.

use super::posts::{self, Impact, NewPost, Stage};
use super::{Error, Publish, course, words};
use crate::base::{Entropy, Timestamp, Uid};
use crate::incidents::IncidentState;
use crate::store::{self, ReadTx, WriteTx, params};

/// A service that strangers see, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub service: String,
    /// As strangers know it.
    pub title: String,
    /// Keys of the signals that are about it: its own, and those of its members.
    pub keys: Vec<String>,
    /// Whether strangers notice anything: one of three providers is no outage.
    pub impact: Impact,
    /// Known to be well: not merely unseen, nor under planned work.
    pub is_well: bool,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    pub begun: usize,
    pub told: usize,
}

/// Incidents of one run; the rest follows in the next.
const INCIDENTS_MAX: i64 = 50;
pub(super) const AUTHOR: &str = "tocsin";

/// Begins posts for open incidents, says where somebody took one over, and ends those whose incident is over.
/// Idempotent.
pub fn follow(
    tx: &WriteTx<'_>,
    now: Timestamp,
    entropy: &Entropy,
    shown: &[Shown],
    publish: Publish,
) -> Result<Followed, Error> {
    let mut followed = Followed::default();
    for open in find_untold(tx, shown)? {
        posts::insert(tx, now, entropy, &open.post(publish), AUTHOR)?;
        followed.begun += 1;
    }
    for (post, stage, text) in find_behind(tx)? {
        posts::say(tx, now, post, (stage, text), AUTHOR)?;
        followed.told += 1;
    }
    for step in course::find_steps(tx, now, shown)? {
        course::take(tx, now, &step, AUTHOR)?;
        followed.told += 1;
    }
    Ok(followed)
}

/// Whether [`follow`] would find something to do.
pub fn is_due(tx: &ReadTx<'_>, now: Timestamp, shown: &[Shown]) -> Result<bool, store::Error> {
    Ok(!find_behind(tx)?.is_empty()
        || !find_untold(tx, shown)?.is_empty()
        || !course::find_steps(tx, now, shown)?.is_empty())
}

/// An incident of which strangers were not told.
struct Untold {
    incident: Uid,
    /// When the trouble of these services did; others may have been bad before.
    began_at: Timestamp,
    services: Vec<Shown>,
}

impl Untold {
    fn post(&self, publish: Publish) -> NewPost {
        let impact = self.services.iter().map(|one| one.impact).max().unwrap_or(Impact::Minor);
        let services: Vec<&Shown> = self.services.iter().collect();
        let title = words::title(&services);
        NewPost {
            incident: Some(self.incident),
            title: title.clone(),
            impact,
            services: self.services.iter().map(|one| one.service.clone()).collect(),
            began_at: self.began_at,
            published: publish == Publish::Automatically,
            stage: Stage::Investigating,
            text: format!("{title}.{} We are looking into it.", words::beside(&services)),
        }
    }
}

fn find_untold(tx: &ReadTx<'_>, shown: &[Shown]) -> Result<Vec<Untold>, store::Error> {
    let ill: Vec<&Shown> = shown.iter().filter(|one| one.impact != Impact::None).collect();
    if ill.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&String> = ill.iter().flat_map(|one| &one.keys).collect();
    let found: Vec<(Uid, Timestamp, String)> = tx.all(
        "SELECT i.uid, min(w.first_bad_at), json_group_array(w.key)
         FROM json_each(?1) AS k JOIN witnesses w ON w.key = k.value AND w.live = 1 AND w.state = 'firing'
         JOIN incidents i ON i.id = w.incident_id
         WHERE i.state <> 'resolved' AND i.silenced = 0
             AND NOT EXISTS (SELECT 1 FROM status_posts p WHERE p.incident = i.uid)
         GROUP BY i.id ORDER BY i.id LIMIT ?2",
        params![serde_json::json!(keys).to_string(), INCIDENTS_MAX],
        |row| {
            let began_at = Timestamp::from_micros(row.get(1)?);
            Ok((Uid::from_bytes(row.get(0)?), began_at, row.get(2)?))
        },
    )?;
    let untold = |(incident, began_at, fired): (Uid, Timestamp, String)| {
        let fired: Vec<String> = serde_json::from_str(&fired).unwrap_or_default();
        let touched = ill.iter().filter(|one| one.keys.iter().any(|key| fired.contains(key)));
        Untold { incident, began_at, services: touched.map(|one| (*one).clone()).collect() }
    };
    Ok(found.into_iter().map(untold).collect())
}

/// Posts whose incident went on without them. One that people wrote on is left at what they said, until it is over; of
/// one that was taken away only the end is written, with which its age begins.
fn find_behind(tx: &ReadTx<'_>) -> Result<Vec<(i64, Stage, &'static str)>, store::Error> {
    tx.all(
        "SELECT p.id, ifnull(i.state, 'resolved') FROM status_posts p LEFT JOIN incidents i ON i.uid = p.incident
         WHERE p.resolved_at IS NULL AND p.incident IS NOT NULL
             AND (ifnull(i.state, 'resolved') = 'resolved'
                  OR (i.state = 'acknowledged' AND p.state = 'investigating' AND p.removed_at IS NULL))
         ORDER BY p.began_at LIMIT ?1",
        [INCIDENTS_MAX],
        |row| {
            let is_over = row.get_ref(1)?.as_str()? == IncidentState::Resolved.as_str();
            let (stage, text) = if is_over {
                (Stage::Resolved, "It works again.")
            } else {
                (Stage::Identified, "Somebody is working on it.")
            };
            Ok((row.get(0)?, stage, text))
        },
    )
}
