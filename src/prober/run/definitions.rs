//! What is asked: read at the start, and again whenever a probe was made, changed, paused or removed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::subject::{Reports, Subject};
use super::wheel::place;
use super::{Event, Loop, Run};
use crate::accounts::By;
use crate::base::Timestamp;
use crate::probes::judge::Reading;
use crate::probes::pushed::{self, Stored};
use crate::probes::queries::{self, State};
use crate::probes::seen::{Phases, Sample};
use crate::probes::{Kind, Probe, ProbeId, ring};
use crate::store::{self, ReadTx};

/// What was read.
pub(super) struct Loaded {
    /// Every probe that there is, with its version.
    versions: HashMap<ProbeId, i64>,
    /// Those of another version than was known.
    changed: Vec<(Probe, State)>,
    /// Of a start: what was reported while nobody judged.
    reports: Vec<Stored>,
}

/// Probes that are read at once.
const PAGE: u32 = 500;
/// At a start everything is asked within this time, and not at once.
const CATCH_UP: Duration = Duration::from_mins(1);
/// Reports before a start that still say something.
const REPORTS_FROM: Duration = Duration::from_hours(24);
/// Where the definitions cannot be read.
const AGAIN: Duration = Duration::from_secs(2);

impl Loop {
    /// Reads what changed, unless that is being done; then it is done again after.
    pub(super) fn load(&mut self) {
        if self.is_loading {
            self.definitions.mark_changed();
            return;
        }
        self.is_loading = true;
        let known: HashMap<ProbeId, i64> =
            self.subjects.iter().map(|(id, subject)| (*id, subject.probe.version)).collect();
        let since = self.parts.asker.clock.now() - REPORTS_FROM;
        let (store, clock) = (self.parts.store.clone(), self.parts.asker.clock.clone());
        self.flying.push(Box::pin(async move {
            let loaded = store.read_reserved(move |tx| Loaded::read(tx, &known, since)).await;
            if loaded.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            drop(clock);
            Event::Loaded(Box::new(loaded))
        }));
    }

    pub(super) fn loaded(&mut self, loaded: Result<Loaded, store::Error>) {
        self.is_loading = false;
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(%error, "the probes could not be read; it is tried again");
                return self.load();
            }
        };
        let gone: Vec<ProbeId> =
            self.subjects.keys().copied().filter(|id| !loaded.versions.contains_key(id)).collect();
        for id in gone {
            self.forget(id);
        }
        let is_start = self.subjects.is_empty();
        for (probe, state) in loaded.changed {
            self.adopt(probe, &state, is_start);
        }
        self.relate();
        self.greet_canaries();
        if is_start {
            self.level();
        }
        for stored in &loaded.reports {
            self.reported(stored);
        }
    }

    fn adopt(&mut self, probe: Probe, state: &State, is_start: bool) {
        let id = probe.id;
        let opened = self.parts.probes.open(&probe).map_err(|error| error.to_string());
        let networks = &self.parts.settings.private_targets;
        let subject = opened.and_then(|secrets| Subject::new(probe, secrets, state, networks));
        let mut subject = match subject {
            Ok(subject) => subject,
            Err(reason) => {
                // Only what a later program wrote, or was sealed with another key.
                tracing::error!(probe = id.0, reason, "a probe cannot be asked: open it and save it anew");
                return self.forget(id);
            }
        };
        if let Some(earlier) = self.subjects.remove(&id) {
            subject.follow(earlier);
        }
        self.plan_first(&subject, is_start);
        self.subjects.insert(id, subject);
    }

    /// The first run, or the next after a change: soon, and after a start not all at once.
    fn plan_first(&mut self, subject: &Subject, is_start: bool) {
        let (id, now) = (subject.probe.id, self.now());
        let policy = subject.definition().policy;
        if let Some(paused) = &subject.probe.paused {
            let clock = &self.parts.asker.clock;
            match paused.until {
                Some(until) => self.wheel.set(id, now + until.since(clock.now())),
                None => self.wheel.remove(id),
            }
            self.parts.board.put(subject.live(None, None));
            return self.release_all(id);
        }
        let wait = match (subject.kind(), is_start) {
            (Kind::Push, _) => policy.interval + policy.timeout,
            (_, true) => place(id, policy.interval.min(CATCH_UP)),
            (_, false) => Duration::ZERO,
        };
        self.wheel.set(id, now + wait);
        let next_at = self.parts.asker.clock.now() + wait;
        self.parts.board.put(subject.live(None, Some(next_at)));
    }

    /// Who depends on whom.
    fn relate(&mut self) {
        self.children.clear();
        for child in self.subjects.values() {
            for parent in &child.probe.parents {
                self.children.entry(*parent).or_default().push(child.probe.id);
            }
        }
    }

    fn forget(&mut self, id: ProbeId) {
        self.subjects.remove(&id);
        self.wheel.remove(id);
        self.held.remove(&id);
        self.keeper.forget(id);
        self.parts.board.remove(id);
        self.release_all(id);
    }

    /// After a start: what rings is made level with what was known, whatever a crash left.
    fn level(&mut self) {
        let ids: Vec<ProbeId> = self.subjects.keys().copied().collect();
        let (store, clock) = (self.parts.store.clone(), self.parts.asker.clock.clone());
        let incidents = self.parts.probes.incidents.clone();
        self.flying.push(Box::pin(async move {
            for some in ids.chunks(32) {
                let (some, incidents, now) = (some.to_vec(), incidents.clone(), clock.now());
                let write = store.write("probes.level", move |tx| {
                    some.iter().try_for_each(|id| ring::level(tx, &incidents, now, *id))
                });
                if let Err(error) = write.await {
                    tracing::warn!(%error, "what rings could not be compared with how probes are");
                }
            }
            Event::Idle
        }));
    }

    /// The time of a pause is over.
    pub(super) fn resume(&mut self, id: ProbeId) {
        let (store, probes) = (self.parts.store.clone(), self.parts.probes.clone());
        let by = By::tocsin(self.parts.asker.clock.now());
        self.flying.push(Box::pin(async move {
            let write = store.write("probes.resume", move |tx| probes.resume(tx, &by, id));
            if let Err(error) = write.await {
                tracing::warn!(%error, "a probe whose pause is over could not be resumed");
            }
            Event::Idle
        }));
    }

    /// Somebody said how it is.
    pub(super) fn reported(&mut self, stored: &Stored) {
        // An earlier one that is still in doubt says less than this.
        self.held.remove(&stored.id);
        let Some(subject) = self.subjects.get_mut(&stored.id) else { return };
        if subject.question.is_some() || subject.probe.paused.is_some() {
            return;
        }
        subject.reports = Reports::Begun;
        let (now, began) = (self.parts.asker.clock.now(), self.parts.asker.clock.monotonic());
        let seen = stored.report.seen(stored.at, now);
        let mut run = Run::of(&subject.checked, stored.at, began, seen);
        run.reason = stored.report.reason(run.reading, run.reason);
        subject.is_busy = true;
        self.judge(stored.id, run);
    }

    /// Nobody said how it is, in time.
    pub(super) fn missed(&mut self, id: ProbeId, at: Timestamp, began: Duration) {
        let is_blind = self.is_blind;
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if subject.reports == Reports::Awaited {
            // Whoever is to report may not have its address yet.
            return self.parts.board.put(subject.live(None, None));
        }
        subject.is_busy = true;
        let policy = subject.definition().policy;
        let reason = if is_blind {
            "tocsin could not see: its own network was gone".to_owned()
        } else {
            format!("no report for {}", crate::base::span::format(policy.interval + policy.timeout))
        };
        // Who reports over the network cannot reach tocsin either while its uplink is gone.
        let reading = if is_blind { Reading::Blind } else { Reading::Bad };
        let run = Run {
            at,
            began,
            reading,
            reason,
            may_be_ours: false,
            phases: Phases::default(),
            facts: Vec::new(),
            sample: Sample::default(),
            outcomes: Vec::new(),
        };
        self.judge(id, run);
    }

    /// Tocsin sees again: everything is asked within a minute.
    pub(super) fn look_again(&mut self) {
        let now = self.now();
        let asked = self.subjects.values().filter(|subject| subject.question.is_some() && !subject.is_busy);
        let asked: Vec<(ProbeId, Duration)> = asked
            .filter(|subject| subject.probe.paused.is_none())
            .map(|subject| (subject.probe.id, subject.definition().policy.interval))
            .collect();
        for (id, interval) in asked {
            self.wheel.hurry(id, now + place(id, interval.min(CATCH_UP)));
        }
    }
}

impl Loaded {
    fn read(tx: &ReadTx<'_>, known: &HashMap<ProbeId, i64>, since: Timestamp) -> Result<Self, store::Error> {
        let versions = queries::versions(tx)?;
        let is_start = known.is_empty();
        let wanted: HashSet<ProbeId> = versions
            .iter()
            .filter(|(id, version)| known.get(id) != Some(version))
            .map(|(id, _)| *id)
            .collect();
        let changed = if is_start { Self::read_all(tx)? } else { Self::read_some(tx, &wanted)? };
        let reports = if is_start { pushed::since(tx, since)? } else { Vec::new() };
        Ok(Self { versions, changed, reports })
    }

    fn read_all(tx: &ReadTx<'_>) -> Result<Vec<(Probe, State)>, store::Error> {
        let (mut all, mut after) = (Vec::new(), ProbeId(0));
        loop {
            let page = queries::all(tx, after, PAGE)?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.id;
            for probe in page {
                all.extend(queries::state(tx, probe.id)?.map(|state| (probe, state)));
            }
        }
    }

    fn read_some(tx: &ReadTx<'_>, wanted: &HashSet<ProbeId>) -> Result<Vec<(Probe, State)>, store::Error> {
        let mut some = Vec::new();
        for id in wanted {
            let probe = queries::find_by_id(tx, &crate::accounts::Visible::All, *id)?;
            if let (Some(probe), Some(state)) = (probe, queries::state(tx, *id)?) {
                some.push((probe, state));
            }
        }
        Ok(some)
    }
}
