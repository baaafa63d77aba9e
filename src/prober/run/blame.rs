//! Whose fault a bad reading is: the target's, tocsin's own, or that of what the target depends on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::keeper::SpellChange;
use super::sight::Gap;
use super::uplink::{self, Known};
use super::{Blame, Event, Held, Loop, Run, Settled, TOLD_FROM};
use crate::base::Timestamp;
use crate::probes::judge::Reading;
use crate::probes::{Kind, ProbeId};
use crate::vigil::{self, Blindness, Spell};

impl Loop {
    /// Notices a time in which tocsin did not run. What was under way proves nothing, what waits for others was asked
    /// before it and is asked anew, and what became due meanwhile is not asked all at once.
    pub(super) fn look(&mut self, instant: Instant) {
        let gap = self.parts.settings.sight.turn(instant);
        let Some(gap) = gap.filter(|gap| self.gap.is_none_or(|known| known != *gap)) else { return };
        self.gap = Some(gap);
        self.uplink.forget();
        let held = std::mem::take(&mut self.held).into_iter().map(|(id, held)| (id, held.run));
        let waiting: Vec<(ProbeId, Run)> = held.chain(std::mem::take(&mut self.doubted)).collect();
        for (id, mut run) in waiting {
            blind(&mut run, gap.reason);
            self.settle_next(id, run, Blame::Counts);
        }
        self.look_again();
    }

    /// First of all: was it tocsin that could not see?
    pub(super) fn judge(&mut self, id: ProbeId, mut run: Run) {
        let Some(subject) = self.subjects.get(&id) else { return };
        let is_remote = subject.kind().needs_uplink();
        if let Some(gap) = self.gap_of(run.began) {
            blind(&mut run, gap.reason);
            return self.settle_next(id, run, Blame::Counts);
        }
        if run.reading != Reading::Bad {
            if is_remote {
                self.uplink.answered_by(run.sample.address);
            }
            return self.settle_next(id, run, Blame::Counts);
        }
        if !(is_remote && run.may_be_ours) || self.parts.settings.canaries.is_empty() {
            return self.ask_parents(id, run);
        }
        if run.began < self.sees_since {
            return self.is_ours(id, run);
        }
        let now = self.now();
        match self.uplink.known(now) {
            Known::Gone => self.is_ours(id, run),
            Known::Soon => self.doubted.push((id, run)),
            Known::Ask => {
                self.doubted.push((id, run));
                self.ask_canaries();
            }
        }
    }

    /// The gap in which something was under way that began at `began`.
    fn gap_of(&self, began: Duration) -> Option<Gap> {
        self.gap.filter(|gap| began < gap.ended)
    }

    fn ask_canaries(&mut self) {
        let (canaries, began) = (Arc::clone(&self.parts.settings.canaries), self.now());
        self.flying.push(Box::pin(async move { Event::Canaries(began, uplink::ask(&canaries).await) }));
    }

    /// As soon as they may be asked again.
    pub(super) fn doubt_again(&mut self) {
        let now = self.now();
        if self.uplink.known(now) == Known::Ask {
            self.ask_canaries();
        }
    }

    /// While it is blind: nobody else may ask for hours, so the canaries are asked again; and people are told once it
    /// lasts, because nothing else will tell them anything.
    pub(super) fn look_out(&mut self) {
        if !self.doubted.is_empty() {
            // They failed just after the canaries were asked.
            self.doubt_again();
        }
        if !self.is_blind {
            return;
        }
        if self.uplink.is_due(self.now()) {
            self.doubt_again();
        }
        let at = self.parts.asker.clock.now();
        if let Some(began_at) = self.untold.take_if(|began| at.since(*began) >= TOLD_FROM) {
            let detail = self.parts.settings.canaries.join(", ");
            let spell = Spell { reason: Blindness::Uplink, began_at, ended_at: None, detail };
            self.keeper.spell(SpellChange::Lasts(spell));
        }
    }

    /// Once, before anything failed: canaries that answer now are believed later.
    pub(super) fn greet_canaries(&mut self) {
        let has_remote = || self.subjects.values().any(|subject| subject.kind().needs_uplink());
        if self.uplink.is_new() && !self.parts.settings.canaries.is_empty() && has_remote() {
            self.doubt_again();
        }
    }

    /// Takes in whether any canary answered: what was doubted is the target's fault, or tocsin's own.
    pub(super) fn heard_canaries(&mut self, began: Duration, answered: bool) {
        if !answered && self.gap_of(began).is_some() {
            return self.ask_canaries();
        }
        let now = self.now();
        let works = self.uplink.learn(now, answered);
        let at = self.parts.asker.clock.now();
        if self.uplink.is_to_note() {
            self.note_canaries(at);
        }
        if works == self.is_blind {
            self.is_blind = !works;
            if works {
                self.sees_since = now;
                self.untold = None;
                self.keeper.spell(SpellChange::Ends(Blindness::Uplink, at));
                tracing::info!("the network is back: probes are judged again");
                self.look_again();
            } else {
                let began = self.doubted.iter().map(|(_, run)| run.at).min().unwrap_or(at);
                let detail = "none of the canaries answered".to_owned();
                self.untold = Some(began);
                self.keeper.spell(SpellChange::Begins(Blindness::Uplink, began, detail));
                tracing::warn!(
                    "none of the canaries answers: this machine's network is gone, and probes are not judged"
                );
            }
        }
        for (id, run) in std::mem::take(&mut self.doubted) {
            if works && run.began >= self.sees_since {
                self.ask_parents(id, run);
            } else {
                self.is_ours(id, run);
            }
        }
    }

    /// After a restart they are believed although they do not answer.
    fn note_canaries(&mut self, at: Timestamp) {
        let (store, canaries) = (self.parts.store.clone(), Arc::clone(&self.parts.settings.canaries));
        self.flying.push(Box::pin(async move {
            let write = store.write("vigil.canaries", move |tx| vigil::note_answer(tx, at, &canaries));
            Event::Noted(write.await)
        }));
    }

    fn is_ours(&mut self, id: ProbeId, mut run: Run) {
        blind(&mut run, Blindness::Uplink);
        self.settle_next(id, run, Blame::Counts);
    }

    /// Then: is what it depends on there? Parents that were not asked since are asked at once.
    fn ask_parents(&mut self, id: ProbeId, run: Run) {
        let Some(subject) = self.subjects.get(&id) else { return };
        let mut asked = BTreeSet::new();
        for parent in subject.probe.parents.clone() {
            let Some(known) = self.subjects.get(&parent).filter(|known| known.probe.paused.is_none()) else {
                continue;
            };
            let is_fresh = known.last.is_some_and(|(began, _)| began >= run.began);
            let was_bad = known.last.is_some_and(|(_, was_bad)| was_bad);
            if known.is_down() || (is_fresh && was_bad) {
                return self.settle_next(id, run, Blame::Unreachable);
            }
            if !is_fresh && known.kind() != Kind::Push {
                asked.insert(parent);
            }
        }
        if asked.is_empty() {
            return self.settle_next(id, run, Blame::Counts);
        }
        let now = self.now();
        for parent in &asked {
            if self.subjects.get(parent).is_some_and(|parent| !parent.is_busy) {
                self.wheel.set(*parent, now);
            }
        }
        self.held.insert(id, Held { run, parents: asked });
    }

    /// Those whose readings wait for how `id` is hear it; those that could not be reached because of it are asked.
    pub(super) fn tell_children(&mut self, id: ProbeId, run: &Run, was_down: bool) {
        let Some(parent) = self.subjects.get(&id) else { return };
        let (is_down, is_bad) = (parent.is_down(), run.reading == Reading::Bad);
        let waiting: Vec<ProbeId> = self
            .held
            .iter()
            .filter(|(_, held)| held.parents.contains(&id))
            .map(|(child, _)| *child)
            .collect();
        for child in waiting {
            if is_down || is_bad {
                self.release(child, Blame::Unreachable);
            } else {
                self.heard(child, id);
            }
        }
        if was_down && !is_down || self.is_relief(id, run) {
            self.ask_children(id);
        }
    }

    /// A good answer of what was bad, before it is believed.
    fn is_relief(&self, id: ProbeId, run: &Run) -> bool {
        let has_unreachable = || self.children(id).any(|child| child.is_unreachable);
        matches!(run.reading, Reading::Good | Reading::Slow)
            && self.subjects.get(&id).is_some_and(|parent| !parent.is_down())
            && has_unreachable()
    }

    fn children(&self, id: ProbeId) -> impl Iterator<Item = &super::Subject> {
        let children = self.children.get(&id).into_iter().flatten();
        children.filter_map(|child| self.subjects.get(child))
    }

    fn ask_children(&mut self, id: ProbeId) {
        let now = self.now();
        let waiting: Vec<ProbeId> = self
            .children(id)
            .filter(|child| child.is_unreachable && !child.is_busy)
            .map(|child| child.probe.id)
            .collect();
        for child in waiting {
            self.wheel.hurry(child, now);
        }
    }

    /// Nobody will say how `id` is: nobody waits for it.
    pub(super) fn release_all(&mut self, id: ProbeId) {
        let waiting: Vec<ProbeId> = self.held.keys().copied().collect();
        for child in waiting {
            self.heard(child, id);
        }
    }

    /// One parent less to wait for.
    fn heard(&mut self, child: ProbeId, parent: ProbeId) {
        let Some(held) = self.held.get_mut(&child) else { return };
        held.parents.remove(&parent);
        if held.parents.is_empty() {
            self.release(child, Blame::Counts);
        }
    }

    fn release(&mut self, child: ProbeId, blame: Blame) {
        if let Some(held) = self.held.remove(&child) {
            self.settle_next(child, held.run, blame);
        }
    }

    /// Lets go of a reading that waits for others. Answers whether there was one.
    pub(super) fn withdraw(&mut self, id: ProbeId) -> bool {
        let waiting = self.doubted.len() + self.todo.len();
        self.doubted.retain(|(doubted, _)| *doubted != id);
        self.todo.retain(|settled| settled.id != id);
        self.held.remove(&id).is_some() || self.doubted.len() + self.todo.len() < waiting
    }

    fn settle_next(&mut self, id: ProbeId, run: Run, blame: Blame) {
        self.todo.push_back(Settled { id, run, blame });
    }
}

fn blind(run: &mut Run, reason: Blindness) {
    run.reading = Reading::Blind;
    run.reason = format!("tocsin could not see: {}", reason.says());
}
