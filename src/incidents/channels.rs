//! The channels that messages go out on: rows of settings, sealed secrets, state and pacing.

use serde_json::Value;

use crate::base::text::line;
use crate::base::{Timestamp, Uid};
use crate::store::{ReadTx, WriteTx, params};

use super::rows::ChannelId;
use super::{DELIVERIES, Error, Incidents};

mod stored;

pub use stored::find_by_name;
pub use stored::{count_undelivered, find, find_by_uid, list, record_health};

pub(super) use stored::overwrite;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    Email,
    Slack,
    Webhook,
}

/// Where a channel is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOwner {
    Page,
    Environment,
    /// A file of the configuration as code.
    File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelState {
    Ready,
    /// By a person; its messages go to other channels.
    Paused,
    /// It refused for good, and went on to (wrong password, deleted hook); stays so until it is changed, a test
    /// succeeds, or it takes an alarm that waits: now and then one is tried.
    Broken,
    /// The configuration names it no longer. It is kept, without its secrets, for the projects that chose it: named
    /// again, it is the same channel.
    Absent,
}

/// A channel as it is stored. Its secrets are sealed with the context `channel:{uid}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub id: ChannelId,
    pub uid: Uid,
    pub name: String,
    pub kind: ChannelKind,
    pub settings: Value,
    pub sealed: Option<Vec<u8>>,
    pub owner: ChannelOwner,
    /// Unanswered alarms climb from low to high.
    pub position: i64,
    pub state: ChannelState,
    pub state_reason: Option<String>,
    pub health: ChannelHealth,
    pub created_at: Timestamp,
    /// The last proof that it works.
    pub delivered_at: Option<Timestamp>,
}

/// What the worker remembers of a channel between attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelHealth {
    /// Failures in a row.
    pub failures: u32,
    /// The breaker is open: no attempt before.
    pub open_until: Option<Timestamp>,
    /// `Retry-After` and pacing: no attempt before.
    pub paced_until: Option<Timestamp>,
}

/// What a person, the environment or a file says of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChannel {
    /// Chosen before the secrets are sealed.
    pub uid: Uid,
    pub name: String,
    pub kind: ChannelKind,
    /// A JSON object without secrets.
    pub settings: Value,
    pub sealed: Option<Vec<u8>>,
    pub owner: ChannelOwner,
}

/// More than a small team has ways to be reached; every incident may write one message to each.
pub const CHANNELS_MAX: i64 = 100;
const NAME_CHARS_MAX: usize = 80;

impl ChannelKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Email, Self::Slack, Self::Webhook].into_iter().find(|kind| kind.as_str() == text)
    }
}

impl ChannelOwner {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Environment => "environment",
            Self::File => "file",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Page, Self::Environment, Self::File].into_iter().find(|owner| owner.as_str() == text)
    }
}

impl ChannelState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Paused => "paused",
            Self::Broken => "broken",
            Self::Absent => "absent",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Ready, Self::Paused, Self::Broken, Self::Absent]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

impl Incidents {
    /// Adds a ready channel at the end of the climbing order. What waited for a first channel becomes one message.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty or long name or settings that are no object, or more than [`CHANNELS_MAX`];
    /// [`Error::NameTaken`].
    pub fn create_channel(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channel: &NewChannel,
    ) -> Result<ChannelId, Error> {
        check(tx, channel, None)?;
        let count = tx.one("SELECT count(*) FROM channels", [], |row| row.get::<_, i64>(0))?;
        if count >= CHANNELS_MAX {
            return Err(Error::Invalid(format!("at most {CHANNELS_MAX} channels")));
        }
        let id = tx.insert(
            "INSERT INTO channels (uid, name, kind, settings, sealed, owner, position, state, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT ifnull(max(position), 0) + 1 FROM channels), 'ready', ?7)",
            params![
                channel.uid.as_bytes(),
                channel.name,
                channel.kind.as_str(),
                channel.settings.to_string(),
                channel.sealed,
                channel.owner.as_str(),
                now.as_micros()
            ],
        )?;
        let id = ChannelId(id);
        self.adopt_waiting(tx, now, id)?;
        Ok(id)
    }

    /// Changes name, settings and secrets of a channel of the page, and makes it ready again. Its kind and owner
    /// stay; `channel.uid` is the one it has.
    ///
    /// # Errors
    /// As [`Incidents::create_channel`]; [`Error::NotFound`]; [`Error::OwnedElsewhere`].
    pub fn update_channel(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        id: ChannelId,
        channel: &NewChannel,
    ) -> Result<(), Error> {
        owned_by_page(tx, id)?;
        check(tx, channel, Some(id))?;
        overwrite(tx, id, channel)?;
        self.make_ready(tx, now, id)
    }

    /// Makes a paused or broken channel ready: it is told what waited.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OwnedElsewhere`] where the configuration names it no longer.
    pub fn resume_channel(&self, tx: &WriteTx<'_>, now: Timestamp, id: ChannelId) -> Result<(), Error> {
        refuse_absent(tx, id)?;
        self.make_ready(tx, now, id)
    }

    pub(super) fn make_ready(&self, tx: &WriteTx<'_>, now: Timestamp, id: ChannelId) -> Result<(), Error> {
        let resumed = tx.execute(
            "UPDATE channels SET state = 'ready', state_reason = NULL, failures = 0, open_until = NULL, refusals = 0,
                    refused_since = NULL
             WHERE id = ?1",
            [id.0],
        )?;
        if resumed == 0 {
            return Err(Error::NotFound("channel"));
        }
        tx.touch(DELIVERIES);
        self.adopt_waiting(tx, now, id)?;
        Ok(())
    }

    /// Pauses a channel, by hand; what it has not sent goes to the next one.
    ///
    /// # Errors
    /// As [`Incidents::resume_channel`].
    pub fn pause_channel(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        id: ChannelId,
        reason: &str,
    ) -> Result<(), Error> {
        refuse_absent(tx, id)?;
        self.stop_channel(tx, now, id, (ChannelState::Paused, reason))
    }

    /// Marks a channel as broken, because it refused for good; what it has not sent goes to the next one. One that a
    /// person paused stays paused: only a test can have gone out on it.
    pub fn break_channel(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        id: ChannelId,
        reason: &str,
    ) -> Result<(), Error> {
        let is_off = |channel: Channel| matches!(channel.state, ChannelState::Paused | ChannelState::Absent);
        if find(tx, id)?.is_some_and(is_off) {
            return Ok(());
        }
        self.stop_channel(tx, now, id, (ChannelState::Broken, reason))
    }

    /// Removes a channel of the page, or one that the configuration names no longer; what it has not sent goes to
    /// the next one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OwnedElsewhere`].
    pub fn remove_channel(&self, tx: &WriteTx<'_>, now: Timestamp, id: ChannelId) -> Result<(), Error> {
        let is_absent = find(tx, id)?.is_some_and(|channel| channel.state == ChannelState::Absent);
        if !is_absent {
            owned_by_page(tx, id)?;
        }
        self.drop_channel(tx, now, id)
    }

    /// Makes the channels of the environment exactly these, matched by name; those no longer named are absent.
    /// One that a person paused stays paused, a broken one gets another chance.
    ///
    /// A known channel is given with the uid it has: its secrets are sealed for it.
    pub fn upsert_environment(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        channels: &[NewChannel],
    ) -> Result<(), Error> {
        for known in list(tx)?.iter().filter(|known| known.owner == ChannelOwner::Environment) {
            if !channels.iter().any(|channel| channel.name == known.name) {
                self.stop_channel(
                    tx,
                    now,
                    known.id,
                    (ChannelState::Absent, "the configuration names it no longer"),
                )?;
                tx.execute("UPDATE channels SET sealed = NULL WHERE id = ?1", [known.id.0])?;
            }
        }
        for channel in channels {
            let known =
                find_by_name(tx, &channel.name)?.filter(|known| known.owner == ChannelOwner::Environment);
            match known {
                Some(known) => {
                    overwrite(tx, known.id, channel)?;
                    if known.state != ChannelState::Paused {
                        self.make_ready(tx, now, known.id)?;
                    }
                }
                None => {
                    self.create_channel(tx, now, channel)?;
                }
            }
        }
        Ok(())
    }

    fn stop_channel(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        id: ChannelId,
        (state, reason): (ChannelState, &str),
    ) -> Result<(), Error> {
        let stopped = tx.execute(
            "UPDATE channels SET state = ?2, state_reason = ?3, broken_at = iif(?2 = 'broken', ?4, NULL)
             WHERE id = ?1",
            params![id.0, state.as_str(), reason, now.as_micros()],
        )?;
        if stopped == 0 {
            return Err(Error::NotFound("channel"));
        }
        self.hand_over_stranded(tx, now, HANDED_OVER_AT_ONCE)?;
        Ok(())
    }

    pub(super) fn drop_channel(&self, tx: &WriteTx<'_>, now: Timestamp, id: ChannelId) -> Result<(), Error> {
        self.stop_channel(tx, now, id, (ChannelState::Paused, "removed"))?;
        tx.execute("DELETE FROM channels WHERE id = ?1", [id.0])?;
        Ok(())
    }
}

/// What a stopping channel hands on in the same commit; the background task takes the rest.
const HANDED_OVER_AT_ONCE: u32 = 200;

/// Moves a channel to another place of the climbing order, 0 first.
///
/// # Errors
/// [`Error::NotFound`].
pub fn move_to(tx: &WriteTx<'_>, id: ChannelId, place: usize) -> Result<(), Error> {
    let mut order: Vec<_> = list(tx)?.into_iter().map(|channel| channel.id).collect();
    let from = order.iter().position(|known| *known == id).ok_or(Error::NotFound("channel"))?;
    order.remove(from);
    order.insert(place.min(order.len()), id);
    for (position, id) in (1_i64..).zip(order) {
        tx.execute("UPDATE channels SET position = ?2 WHERE id = ?1", params![id.0, position])?;
    }
    Ok(())
}

pub(super) fn check(tx: &ReadTx<'_>, channel: &NewChannel, own: Option<ChannelId>) -> Result<(), Error> {
    line("name", &channel.name, NAME_CHARS_MAX).map_err(|bad| Error::Invalid(bad.to_string()))?;
    if !channel.settings.is_object() {
        return Err(Error::Invalid("settings: an object".to_owned()));
    }
    let holder = tx
        .first("SELECT id FROM channels WHERE name = ?1", [&channel.name], |row| row.get(0).map(ChannelId))?;
    match holder {
        Some(holder) if Some(holder) != own => Err(Error::NameTaken),
        Some(_) | None => Ok(()),
    }
}

fn refuse_absent(tx: &ReadTx<'_>, id: ChannelId) -> Result<(), Error> {
    match find(tx, id)?.ok_or(Error::NotFound("channel"))?.state {
        ChannelState::Absent => Err(Error::OwnedElsewhere("environment")),
        ChannelState::Ready | ChannelState::Paused | ChannelState::Broken => Ok(()),
    }
}

fn owned_by_page(tx: &ReadTx<'_>, id: ChannelId) -> Result<(), Error> {
    match find(tx, id)?.ok_or(Error::NotFound("channel"))?.owner {
        ChannelOwner::Page => Ok(()),
        ChannelOwner::Environment => Err(Error::OwnedElsewhere("environment")),
        ChannelOwner::File => Err(Error::OwnedByFile),
    }
}
