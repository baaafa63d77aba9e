//! The lane of pings: all that wait are recorded in one commit, those of one heartbeat together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::follow::{Changes, follow};
use super::ping::{Action, Ping, Taken};
use super::rows::{self, COLUMNS, Heartbeat, JOINED};
use super::rules::{Heard, RunKind, Said, hear};
use super::{Definition, HeartbeatId, PINGS, Status, runs, save, signals};
use crate::incidents::Incidents;
use crate::store::{Error, ReadTx, Record, WriteTx};

/// Records pings. Lives on the writer thread.
pub struct PingRecord {
    incidents: Arc<Incidents>,
    /// Definitions by their version: reading one takes longer than all else that a ping costs.
    known: Definitions,
    changes: Changes,
}

/// Bounded by how many heartbeats there can be.
type Definitions = HashMap<HeartbeatId, (i64, Definition)>;

impl PingRecord {
    pub fn new(incidents: Arc<Incidents>) -> Self {
        Self { incidents, known: Definitions::new(), changes: Changes::default() }
    }

    /// Takes the pings of one heartbeat, in order; `false` where it is gone.
    fn record_one(
        &self,
        tx: &WriteTx<'_>,
        id: HeartbeatId,
        pings: &[&Ping],
        staged: &mut Definitions,
    ) -> Result<bool, Error> {
        let Some(mut heartbeat) = self.load(tx, id, staged)? else { return Ok(false) };
        let was_paused = heartbeat.state.status == Status::Paused;
        let mut fails_on = false;
        for ping in pings {
            let Some(heard) = take(tx, &mut heartbeat, ping)? else { continue };
            fails_on = heard.run == RunKind::Fail && heard.changed.is_none();
            self.tell(tx, &heartbeat, ping, &heard)?;
        }
        if fails_on && heartbeat.state.status == Status::Down {
            let last = pings.last().map_or(heartbeat.state.since, |ping| ping.at);
            signals::level(tx, &self.incidents, last, &heartbeat, None)?;
        }
        if was_paused && heartbeat.state.status != Status::Paused {
            save::unpause(tx, id)?;
        }
        rows::save_state(tx, id, &heartbeat.state)?;
        Ok(true)
    }

    /// Says what a ping changed.
    fn tell(&self, tx: &WriteTx<'_>, heartbeat: &Heartbeat, ping: &Ping, heard: &Heard) -> Result<(), Error> {
        if let Some(changed) = &heard.changed {
            rows::note_change(tx, heartbeat.id, changed.at, changed.status, &changed.reason)?;
            signals::level(tx, &self.incidents, ping.at, heartbeat, Some(changed.bad_since))?;
        }
        if let Some(odd) = heard.odd {
            signals::raise_odd(tx, &self.incidents, ping.at, heartbeat, odd)?;
        }
        Ok(())
    }

    fn load(
        &self,
        tx: &ReadTx<'_>,
        id: HeartbeatId,
        staged: &mut Definitions,
    ) -> Result<Option<Heartbeat>, Error> {
        let known = staged.get(&id).or_else(|| self.known.get(&id));
        let found =
            tx.first(&format!("SELECT {COLUMNS} FROM {JOINED} WHERE heartbeats.id = ?1"), [id.0], |row| {
                let version: i64 = row.get(12)?;
                match known.filter(|(known, _)| *known == version) {
                    Some((_, definition)) => rows::read_with(row, definition.clone()),
                    None => rows::read(row),
                }
            })?;
        if let Some(heartbeat) = &found
            && known.is_none_or(|(version, _)| *version != heartbeat.version)
        {
            staged.insert(id, (heartbeat.version, heartbeat.definition.clone()));
        }
        Ok(found)
    }
}

/// Takes one ping in and writes its run; `None` where it was taken before.
fn take(tx: &WriteTx<'_>, heartbeat: &mut Heartbeat, ping: &Ping) -> Result<Option<Heard>, Error> {
    let id = heartbeat.id;
    if runs::is_repeated(tx, id, ping)? {
        return Ok(None);
    }
    let ends = matches!(ping.action, Action::Success | Action::Fail | Action::Exit(_));
    let may_be_open = ping.rid.is_some() || heartbeat.state.last_start_at.is_some();
    let open = if ends && may_be_open { runs::find_open(tx, id, ping.rid)? } else { None };
    let said = Said {
        at: ping.at,
        action: ping.action,
        has_rid: ping.rid.is_some(),
        is_post: ping.method == "POST" || ping.method.is_empty(),
        took: ping.took,
    };
    let heard = hear(&heartbeat.definition, &mut heartbeat.state, said, open);
    if heard.run == RunKind::Running {
        runs::give_up(tx, id, ping.rid, "it began anew before its end came")?;
    }
    runs::write(tx, id, ping, &heard)?;
    Ok(Some(heard))
}

impl Record for PingRecord {
    type Item = Ping;
    type Outcome = Taken;
    type Staged = Definitions;

    fn bytes(ping: &Ping) -> usize {
        ping.bytes()
    }

    fn record(
        &self,
        tx: &WriteTx<'_>,
        pings: &[Ping],
        staged: &mut Definitions,
    ) -> Result<Vec<Taken>, Error> {
        let mut taken = vec![Taken::Unknown; pings.len()];
        let mut by_heartbeat: BTreeMap<HeartbeatId, Vec<usize>> = BTreeMap::new();
        for (slot, ping) in pings.iter().enumerate() {
            let (became, id) = follow(tx, &self.incidents, &self.changes, ping)?;
            set(&mut taken, slot, became);
            if let Some(id) = id {
                by_heartbeat.entry(id).or_default().push(slot);
            }
        }
        for (id, slots) in by_heartbeat {
            let group: Vec<&Ping> = slots.iter().filter_map(|slot| pings.get(*slot)).collect();
            if !self.record_one(tx, id, &group, staged)? {
                for slot in slots {
                    set(&mut taken, slot, Taken::Unknown);
                }
            }
        }
        tx.touch(PINGS);
        Ok(taken)
    }

    fn apply(&mut self, staged: Definitions) {
        self.known.extend(staged);
        // Removed heartbeats leave theirs behind.
        if self.known.len() > DEFINITIONS_MAX {
            self.known.clear();
        }
    }
}

/// Twice what there can be of them.
const DEFINITIONS_MAX: usize = 2 * super::HEARTBEATS_MAX as usize;

fn set(taken: &mut [Taken], slot: usize, what: Taken) {
    if let Some(place) = taken.get_mut(slot) {
        *place = what;
    }
}
