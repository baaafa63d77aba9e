//! The overview's strip of health: what is watched and not well, and when tocsin itself could not see.

use std::time::Duration;

use super::incident_words::Badge;
use super::moments::{between, clock};
use super::probes::words::status_badge;
use super::service_words::ServiceLink;
use super::services::services_now;
use super::wording::{When, count};
use crate::accounts::Visible;
use crate::base::Timestamp;
use crate::health::services::{ServiceStatus, Snapshot};
use crate::probes::Status;
use crate::probes::queries::{self, Counts, Filter};
use crate::store::{Error, ReadTx};
use crate::vigil::{self, Spell};

/// How what is watched is, for somebody who looks once.
pub(super) struct Health {
    /// As the team names them, in their order.
    pub(super) services: Vec<ServiceLink>,
    pub(super) more_services: usize,
    /// Of the probes; empty where there are none.
    pub(super) headline: String,
    pub(super) counts: Vec<StatusCount>,
    pub(super) unwell: Vec<UnwellLine>,
    /// Those that are not well and not listed.
    pub(super) more: u32,
    /// When tocsin was blind within the last day.
    pub(super) blind: Vec<String>,
}

pub(super) struct StatusCount {
    pub(super) badge: Badge,
    pub(super) count: String,
    pub(super) place: String,
}

pub(super) struct UnwellLine {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) badge: Badge,
    pub(super) reason: String,
    pub(super) since: When,
}

/// What fits on one screen; the pages behind show all.
const SERVICES: usize = 12;
const UNWELL: u32 = 6;
const SPELLS: usize = 3;
const DAY: Duration = Duration::from_hours(24);
/// A restart is no news.
const SHORT: Duration = Duration::from_mins(2);

impl Health {
    /// What the caller may see of it; `None` where nothing is watched. Services are as `snapshot` has them.
    pub(super) fn read(
        tx: &ReadTx<'_>,
        visible: &Visible,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Self>, Error> {
        let counts = queries::counts(tx, visible, None)?;
        let mut services = services_now(tx, visible, snapshot)?;
        if counts.total() == 0 && services.is_empty() {
            return Ok(None);
        }
        let more_services = services.len().saturating_sub(SERVICES);
        if more_services > 0 {
            // What is well is left out first.
            services.sort_by_key(|service| service.status == ServiceStatus::Healthy);
        }
        services.truncate(SERVICES);
        let filter = Filter {
            status: vec![Status::Unhealthy, Status::Degraded, Status::Unreachable, Status::Unknown],
            limit: UNWELL,
            ..Filter::all(visible.clone())
        };
        let unwell: Vec<UnwellLine> = queries::list(tx, &filter)?
            .items
            .into_iter()
            .map(|line| UnwellLine {
                place: format!("/probes/{}", line.key),
                name: line.name,
                badge: status_badge(line.status),
                reason: line.reason,
                since: When::new(line.since, now),
            })
            .collect();
        let troubled = counts.unhealthy + counts.degraded + counts.unreachable + counts.unknown;
        Ok(Some(Self {
            services: services.into_iter().map(ServiceLink::of).collect(),
            more_services,
            headline: headline(&counts),
            counts: status_counts(&counts),
            more: troubled.saturating_sub(u32::try_from(unwell.len()).unwrap_or(0)),
            unwell,
            blind: blind(&vigil::between(tx, now - DAY, now)?, now),
        }))
    }
}

fn headline(counts: &Counts) -> String {
    let watched = count(counts.total().into());
    match (counts.unhealthy, counts.degraded) {
        (0, 0) if counts.healthy == counts.total() && counts.healthy == 1 => {
            "The one probe is healthy".to_owned()
        }
        (0, 0) if counts.healthy == counts.total() => format!("All {watched} probes are healthy"),
        (0, 0) => format!("{} of {watched} probes are healthy, none is down", count(counts.healthy.into())),
        (0, slow) => format!("{} of {watched} probes slow, none down", count(slow.into())),
        (down, _) => format!("{} of {watched} probes down", count(down.into())),
    }
}

fn status_counts(counts: &Counts) -> Vec<StatusCount> {
    let Counts { unhealthy, degraded, unreachable, unknown, maintenance, healthy, paused } = *counts;
    let all = [
        (Status::Unhealthy, unhealthy),
        (Status::Degraded, degraded),
        (Status::Unreachable, unreachable),
        (Status::Unknown, unknown),
        (Status::Maintenance, maintenance),
        (Status::Healthy, healthy),
        (Status::Paused, paused),
    ];
    let there = all.into_iter().filter(|(_, number)| *number > 0);
    there
        .map(|(status, number)| StatusCount {
            badge: status_badge(status),
            count: count(number.into()),
            place: format!("/probes?status={}", status.as_str()),
        })
        .collect()
}

/// The longer ones, the newest first.
fn blind(spells: &[Spell], now: Timestamp) -> Vec<String> {
    let lasted = |spell: &&Spell| spell.ended_at.unwrap_or(now).since(spell.began_at) >= SHORT;
    let told = spells.iter().rev().filter(lasted).take(SPELLS).map(|spell| {
        let (began, why) = (clock(spell.began_at, now), spell.reason.says());
        match spell.ended_at {
            Some(ended) => format!(
                "tocsin was blind from {began} to {}, for {}: {why}.",
                clock(ended, now),
                between(spell.began_at, ended)
            ),
            None => format!("tocsin has been blind since {began}: {why}."),
        }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vigil::Blindness;

    #[test]
    fn the_headline_names_the_worst_first() {
        let counts = |unhealthy, degraded, healthy, paused| {
            headline(&Counts { unhealthy, degraded, healthy, paused, ..Counts::default() })
        };
        assert_eq!(counts(0, 0, 1, 0), "The one probe is healthy");
        assert_eq!(counts(0, 0, 12, 0), "All 12 probes are healthy");
        assert_eq!(counts(0, 0, 11, 1), "11 of 12 probes are healthy, none is down");
        assert_eq!(counts(0, 1, 1, 0), "1 of 2 probes slow, none down");
        assert_eq!(counts(2, 1, 1_000, 0), "2 of 1,003 probes down");
    }

    #[test]
    fn a_restart_is_no_news_and_a_night_is() {
        let now = Timestamp::from_secs(1_790_000_000);
        let spell = |ago: u64, lasted: u64| Spell {
            reason: Blindness::Down,
            began_at: now - Duration::from_secs(ago),
            ended_at: Some(now - Duration::from_secs(ago - lasted)),
            detail: String::new(),
        };
        let told = blind(&[spell(5_000, 720), spell(60, 20)], now);
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("for 12 min: it was not running."), "{told:?}");
    }
}
