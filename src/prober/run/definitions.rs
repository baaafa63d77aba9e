//! What is asked: read at the start, and again whenever a probe was made, changed, paused or removed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::subject::{Reports, Subject};
use super::wheel::place;
use super::{Event, Loop, Run};
use crate::accounts::{By, Visible};
use crate::base::Timestamp;
use crate::probes::judge::Reading;
use crate::probes::pushed::{self, Stored};
use crate::probes::queries::{self, State, Version};
use crate::probes::seen::{Phases, Sample};
use crate::probes::{Error, Kind, Probe, ProbeId, record, ring};
use crate::store::{self, ReadTx};
use crate::vigil;

/// Where reading them stands.
#[derive(Default)]
pub(super) struct Loads {
    /// Everything was read once.
    has_begun: bool,
    is_under_way: bool,
    /// Something changed since what is under way began.
    again: bool,
    /// What cannot be asked, by the version of which that was told.
    told: HashMap<ProbeId, i64>,
    /// Whose last report did not come through: it is read with the next load.
    pub(super) unheard: BTreeSet<ProbeId>,
    /// Those of the load that is under way.
    asked_for: BTreeSet<ProbeId>,
}

/// How soon a probe is asked for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    Now,
    /// With many others, and not all at once.
    Spread,
}

/// What was read.
pub(super) struct Loaded {
    /// Every probe that there is, with its version.
    versions: HashMap<ProbeId, Version>,
    /// Those of another version than was known.
    changed: Vec<(Probe, State)>,
    /// Those of them that this program does not understand, and why.
    unreadable: Vec<(ProbeId, store::Error)>,
    /// What was reported while nobody judged, or did not come through.
    reports: Vec<Stored>,
    /// Of a start: whether the canaries ever answered.
    has_known_canaries: bool,
}

/// What is to be read.
struct Wanted {
    known: HashMap<ProbeId, Version>,
    unheard: BTreeSet<ProbeId>,
    /// Since when reports still say something.
    reports_from: Timestamp,
    /// At a start.
    canaries: Option<Arc<[String]>>,
}

/// At a start, or where many were made or changed, they are asked within this time, and not at once.
const CATCH_UP: Duration = Duration::from_mins(1);
/// So many are not many.
const AT_ONCE_MAX: usize = 50;
/// Whoever saved a probe waits for its first answer this long.
const JUST_SAVED: Duration = Duration::from_mins(1);
/// A pause ends by the wall clock, which somebody may set: it is looked at this often.
const PAUSE_LOOK: Duration = Duration::from_mins(1);
/// Reports that were not judged and still say something are no older.
const REPORTS_FROM: Duration = Duration::from_hours(24);
/// Where the definitions cannot be read, or the end of a pause cannot be written.
const AGAIN: Duration = Duration::from_secs(2);

impl Loop {
    /// Reads what changed, unless that is being done; then it is done again after.
    pub(super) fn load(&mut self) {
        if self.loads.is_under_way {
            self.loads.again = true;
            return;
        }
        (self.loads.is_under_way, self.loads.again) = (true, false);
        self.loads.asked_for = std::mem::take(&mut self.loads.unheard);
        let version =
            |subject: &Subject| Version { definition: subject.probe.version, forgotten: subject.forgotten };
        let wanted = Wanted {
            known: self.subjects.iter().map(|(id, subject)| (*id, version(subject))).collect(),
            unheard: self.loads.asked_for.clone(),
            reports_from: self.parts.asker.clock.now() - REPORTS_FROM,
            canaries: (!self.loads.has_begun).then(|| Arc::clone(&self.parts.settings.canaries)),
        };
        let store = self.parts.store.clone();
        self.flying.push(Box::pin(async move {
            let loaded = store.read_reserved(move |tx| Loaded::read(tx, &wanted)).await;
            if loaded.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
            Event::Loaded(Box::new(loaded))
        }));
    }

    pub(super) fn loaded(&mut self, loaded: Result<Loaded, store::Error>) {
        self.loads.is_under_way = false;
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(%error, "the probes could not be read; it is tried again");
                self.loads.unheard.append(&mut self.loads.asked_for);
                return self.load();
            }
        };
        let gone: Vec<ProbeId> =
            self.subjects.keys().copied().filter(|id| !loaded.versions.contains_key(id)).collect();
        for id in gone {
            self.forget(id);
        }
        let definition = |id: &ProbeId| loaded.versions.get(id).map(|version| version.definition);
        self.loads.told.retain(|id, told| definition(id) == Some(*told));
        for (id, error) in loaded.unreadable {
            let version = definition(&id).unwrap_or_default();
            self.give_up((id, version), queries::unreadable(&error));
        }
        let is_start = !std::mem::replace(&mut self.loads.has_begun, true);
        let is_many = is_start || loaded.changed.len() > AT_ONCE_MAX;
        for (probe, state) in loaded.changed {
            let haste = if is_many || self.is_back(&probe) { Haste::Spread } else { Haste::Now };
            self.adopt(probe, &state, haste);
        }
        self.relate();
        if loaded.has_known_canaries {
            self.uplink.trust();
        }
        self.greet_canaries();
        if is_start {
            self.level();
        }
        self.hear_stored(&loaded.reports);
        if self.loads.again {
            self.load();
        }
    }

    /// Whether nobody just made or changed it: its project came out of the archive, with all its probes.
    fn is_back(&self, probe: &Probe) -> bool {
        let saved_for = self.parts.asker.clock.now().since(probe.updated_at);
        !self.subjects.contains_key(&probe.id) && saved_for > JUST_SAVED
    }

    fn adopt(&mut self, probe: Probe, state: &State, haste: Haste) {
        let (id, version) = (probe.id, probe.version);
        let opened = self.parts.probes.open(&probe).map_err(|error| error.to_string());
        let networks = &self.parts.settings.private_targets;
        let subject = opened.and_then(|secrets| Subject::new(probe, secrets, state, networks));
        let mut subject = match subject {
            Ok(subject) => subject,
            // Only what a later program wrote, or was sealed with another key.
            Err(reason) => {
                return self.give_up((id, version), format!("it is not asked: {reason}. Save it anew"));
            }
        };
        self.loads.told.remove(&id);
        if let Some(earlier) = self.subjects.remove(&id) {
            subject.follow(earlier);
            // A reading that waits was taken by the earlier definition; one that is under way is let go of when it ends.
            if self.withdraw(id) {
                subject.is_busy = false;
            }
        }
        self.subjects.insert(id, subject);
        self.plan_first(id, haste);
    }

    /// The first run, or the next after a change.
    pub(super) fn plan_first(&mut self, id: ProbeId, haste: Haste) {
        let now = self.now();
        let Some(subject) = self.subjects.get(&id) else { return };
        let policy = subject.definition().policy;
        if let Some(paused) = &subject.probe.paused {
            let until = paused.until;
            self.parts.board.put(subject.live(None, None));
            self.wheel.remove(id);
            self.wait_for_end(id, until);
            return self.release_all(id);
        }
        let wait = match (subject.kind(), haste) {
            (Kind::Push, _) => policy.interval + policy.timeout,
            (_, Haste::Spread) => place(id, policy.interval.min(CATCH_UP)),
            (_, Haste::Now) => Duration::ZERO,
        };
        self.wheel.set(id, now + wait);
        let next_at = self.parts.asker.clock.now() + wait;
        self.parts.board.put(subject.live(None, Some(next_at)));
    }

    /// Nothing is known of what cannot be asked, and that is told once, where people look.
    fn give_up(&mut self, (id, version): (ProbeId, i64), reason: String) {
        self.forget(id);
        if self.loads.told.insert(id, version) == Some(version) {
            return;
        }
        tracing::error!(probe = id.0, reason, "a probe cannot be asked");
        let (store, now) = (self.parts.store.clone(), self.parts.asker.clock.now());
        self.flying.push(Box::pin(async move {
            let write = store.write("probes.unreadable", move |tx| record::give_up(tx, id, now, &reason));
            if let Err(error) = write.await {
                tracing::warn!(%error, "that a probe cannot be asked could not be written");
            }
            Event::Idle
        }));
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

    /// Of a pause.
    pub(super) fn wait_for_end(&mut self, id: ProbeId, until: Option<Timestamp>) {
        let Some(until) = until else { return };
        let left = until.since(self.parts.asker.clock.now());
        if left.is_zero() {
            self.resume(id);
        } else {
            self.wheel.set(id, self.now() + left.min(PAUSE_LOOK));
        }
    }

    /// The time of a pause is over.
    fn resume(&mut self, id: ProbeId) {
        let (store, probes) = (self.parts.store.clone(), self.parts.probes.clone());
        let by = By::tocsin(self.parts.asker.clock.now());
        self.flying.push(Box::pin(async move {
            let write = store.write("probes.resume", move |tx| probes.resume(tx, &by, id));
            Event::Resumed(id, write.await)
        }));
    }

    pub(super) fn resumed(&mut self, id: ProbeId, result: Result<(), Error>) {
        let Err(error) = result else { return };
        let is_paused = |subject: &Subject| subject.probe.paused.is_some();
        if self.subjects.get(&id).is_some_and(is_paused) {
            tracing::warn!(%error, "a probe whose pause is over could not be resumed; it is tried again");
            self.wheel.hurry(id, self.now() + AGAIN);
        }
    }

    /// Somebody said how it is.
    pub(super) fn reported(&mut self, stored: &Stored) {
        let Some(subject) = self.subjects.get_mut(&stored.id) else {
            // It was not taken up yet.
            self.loads.unheard.insert(stored.id);
            return;
        };
        if subject.read_at.take_if(|read| *read == stored.at).is_some() {
            return;
        }
        subject.heard_at = Some(stored.at);
        // An earlier one that is still in doubt says less than this.
        self.withdraw(stored.id);
        let Some(subject) = self.subjects.get_mut(&stored.id) else { return };
        if subject.question.is_some() || subject.probe.paused.is_some() {
            return;
        }
        subject.reports = Reports::Begun;
        let (now, began) = (self.parts.asker.clock.now(), self.parts.asker.clock.monotonic());
        let seen = stored.report.seen(stored.at, now);
        let run = Run::of(&subject.checked, stored.at, began, seen);
        subject.is_busy = true;
        self.judge(stored.id, run);
    }

    /// Nobody said how it is, in time.
    pub(super) fn missed(&mut self, id: ProbeId, at: Timestamp, began: Duration) {
        let Some(subject) = self.subjects.get_mut(&id) else { return };
        if subject.reports == Reports::Awaited {
            // Whoever is to report may not have its address yet.
            return self.parts.board.put(subject.live(None, None));
        }
        subject.reports = Reports::Missed;
        subject.is_busy = true;
        let policy = subject.definition().policy;
        let waited = crate::base::span::format(policy.interval + policy.timeout);
        let run = Run {
            at,
            began,
            reading: Reading::Bad,
            reason: format!("no report for {waited}"),
            // Who reports over the network cannot reach tocsin either while its uplink is gone.
            may_be_ours: true,
            phases: Phases::default(),
            facts: Vec::new(),
            sample: Sample::default(),
            outcomes: Vec::new(),
        };
        self.judge(id, run);
    }

    /// Tocsin sees again: everything is asked within a minute, not at once, and whoever reports has its time anew.
    pub(super) fn look_again(&mut self) {
        let (now, at) = (self.now(), self.parts.asker.clock.now());
        for subject in self.subjects.values().filter(|subject| !subject.is_busy) {
            let (id, policy) = (subject.probe.id, subject.definition().policy);
            if let Some(paused) = &subject.probe.paused {
                paused.until.into_iter().for_each(|until| self.wheel.set(id, now + until.since(at)));
            } else if subject.question.is_none() {
                self.wheel.set(id, now + policy.interval + policy.timeout);
            } else {
                self.wheel.spread(id, now, policy.interval.min(CATCH_UP));
            }
        }
    }
}

impl Loaded {
    fn read(tx: &ReadTx<'_>, wanted: &Wanted) -> Result<Self, store::Error> {
        let versions = queries::versions(tx)?;
        let is_new = |(id, version): &(&ProbeId, &Version)| wanted.known.get(id) != Some(version);
        // In the order in which they lie on disk.
        let new: BTreeSet<ProbeId> = versions.iter().filter(is_new).map(|(id, _)| *id).collect();
        let canaries = wanted.canaries.as_ref();
        let has_known_canaries = canaries.map(|canaries| vigil::ever_answered(tx, canaries)).transpose()?;
        let mut loaded = Self {
            versions,
            changed: Vec::new(),
            unreadable: Vec::new(),
            reports: Vec::new(),
            has_known_canaries: has_known_canaries.unwrap_or(false),
        };
        let mut reported_to = wanted.unheard.clone();
        for id in new {
            match read_one(tx, id) {
                Ok(found) => {
                    reported_to.extend(found.iter().filter(|(probe, _)| is_pushed(probe)).map(|_| id));
                    loaded.changed.extend(found);
                }
                Err(error) if error.is_of_one_row() => loaded.unreadable.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        for id in reported_to {
            loaded.reports.extend(pushed::unjudged(tx, id, wanted.reports_from)?);
        }
        Ok(loaded)
    }
}

fn is_pushed(probe: &Probe) -> bool {
    probe.definition.kind() == Kind::Push
}

fn read_one(tx: &ReadTx<'_>, id: ProbeId) -> Result<Option<(Probe, State)>, store::Error> {
    let probe = queries::find_by_id(tx, &Visible::All, id)?;
    let state = queries::state(tx, id)?;
    Ok(probe.zip(state))
}
