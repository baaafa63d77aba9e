//! A delivery: one request on its way to one destination, and the attempts at it.

use serde::{Deserialize, Serialize};

use super::DestinationId;
use crate::base::{Timestamp, Uid};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub i64);

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    First,
    /// One before it failed.
    Retry,
    /// Somebody began the delivery anew.
    Replay,
    /// The one careful call after the destination rested.
    Probe,
}

impl Cause {
    pub const ALL: [Self; 4] = [Self::First, Self::Retry, Self::Replay, Self::Probe];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Retry => "retry",
            Self::Replay => "replay",
            Self::Probe => "probe",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// Of the attempt `number`, where the delivery began anew after `began_after` attempts; both counted from 1.
    pub const fn of(number: u32, began_after: u32) -> Self {
        match (number.saturating_sub(began_after), began_after) {
            (0 | 1, 0) => Self::First,
            (0 | 1, _) => Self::Replay,
            _ => Self::Retry,
        }
    }
}

/// A delivery that this process is to send: nobody else does until it is recorded, or the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub id: DeliveryId,
    pub uid: Uid,
    pub destination: DestinationId,
    pub request: i64,
    pub request_uid: Uid,
    /// The provider's id of the event.
    pub event_id: String,
    pub order_key: Option<String>,
    /// When it was due; where it is given back it is due then again.
    pub due_at: Timestamp,
    /// Its deadline counts from here.
    pub began_at: Timestamp,
    /// The attempt that is about to be made, counted from 1 over the delivery's life: what the app is told.
    pub number: u32,
    /// Attempts before it began anew.
    pub began_after: u32,
    /// Of the body, as it came.
    pub body_bytes: usize,
}

impl Claimed {
    pub const fn cause(&self) -> Cause {
        Cause::of(self.number, self.began_after)
    }

    /// The attempt since it began, counted from 1: how long to wait follows from it.
    pub const fn tries(&self) -> u32 {
        self.number.saturating_sub(self.began_after)
    }
}

/// What an error or an answer may hold in a row.
pub const ERROR_CHARS_MAX: usize = 500;
pub const ANSWER_CHARS_MAX: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_anew_is_a_replay_once() {
        for (number, began_after, cause) in
            [(1, 0, Cause::First), (2, 0, Cause::Retry), (20, 19, Cause::Replay), (21, 19, Cause::Retry)]
        {
            assert_eq!(Cause::of(number, began_after), cause, "{number} {began_after}");
        }
        assert!(Cause::ALL.into_iter().all(|cause| Cause::parse(cause.as_str()) == Some(cause)));
    }
}
