//! The loop that delivers. One future drives everything: what is due, what is under way, and what is to be written.
//!
//! In reading order: `room` is one destination and how much may begin there, `share` divides what all have together;
//! `errands` are what the loop waits for: reading what is due, claiming it, sending it, and having it written.

mod errands;
mod room;
mod share;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::send::{Came, Place, Sender};
use crate::base::{Entropy, Timestamp, Uid};
use crate::store::{Lane, Store};
use crate::webhooks::claim::{Space, Want};
use crate::webhooks::delivery::{Cause, Claimed};
use crate::webhooks::outcome::{Attempt, End, Outcome, OutcomeRecord, Tried};
use crate::webhooks::verdict::{self, Progress, breaker_outcome};
use crate::webhooks::{DestinationId, WEBHOOK_DELIVERIES, WEBHOOKS, Webhooks};
use errands::{Event, Known, Ready, Sent};
use room::{Learnt, May, Room};

/// How the loop delivers.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Calls under way at once, of all destinations together.
    pub concurrency: u32,
}

/// What the loop works with.
pub struct Parts {
    pub store: Store,
    pub outcomes: Lane<OutcomeRecord>,
    pub webhooks: Webhooks,
    pub sender: Sender,
    pub entropy: Entropy,
    /// This process's start: what another one claimed is free again.
    pub boot: Uid,
    pub settings: Settings,
}

/// The loop; [`Loop::run`] drives it.
pub struct Loop {
    parts: Parts,
    rooms: BTreeMap<DestinationId, Room>,
    flying: FuturesUnordered<Pin<Box<dyn Future<Output = Event> + Send>>>,
    loading: Errand,
    looking: Errand,
    is_claiming: bool,
    /// The last claim found no room for the next body: nothing is claimed until something ends.
    is_crammed: bool,
    phase: Phase,
    under_way: u32,
    /// Of the bodies that are under way.
    bytes: usize,
    /// Outcomes that are not on disk yet.
    unwritten: u32,
    /// Who had the last turn.
    last: DestinationId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What a process before this one had under way is made due again; nothing is claimed before.
    Recovering,
    Delivering,
    /// Nothing begins any more.
    Stopping,
}

/// Something that is read anew when it may have changed, one at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Errand {
    is_needed: bool,
    is_under_way: bool,
}

/// Bodies under way together, as they came; one goes in any case.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Outcomes that wait for the disk; while there are more nothing is claimed.
const UNWRITTEN_MAX: u32 = 1024;
/// How often the loop looks for what is due though nobody woke it.
const TICK: Duration = Duration::from_secs(2);
/// At the stop: what is under way has this long; the rest is made due again at the next start.
const STOP_TIME: Duration = Duration::from_secs(10);

impl Errand {
    const fn may_begin(self) -> bool {
        self.is_needed && !self.is_under_way
    }
}

impl Loop {
    pub fn new(parts: Parts) -> Self {
        let needed = Errand { is_needed: true, is_under_way: false };
        Self {
            parts,
            rooms: BTreeMap::new(),
            flying: FuturesUnordered::new(),
            loading: needed,
            looking: needed,
            is_claiming: false,
            is_crammed: false,
            phase: Phase::Recovering,
            under_way: 0,
            bytes: 0,
            unwritten: 0,
            last: DestinationId(0),
        }
    }

    /// Delivers until `stop`; then waits a while for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut definitions, mut deliveries) = self.topics();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.recover();
        loop {
            self.turn();
            let (clock, wants_at) = (self.parts.sender.clock.clone(), self.wants_at());
            let due = async {
                match wants_at {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = self.flying.next() => self.take(event),
                _ = tick.tick() => self.looking.is_needed = true,
                Ok(()) = definitions.changed() => self.loading.is_needed = true,
                Ok(()) = deliveries.changed() => self.looking.is_needed = true,
                () = due => {}
            }
        }
        self.finish().await;
    }

    fn topics(&self) -> (watch::Receiver<u64>, watch::Receiver<u64>) {
        (self.parts.store.changes(WEBHOOKS), self.parts.store.changes(WEBHOOK_DELIVERIES))
    }

    fn now(&self) -> Timestamp {
        self.parts.sender.clock.now()
    }

    /// Begins what can begin.
    fn turn(&mut self) {
        if self.phase != Phase::Delivering {
            return;
        }
        if self.loading.may_begin() {
            self.load();
        }
        if self.looking.may_begin() {
            self.look();
        }
        let wants = self.wants();
        if !wants.is_empty() {
            self.claim(wants);
        }
    }

    /// What is to be claimed now: where something is due, as much as may begin there and together.
    fn wants(&mut self) -> Vec<Want> {
        if self.is_claiming || self.is_crammed || self.unwritten >= UNWRITTEN_MAX {
            return Vec::new();
        }
        let now = self.now();
        let free = self.parts.settings.concurrency.saturating_sub(self.under_way);
        if free == 0 {
            return Vec::new();
        }
        let mut wants = Vec::new();
        for (id, room) in &mut self.rooms {
            if room.due.is_some_and(|due| due <= now)
                && let May::Begin(most) = room.may(now)
            {
                wants.push(Want { destination: *id, most });
            }
        }
        let shared = share::share(&share::in_turn(wants, self.last), free);
        self.last = shared.last().map_or(self.last, |want| want.destination);
        shared
    }

    /// When something begins by time alone.
    fn wants_at(&mut self) -> Option<Timestamp> {
        let is_full = self.under_way >= self.parts.settings.concurrency;
        if self.is_claiming || self.is_crammed || is_full || self.unwritten >= UNWRITTEN_MAX {
            return None;
        }
        let now = self.now();
        self.rooms.values_mut().filter_map(|room| room.wants_at(now)).min()
    }

    const fn space(&self) -> Space {
        Space { bytes: BYTES_MAX.saturating_sub(self.bytes), is_empty: self.under_way == 0 }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Recovered => self.phase = Phase::Delivering,
            Event::Loaded(known) => {
                self.loading.is_under_way = false;
                match known {
                    Some(known) => self.known(known),
                    None => self.loading.is_needed = true,
                }
            }
            Event::Looked(due) => {
                self.looking.is_under_way = false;
                match due {
                    Some(due) => self.looked(&due),
                    None => self.looking.is_needed = true,
                }
            }
            Event::Claimed(ready) => {
                self.is_claiming = false;
                self.claimed(ready);
            }
            Event::Sent(sent) => self.sent(*sent),
            Event::Wrote => self.unwritten = self.unwritten.saturating_sub(1),
        }
    }

    /// Destinations as they are now. What is known of one that stays is kept.
    fn known(&mut self, Known { targets, mut breakers }: Known) {
        let mut rooms = BTreeMap::new();
        for target in targets {
            let id = target.subject.destination;
            let place = Arc::new(Place::new(target));
            let room = match self.rooms.remove(&id) {
                Some(mut room) => {
                    room.follow(place);
                    room
                }
                None => Room::new(place, breakers.remove(&id).unwrap_or_default()),
            };
            rooms.insert(id, room);
        }
        self.rooms = rooms;
        self.looking.is_needed = true;
    }

    fn looked(&mut self, due: &BTreeMap<DestinationId, Timestamp>) {
        self.is_crammed = false;
        for (id, room) in &mut self.rooms {
            room.due = due.get(id).copied();
        }
    }

    fn claimed(&mut self, ready: Ready) {
        for (id, due) in ready.due {
            if let Some(room) = self.rooms.get_mut(&id) {
                room.due = due;
            }
        }
        // Something is due, and nothing of it fits beside what is under way.
        self.is_crammed = ready.parcels.is_empty() && self.under_way > 0;
        let now = self.now();
        for (claimed, payload) in ready.parcels {
            let room = self.rooms.get_mut(&claimed.destination).filter(|_| self.phase == Phase::Delivering);
            let Some(room) = room else {
                self.write(Outcome { claimed, at: now, end: End::GivenBack });
                continue;
            };
            let end = match payload {
                Err(errands::NotOpened::Later) => End::GivenBack,
                Err(errands::NotOpened::Lost(lost)) => {
                    End::Lost { reason: lost.to_string(), subject: room.place.subject() }
                }
                Ok(payload) => match room.begin(now) {
                    Err(_) => End::GivenBack,
                    Ok(call) => {
                        let place = Arc::clone(&room.place);
                        self.under_way += 1;
                        self.bytes += claimed.body_bytes;
                        self.send(place, claimed, payload, call);
                        continue;
                    }
                },
            };
            self.write(Outcome { claimed, at: now, end });
        }
    }

    /// Judges what came of a call, and has it written. Its place is free from now on.
    fn sent(&mut self, sent: Sent) {
        let Sent { place, claimed, call, came } = sent;
        let now = self.now();
        self.under_way = self.under_way.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(claimed.body_bytes);
        self.is_crammed = false;
        let mut changed = None;
        if let Some(room) = self.rooms.get_mut(&claimed.destination)
            && room.end(call, breaker_outcome(came.reply), now) == Learnt::Changed
        {
            changed = Some(room.breaker.clone());
        }
        let progress = Progress {
            began_at: claimed.began_at,
            tries: claimed.tries(),
            now,
            drawn: self.parts.entropy.next_u64(),
        };
        let verdict = verdict::judge(&place.target.definition.retry, progress, came.reply);
        let tried = Tried {
            subject: place.subject(),
            attempt: attempt(&claimed, call.is_probe, came),
            verdict,
            breaker: changed,
        };
        self.write(Outcome { claimed, at: now, end: End::Tried(Box::new(tried)) });
    }

    /// Nothing begins any more; what is under way is waited for and written, as long as there is time.
    async fn finish(mut self) {
        self.phase = Phase::Stopping;
        let ending = async {
            while self.under_way > 0 || self.unwritten > 0 || self.is_claiming {
                let Some(event) = self.flying.next().await else { break };
                self.take(event);
            }
        };
        if tokio::time::timeout(STOP_TIME, ending).await.is_err() {
            tracing::warn!("webhooks under way did not end in time; they are sent again at the next start");
        }
    }
}

fn attempt(claimed: &Claimed, is_probe: bool, came: Came) -> Attempt {
    let cause = if is_probe { Cause::Probe } else { claimed.cause() };
    Attempt {
        cause,
        started_at: came.started_at,
        duration: came.duration,
        status: came.reply.status(),
        error: came.error,
        answer: came.answer,
    }
}
