//! What the public page is rendered from: read in one transaction, counted afterwards.

use std::time::Duration;

use crate::base::{ProjectId, Timestamp};
use crate::health::services::queries::{ChangeLine, changes};
use crate::health::services::{ServiceStatus, Snapshot};
use crate::incidents::maintenance::{self, Maintenance, touches};
use crate::status_page::history::{Day, State, Times, Turn, days};
use crate::status_page::posts::{self, Impact, Post};
use crate::status_page::{self, EntryView, Page};
use crate::store::{Error, ReadTx};
use crate::vigil::{self, Blind};

/// As it was read.
pub struct Inputs {
    now: Timestamp,
    page: Page,
    base_url: String,
    shown: Vec<Shown>,
    blind: Blind,
    is_blind: bool,
    posts: Vec<Post>,
    planned: Vec<Maintenance>,
}

/// A service that strangers see.
pub struct Shown {
    pub entry: EntryView,
    pub title: String,
    project: ProjectId,
    /// Keys of the signals that are about it.
    pub keys: Vec<String>,
    pub status: ServiceStatus,
    critical: bool,
    latency_ms: Option<f64>,
    changes: Vec<ChangeLine>,
}

/// Ready to be shown.
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) support_url: Option<String>,
    pub(super) base_url: String,
    pub(super) sections: Vec<SectionFacts>,
    /// Published ones, the newest first.
    pub(super) posts: Vec<Post>,
    pub(super) planned: Vec<Planned>,
    /// tocsin itself cannot see at this moment.
    pub(super) is_blind: bool,
}

pub(super) struct SectionFacts {
    pub(super) title: String,
    pub(super) services: Vec<ServiceFacts>,
}

pub(super) struct ServiceFacts {
    /// Its key, by which posts name it; strangers do not see it.
    pub(super) key: String,
    pub(super) title: String,
    /// In addresses.
    pub(super) badge: String,
    pub(super) status: ServiceStatus,
    pub(super) critical: bool,
    pub(super) latency_ms: Option<f64>,
    /// Ninety, the oldest first.
    pub(super) days: Vec<Day>,
}

/// Planned work, now or to come.
pub(super) struct Planned {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) begins_at: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) is_now: bool,
    /// As strangers know them.
    pub(super) services: Vec<String>,
}

pub(super) const DAYS: u32 = 90;
const DAY: Duration = Duration::from_hours(24);
/// Posts of a year are kept in sight.
const POSTS_SHOWN_FOR: Duration = Duration::from_hours(24 * 365);
/// Planned work is announced this long before.
const PLANNED_WITHIN: Duration = Duration::from_hours(24 * 14);
/// Occurrences of one schedule that are announced.
const OCCURRENCES_MAX: usize = 3;

impl Inputs {
    /// Reads everything; `None` where the page is off.
    pub fn read(
        tx: &ReadTx<'_>,
        now: Timestamp,
        snapshot: &Snapshot,
        base_url: &str,
    ) -> Result<Option<Self>, Error> {
        let Some(page) = status_page::find(tx)?.filter(|page| page.enabled) else { return Ok(None) };
        let from = now - DAY * DAYS;
        let mut shown = Vec::new();
        for entry in page.entries() {
            let Some(seen) = snapshot.find(&entry.service) else { continue };
            let service = &seen.service;
            let mut keys: Vec<String> = service.members.iter().map(|member| member.member.clone()).collect();
            keys.push(service.id.signal_key());
            shown.push(Shown {
                title: entry.title.clone().unwrap_or_else(|| service.name.clone()),
                entry: entry.clone(),
                project: service.project,
                keys,
                status: service.status,
                critical: service.critical,
                latency_ms: seen.latency_ms().filter(|_| entry.latency),
                changes: changes(tx, service.id, from)?,
            });
        }
        let spells = vigil::between(tx, from, now)?;
        Ok(Some(Self {
            now,
            base_url: base_url.trim_end_matches('/').to_owned(),
            shown,
            blind: Blind::of(&spells),
            is_blind: spells.iter().any(|spell| spell.ended_at.is_none()),
            posts: posts::list(tx, now - POSTS_SHOWN_FOR)?,
            planned: maintenance::list(tx, now)?,
            page,
        }))
    }

    /// The services as the posts that follow incidents know them.
    pub fn followed(&self) -> Vec<status_page::Shown> {
        let one = |shown: &Shown| status_page::Shown {
            service: shown.entry.service.clone(),
            title: shown.title.clone(),
            keys: shown.keys.clone(),
            impact: shown.impact(),
            is_well: shown.status == ServiceStatus::Healthy,
        };
        self.shown.iter().map(one).collect()
    }

    pub fn publish(&self) -> status_page::Publish {
        self.page.settings.publish
    }

    pub(super) fn facts(&self) -> Facts {
        let sections = self.page.sections.iter().map(|section| SectionFacts {
            title: section.title.clone(),
            services: section.entries.iter().filter_map(|entry| self.service(entry)).collect(),
        });
        Facts {
            now: self.now,
            title: self.page.title.clone(),
            description: self.page.description.clone(),
            support_url: self.page.settings.support_url.clone(),
            base_url: self.base_url.clone(),
            sections: sections.filter(|section| !section.services.is_empty()).collect(),
            posts: self.posts.iter().filter(|post| post.published).cloned().collect(),
            planned: self.planned(),
            is_blind: self.is_blind,
        }
    }

    fn service(&self, entry: &EntryView) -> Option<ServiceFacts> {
        let shown = self.shown.iter().find(|shown| shown.entry.service == entry.service)?;
        let turns: Vec<Turn> =
            shown.changes.iter().map(|change| Turn { at: change.at, state: state(change.status) }).collect();
        Some(ServiceFacts {
            key: entry.service.clone(),
            title: shown.title.clone(),
            badge: entry.badge.clone(),
            status: shown.status,
            critical: shown.critical,
            latency_ms: shown.latency_ms,
            days: days(&turns, &self.blind, self.now, DAYS),
        })
    }

    fn planned(&self) -> Vec<Planned> {
        let mut found = Vec::new();
        for work in self.planned.iter().filter(|work| work.draft.is_public && work.ended_at.is_none()) {
            let Ok(plan) = work.draft.plan() else { continue };
            let near = plan.upcoming(self.now).take_while(|next| next.begins_at <= self.now + PLANNED_WITHIN);
            for (nth, occurrence) in work.current.into_iter().chain(near.take(OCCURRENCES_MAX)).enumerate() {
                let services = self.covered(work);
                // Work on what strangers do not see is none of theirs.
                if services.is_empty() && !self.shown.is_empty() {
                    continue;
                }
                found.push(Planned {
                    id: format!("{}-{nth}", work.uid),
                    title: work.draft.title.clone(),
                    message: work.draft.message.clone(),
                    begins_at: occurrence.begins_at,
                    ends_at: occurrence.ends_at,
                    is_now: occurrence.begins_at <= self.now,
                    services,
                });
            }
        }
        found.sort_by_key(|planned| planned.begins_at);
        found
    }

    fn covered(&self, work: &Maintenance) -> Vec<String> {
        let (project, subjects) = (work.draft.project, &work.draft.subjects);
        let is_touched =
            |one: &&Shown| one.keys.iter().any(|key| touches(project, subjects, one.project, key));
        self.shown.iter().filter(is_touched).map(|one| one.title.clone()).collect()
    }
}

impl Shown {
    /// What strangers notice of how it is.
    fn impact(&self) -> Impact {
        match (self.status, self.critical) {
            (ServiceStatus::Unhealthy, true) => Impact::Critical,
            (ServiceStatus::Unhealthy, false) => Impact::Major,
            (ServiceStatus::Degraded, _) => Impact::Minor,
            (ServiceStatus::Healthy | ServiceStatus::Unknown | ServiceStatus::Maintenance, _) => Impact::None,
        }
    }
}

impl Facts {
    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceFacts> {
        self.sections.iter().flat_map(|section| &section.services)
    }

    /// Titles of the services that a post names, of those that are shown.
    pub(super) fn titles(&self, post: &Post) -> Vec<&str> {
        self.services().filter(|one| post.services.contains(&one.key)).map(|one| one.title.as_str()).collect()
    }

    pub(super) fn open_posts(&self) -> impl Iterator<Item = &Post> {
        self.posts.iter().filter(|post| post.resolved_at.is_none())
    }
}

impl ServiceFacts {
    /// Over its last `days` days.
    pub(super) fn times(&self, days: usize) -> Times {
        Times::sum(&self.days[self.days.len().saturating_sub(days)..])
    }
}

fn state(status: ServiceStatus) -> State {
    match status {
        ServiceStatus::Healthy => State::Up,
        ServiceStatus::Degraded => State::Degraded,
        ServiceStatus::Unhealthy => State::Down,
        ServiceStatus::Maintenance => State::Maintenance,
        ServiceStatus::Unknown => State::Unknown,
    }
}
