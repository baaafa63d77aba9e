//! When tocsin itself could not see, so that nobody else is blamed for it.
//!
//! A *spell* is a time in which tocsin was down, its machine slept, its uplink was gone, or it was starved of processor
//! time. Whoever waits for something to happen asks [`extend`] when to give up waiting; who counts how long something was
//! how asks [`Blind`].

mod blind;

mod canaries;

use std::time::Duration;

use serde::Serialize;

pub use canaries::{ever_answered, note_answer};

use crate::base::Timestamp;
use crate::store::{Error, ReadTx, Row, Topic, WriteTx, params};

pub use blind::{Blind, Piece};

/// Moves when a spell began or ended.
pub const SPELLS: Topic = Topic("vigil");

/// Why nothing could be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blindness {
    /// tocsin did not run.
    Down,
    /// The machine slept, or was frozen by its host.
    Suspended,
    /// None of the canaries answered.
    Uplink,
    /// tocsin did not get the processor in time.
    Starved,
    /// The disk was full: what came was refused.
    Full,
}

/// A time without sight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spell {
    pub reason: Blindness,
    pub began_at: Timestamp,
    /// `None`: still.
    pub ended_at: Option<Timestamp>,
    pub detail: String,
}

impl Spell {
    /// How long it was; of one that goes on, nothing yet.
    pub fn length(&self) -> Duration {
        self.ended_at.map_or(Duration::ZERO, |ended| ended.since(self.began_at))
    }
}

/// Spells of one reason that are read for one question: a machine that sleeps every night for a quarter has fewer. A weak
/// one is starved more often than that: no reason hides another.
const SPELLS_MAX: u32 = 1_000;

impl Blindness {
    pub const ALL: [Self; 5] = [Self::Down, Self::Suspended, Self::Uplink, Self::Starved, Self::Full];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Suspended => "suspended",
            Self::Uplink => "uplink",
            Self::Starved => "starved",
            Self::Full => "full",
        }
    }

    /// For a sentence that begins with “tocsin was blind”.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Down => "it was not running",
            Self::Suspended => "its machine slept",
            Self::Uplink => "its own network was gone",
            Self::Starved => "it was starved of processor time",
            Self::Full => "its disk was full",
        }
    }

    /// Whether what others sent in that time is lost; who is merely slow takes it later.
    pub const fn loses_what_came(self) -> bool {
        match self {
            Self::Down | Self::Suspended | Self::Uplink | Self::Full => true,
            Self::Starved => false,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Begins a spell; one that goes on already stays as it is.
pub fn begin(tx: &WriteTx<'_>, reason: Blindness, at: Timestamp, detail: &str) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO blind_spells (reason, began_at, detail) VALUES (?1, ?2, ?3)
         ON CONFLICT (reason) WHERE ended_at IS NULL DO NOTHING",
        params![reason.as_str(), at.as_micros(), detail],
    )?;
    tx.touch(SPELLS);
    Ok(())
}

/// Ends the spell that goes on for this reason, and hands it out; `None` where none does.
pub fn end(tx: &WriteTx<'_>, reason: Blindness, at: Timestamp) -> Result<Option<Spell>, Error> {
    let open = tx.first(
        "SELECT reason, began_at, max(began_at, ?2), detail FROM blind_spells
         WHERE reason = ?1 AND ended_at IS NULL",
        params![reason.as_str(), at.as_micros()],
        spell,
    )?;
    if open.is_some() {
        tx.execute(
            "UPDATE blind_spells SET ended_at = max(began_at, ?2) WHERE reason = ?1 AND ended_at IS NULL",
            params![reason.as_str(), at.as_micros()],
        )?;
        tx.touch(SPELLS);
    }
    Ok(open)
}

/// Writes a spell that is over.
pub fn note(tx: &WriteTx<'_>, spell: &Spell) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO blind_spells (reason, began_at, ended_at, detail) VALUES (?1, ?2, ?3, ?4)",
        params![
            spell.reason.as_str(),
            spell.began_at.as_micros(),
            spell.ended_at.map(Timestamp::as_micros),
            spell.detail,
        ],
    )?;
    tx.touch(SPELLS);
    Ok(())
}

/// Spells that touch the time from `from` to `to`, in the order in which they began; at most 1,000 of each reason, the
/// newest. Those of one reason follow each other, so one of them at most reaches into it from before.
pub fn between(tx: &ReadTx<'_>, from: Timestamp, to: Timestamp) -> Result<Vec<Spell>, Error> {
    let mut found = Vec::new();
    for reason in Blindness::ALL {
        found.extend(tx.all(
            "SELECT reason, began_at, ended_at, detail FROM blind_spells INDEXED BY blind_spells_by_reason
             WHERE reason = ?4 AND began_at < ?2 AND (ended_at IS NULL OR ended_at > ?1)
               AND began_at >= ifnull((SELECT max(began_at) FROM blind_spells INDEXED BY blind_spells_by_reason
                                       WHERE reason = ?4 AND began_at <= ?1), ?1)
             ORDER BY began_at DESC LIMIT ?3",
            params![from.as_micros(), to.as_micros(), SPELLS_MAX, reason.as_str()],
            spell,
        )?);
    }
    found.sort_by_key(|spell| spell.began_at);
    Ok(found)
}

/// The last time at which tocsin is known to have been awake.
pub fn last_alive(tx: &ReadTx<'_>) -> Result<Option<Timestamp>, Error> {
    tx.first("SELECT at FROM alive WHERE id = 1", [], |row| row.get(0).map(Timestamp::from_micros))
}

pub fn mark_alive(tx: &WriteTx<'_>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO alive (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
        [now.as_micros()],
    )?;
    Ok(())
}

/// Removes spells that ended before `before`, oldest first, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM blind_spells WHERE id IN (
             SELECT id FROM blind_spells WHERE began_at < ?1 AND ended_at < ?1 ORDER BY began_at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

/// When to give up on something that was waited for from `since` until `deadline`: later by the time in which it could
/// not be seen. `None` while a spell goes on that began before then.
pub fn extend(since: Timestamp, deadline: Timestamp, spells: &[Spell]) -> Option<Timestamp> {
    let mut extended = deadline;
    let mut seen_up_to = since;
    for spell in spells {
        let began = spell.began_at.max(seen_up_to);
        if began >= extended {
            break;
        }
        let ended = spell.ended_at?;
        extended = extended + ended.since(began);
        seen_up_to = seen_up_to.max(ended);
    }
    Some(extended)
}

fn spell(row: &Row<'_>) -> rusqlite::Result<Spell> {
    let reason: String = row.get(0)?;
    Ok(Spell {
        // The table checks its words.
        reason: Blindness::parse(&reason).unwrap_or(Blindness::Down),
        began_at: Timestamp::from_micros(row.get(1)?),
        ended_at: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
        detail: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plans::plans_of;
    use crate::store::{Options, Store};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + second)
    }

    fn spell(began: i64, ended: impl Into<Option<i64>>) -> Spell {
        let ended_at = ended.into().map(at);
        Spell { reason: Blindness::Down, began_at: at(began), ended_at, detail: String::new() }
    }

    #[test]
    fn a_deadline_moves_by_what_could_not_be_seen() {
        assert_eq!(extend(at(0), at(60), &[]), Some(at(60)));
        assert_eq!(extend(at(0), at(60), &[spell(10, 20)]), Some(at(70)));
        assert_eq!(extend(at(0), at(60), &[spell(-50, -20)]), Some(at(60)), "before anybody waited");
        assert_eq!(extend(at(0), at(60), &[spell(-50, 20)]), Some(at(80)), "only what lies in the wait");
        assert_eq!(extend(at(0), at(60), &[spell(61, 90)]), Some(at(60)), "after the deadline");
        assert_eq!(
            extend(at(0), at(60), &[spell(10, 20), spell(65, 95)]),
            Some(at(100)),
            "one leads to another"
        );
        assert_eq!(
            extend(at(0), at(60), &[spell(10, 30), spell(20, 40)]),
            Some(at(90)),
            "overlaps count once"
        );
        assert_eq!(extend(at(0), at(60), &[spell(50, None)]), None);
        assert_eq!(extend(at(0), at(60), &[spell(70, None)]), Some(at(60)));
    }

    #[test]
    fn a_weak_machine_that_is_starved_all_day_hides_no_outage() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let starved = |second| Spell { reason: Blindness::Starved, ..spell(second, second + 2) };
        let write = move |tx: &WriteTx<'_>| {
            note(tx, &spell(10, 300))?;
            (0..1_500).try_for_each(|n| note(tx, &starved(400 + n * 5)))?;
            note(tx, &spell(20_000, 20_300))
        };
        store.write_now("test", write).map_err(|error: Error| error).unwrap();
        let found =
            store.read_now(|tx| between(tx, at(0), at(30_000))).map_err(|error: Error| error).unwrap();
        let down: Vec<_> = found.iter().filter(|spell| spell.reason == Blindness::Down).collect();
        assert_eq!(down, [&spell(10, 300), &spell(20_000, 20_300)]);
        assert_eq!(found.len(), 1_002, "of the starved ones the newest");
        assert!(found.is_sorted_by_key(|spell| spell.began_at));
        store.stop();
    }

    #[test]
    fn only_spells_of_the_time_that_is_asked_for_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let write = move |tx: &WriteTx<'_>| {
            note(tx, &spell(-1_000, 1_000))?;
            note(tx, &Spell { reason: Blindness::Uplink, ..spell(-500, 2_000) })?;
            note(tx, &Spell { reason: Blindness::Uplink, ..spell(-900, -600) })?;
            begin(tx, Blindness::Full, at(-2_000), "")
        };
        store.write_now("test", write).map_err(|error: Error| error).unwrap();
        let found = store.read_now(|tx| {
            let plans = plans_of(tx, || between(tx, at(0), at(3_000)).map(drop).unwrap());
            assert!(!plans.is_empty());
            for plan in &plans {
                let search = "SEARCH blind_spells USING INDEX blind_spells_by_reason (reason=? AND began_at>? AND began_at<?)";
                assert!(plan.has(search), "{plan:?}");
                assert!(!plan.sorts(), "{plan:?}");
            }
            between(tx, at(0), at(3_000))
        });
        let found = found.map_err(|error: Error| error).unwrap();
        let found: Vec<_> = found.iter().map(|spell| (spell.reason, spell.began_at)).collect();
        let begun_before =
            [(Blindness::Full, at(-2_000)), (Blindness::Down, at(-1_000)), (Blindness::Uplink, at(-500))];
        assert_eq!(found, begun_before, "what began before and reaches into it is of it");
        store.stop();
    }
}
