//! The intake lane: all events that wait are recorded in one commit, counters aggregated per issue.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::births;
use super::deliveries;
use super::dictionaries::{self, Dictionaries, LEARN_AT};
use super::evaluate::{self, Seen};
use super::ids::{self, Entry, Place, RecentIds};
use super::incoming::Incoming;
use super::rows::{self, IssueRow, Recurrence, Stats, Status};
use super::sample::{SampleDecision, SampleState};
use super::users::{KnownUsers, Users};
use super::{Dictionary, Payload};
use crate::accounts::names::{self, NameKind};
use crate::base::{Entropy, EventId, ProjectId, Uid};
use crate::incidents::Incidents;
use crate::ledger::{self, Category, Outcome, Reason};
use crate::store::{Error, ReadTx, Record, Topic, WriteTx};

/// Issues or their counts changed.
pub const ISSUES: Topic = Topic("issues");

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Stored(Uid),
    /// Counted in its issue; the payload was not kept.
    Sampled(Uid),
    /// An event with this id was counted before.
    Duplicate,
}

/// Records events. Lives on the writer thread.
pub struct EventRecord {
    pub incidents: Arc<Incidents>,
    pub entropy: Entropy,
    pub recent: RecentIds,
    pub dictionaries: Dictionaries,
    pub keeping: Keeping,
    users: KnownUsers,
    seen: Seen,
}

/// What the lane remembers once a batch is on disk.
#[derive(Clone, Default)]
pub struct Staged {
    entries: Vec<Entry>,
    users: HashMap<i64, Users>,
    dictionaries: HashMap<(ProjectId, [u8; 16]), Arc<Dictionary>>,
    seen: Seen,
}

/// What decides whether an issue's dictionary is made or loaded now.
struct Learns<'a> {
    stored: i64,
    staged: &'a mut Staged,
}

impl Staged {
    /// Whether this batch brought the dictionary of the event's issue, or enough others.
    fn has(&self, event: &Incoming) -> bool {
        self.dictionaries.len() >= DICTIONARIES_PER_BATCH
            || self.dictionaries.contains_key(&(event.project, event.grouping.key))
    }
}

/// Making one takes about 50 µs of the writer's time.
const DICTIONARIES_PER_BATCH: usize = 4;

/// The events of one batch that belong to one issue, in order of arrival.
struct Group<'a> {
    events: Vec<&'a Incoming>,
    /// Their places in the batch.
    slots: Vec<usize>,
}

/// What an issue is to the events that it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinship {
    Own,
    /// Its project has too many new issues: it is counted in the one for all such.
    Other,
}

/// What a group did to its issue, for the rules.
pub(super) struct Change<'a> {
    pub(super) issue: IssueRow,
    pub(super) stats: Stats,
    pub(super) events: Vec<&'a Incoming>,
    pub(super) kinship: Kinship,
}

impl Change<'_> {
    /// Nobody was told of the issue yet. That for all that found no room is told as a flood.
    pub(super) fn is_new(&self) -> bool {
        self.kinship == Kinship::Own && !self.issue.was_told
    }

    pub(super) fn count(&self) -> i64 {
        i64::try_from(self.events.len()).unwrap_or(i64::MAX)
    }
}

/// What is kept, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Payloads kept per issue and UTC day whatever happens.
    pub sample_floor: u32,
    /// Issues that a project may get in an hour; what is new beyond is counted in one.
    pub new_per_hour: u32,
}

impl EventRecord {
    pub fn load(
        tx: &ReadTx<'_>,
        incidents: Arc<Incidents>,
        entropy: Entropy,
        keeping: Keeping,
    ) -> Result<Self, Error> {
        let recent = RecentIds::load(tx)?;
        Ok(Self {
            incidents,
            entropy,
            recent,
            dictionaries: Dictionaries::default(),
            keeping,
            users: KnownUsers::default(),
            seen: Seen::default(),
        })
    }

    fn record_group<'a>(
        &self,
        tx: &WriteTx<'_>,
        group: &Group<'a>,
        names: &mut Names,
        staged: &mut Staged,
    ) -> Result<(Change<'a>, Vec<Recorded>), Error> {
        let Some(first) = group.events.first() else { return Err(Error::Panicked) };
        let (issue, kinship) = self.issue_of(tx, first, names)?;
        let mut stats = Stats::load(tx, issue.id)?;
        let mut recorded = Vec::with_capacity(group.events.len());
        let mut environments = HashSet::new();
        for event in &group.events {
            let (environment, release) = (names.environment(tx, event)?, names.release(tx, event)?);
            environments.extend(environment);
            let kept = self.count(&mut stats, event, release);
            let place = if kept {
                // What has nothing in common needs no dictionary.
                let stored = if kinship == Kinship::Other { 0 } else { stats.stored };
                let mut learns = Learns { stored, staged };
                Place::Stored(self.store(tx, &issue, event, (environment, release), &mut learns)?)
            } else {
                Place::Sampled
            };
            staged.entries.push(Entry { project: event.project, event: event.event, place });
            recorded.push(if kept { Recorded::Stored(issue.uid) } else { Recorded::Sampled(issue.uid) });
        }
        for environment in environments {
            rows::seen_in(tx, first.project, issue.id, environment)?;
        }
        self.users.count(tx, issue.id, &mut stats, &group.events, &mut staged.users)?;
        stats.save(tx, first.project, issue.id)?;
        let is_back = group.events.iter().any(|event| issue.recurrence(event) == Recurrence::Back);
        if issue.status == Status::Resolved && is_back {
            rows::regress(tx, &issue, first.received_at)?;
        }
        let change = Change { issue, stats, events: group.events.clone(), kinship };
        deliveries::note(tx, change.issue.id, &group.events)?;
        rows::add_to_hour(tx, first.project, change.issue.id, first.received_at, change.count())?;
        Ok((change, recorded))
    }

    /// The issue that an event belongs to, made where it is new.
    fn issue_of(
        &self,
        tx: &WriteTx<'_>,
        event: &Incoming,
        names: &mut Names,
    ) -> Result<(IssueRow, Kinship), Error> {
        if let Some(issue) = rows::find_by_key(tx, event.project, &event.grouping.key)? {
            return Ok((issue, Kinship::Own));
        }
        let new_per_hour = self.keeping.new_per_hour;
        let uid = || self.entropy.uid(event.received_at);
        if births::admit(tx, event.project, event.received_at, new_per_hour)? {
            let release = names.release(tx, event)?;
            return Ok((rows::create(tx, uid(), event, release)?, Kinship::Own));
        }
        let others = births::others_key(event.received_at);
        let issue = match rows::find_by_key(tx, event.project, &others)? {
            Some(issue) => issue,
            None => rows::create(tx, uid(), &births::others(event, new_per_hour), None)?,
        };
        Ok((issue, Kinship::Other))
    }

    /// Stores a payload; the issue's dictionary is made from one of the first.
    fn store(
        &self,
        tx: &WriteTx<'_>,
        issue: &IssueRow,
        event: &Incoming,
        names: (Option<i64>, Option<i64>),
        learns: &mut Learns<'_>,
    ) -> Result<i64, Error> {
        let key = event.grouping.key;
        let payload = match &event.payload.dictionary {
            Some(dictionary) if !dictionaries::is_in_use(tx, dictionary.id)? => {
                self.dictionaries.forget(event.project, key);
                Cow::Owned(Payload::compress(&event.payload.json()?, None)?)
            }
            Some(_) | None => Cow::Borrowed(&event.payload),
        };
        if event.payload.dictionary.is_none() && learns.stored >= LEARN_AT && !learns.staged.has(event) {
            let dictionary = if let Some(known) = dictionaries::load(tx, issue.id)? {
                known
            } else {
                let json = event.payload.json()?;
                let content = Dictionary::content_of(&json);
                dictionaries::insert(tx, event.project, issue.id, event.received_at, content)?
            };
            learns.staged.dictionaries.insert((event.project, key), Arc::new(dictionary));
        }
        rows::insert_event(tx, issue.id, event, &payload, names)
    }

    /// Counts one event and decides whether its payload is kept.
    fn count(&self, stats: &mut Stats, event: &Incoming, release: Option<i64>) -> bool {
        stats.enter_day(event.received_at);
        let state = SampleState {
            stored_today: u32::try_from(stats.stored_today).unwrap_or(u32::MAX),
            first_of_release: release > stats.top_release,
        };
        let kept = match super::sample::keep(&state, self.keeping.sample_floor, draw(event.event)) {
            SampleDecision::Store(_) => true,
            SampleDecision::Sample(_) => false,
        };
        stats.count += 1;
        stats.stored += i64::from(kept);
        stats.stored_today += i64::from(kept);
        stats.sampled += i64::from(!kept);
        stats.last_seen = stats.last_seen.max(event.timestamp);
        stats.last_release = release.or(stats.last_release);
        stats.top_release = release.max(stats.top_release);
        kept
    }
}

impl Record for EventRecord {
    type Item = Incoming;
    type Outcome = Recorded;
    type Staged = Staged;

    fn bytes(event: &Incoming) -> usize {
        event.bytes()
    }

    fn record(
        &self,
        tx: &WriteTx<'_>,
        items: &[Incoming],
        staged: &mut Staged,
    ) -> Result<Vec<Recorded>, Error> {
        let Some(now) = items.iter().map(|event| event.received_at).max() else { return Ok(Vec::new()) };
        let mut outcomes = vec![Recorded::Duplicate; items.len()];
        let already = staged.entries.len();
        let mut names = Names::default();
        let mut changes = Vec::new();
        for group in self.fresh_groups(tx, items, staged)? {
            let (change, recorded) = self.record_group(tx, &group, &mut names, staged)?;
            for (slot, outcome) in group.slots.iter().zip(recorded) {
                outcomes[*slot] = outcome;
            }
            changes.push(change);
        }
        ids::append(tx, now, &staged.entries[already..])?;
        let mut lines = not_kept(items, &outcomes);
        lines.extend(brought(items, &outcomes));
        ledger::add(tx, now, &lines)?;
        evaluate::raise(tx, &self.incidents, now, &changes, &self.seen, &mut staged.seen)?;
        tx.touch(ISSUES);
        Ok(outcomes)
    }

    fn apply(&mut self, staged: Staged) {
        self.recent.remember(&staged.entries);
        self.users.remember(staged.users);
        for ((project, key), dictionary) in staged.dictionaries {
            self.dictionaries.remember(project, key, dictionary);
        }
        self.seen.apply(staged.seen);
    }
}

impl EventRecord {
    /// Leaves duplicates out and sorts the rest by issue, first seen first.
    fn fresh_groups<'a>(
        &self,
        tx: &ReadTx<'_>,
        items: &'a [Incoming],
        staged: &Staged,
    ) -> Result<Vec<Group<'a>>, Error> {
        let mut ids: HashSet<(ProjectId, EventId)> =
            staged.entries.iter().map(|entry| (entry.project, entry.event)).collect();
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut by_key = HashMap::new();
        for (slot, event) in items.iter().enumerate() {
            let fresh = ids.insert((event.project, event.event));
            if !fresh || ids::find(tx, &self.recent, event.project, event.event)?.is_some() {
                continue;
            }
            let index = *by_key.entry((event.project, event.grouping.key)).or_insert_with(|| {
                groups.push(Group { events: Vec::new(), slots: Vec::new() });
                groups.len() - 1
            });
            groups[index].events.push(event);
            groups[index].slots.push(slot);
        }
        Ok(groups)
    }
}

/// Environments and releases of one batch, looked up once each.
#[derive(Default)]
struct Names {
    known: HashMap<(ProjectId, NameKind, String), Option<i64>>,
}

impl Names {
    fn environment(&mut self, tx: &WriteTx<'_>, event: &Incoming) -> Result<Option<i64>, Error> {
        self.id(tx, event, NameKind::Environment, &event.environment)
    }

    fn release(&mut self, tx: &WriteTx<'_>, event: &Incoming) -> Result<Option<i64>, Error> {
        match &event.release {
            Some(name) => self.id(tx, event, NameKind::Release, name),
            None => Ok(None),
        }
    }

    fn id(
        &mut self,
        tx: &WriteTx<'_>,
        event: &Incoming,
        kind: NameKind,
        name: &str,
    ) -> Result<Option<i64>, Error> {
        let key = (event.project, kind, name.to_owned());
        if let Some(id) = self.known.get(&key) {
            return Ok(*id);
        }
        let id = names::intern(tx, event.project, kind, name, event.received_at)?.map(|id| id.0);
        self.known.insert(key, id);
        Ok(id)
    }
}

/// The ledger's lines that came with the events. Those of a duplicate were counted with the first.
fn brought<'a>(items: &'a [Incoming], outcomes: &'a [Recorded]) -> impl Iterator<Item = Outcome> + 'a {
    let first = items.iter().zip(outcomes).filter(|(_, outcome)| **outcome != Recorded::Duplicate);
    first.flat_map(|(event, _)| event.beside.iter().copied())
}

/// The ledger's lines of a batch: what was sampled and what came twice.
fn not_kept(items: &[Incoming], outcomes: &[Recorded]) -> Vec<Outcome> {
    let mut counts: HashMap<(ProjectId, Reason), u64> = HashMap::new();
    for (event, outcome) in items.iter().zip(outcomes) {
        let reason = match outcome {
            Recorded::Stored(_) => continue,
            Recorded::Sampled(_) => Reason::Sampled,
            Recorded::Duplicate => Reason::Duplicate,
        };
        *counts.entry((event.project, reason)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((project, reason), quantity)| Outcome {
            project: Some(project),
            reason,
            category: Category::Error,
            quantity,
        })
        .collect()
}

/// The same draw for the same event, so that a retry after a crash decides alike. Ids are not always random: a
/// finaliser (that of `SplitMix64`) spreads them.
fn draw(event: EventId) -> u64 {
    let word = u128::from_be_bytes(event.0);
    let folded = u64::try_from((word >> 64) ^ (word & u128::from(u64::MAX))).unwrap_or(0);
    let counted = folded
        .wrapping_add(u64::try_from(word & u128::from(u64::MAX)).unwrap_or(0))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (counted ^ (counted >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
