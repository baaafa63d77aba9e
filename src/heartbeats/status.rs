//! How a heartbeat is.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Never heard from.
    New,
    Up,
    /// Expected, and still within its grace.
    Late,
    Down,
    Paused,
}

impl Status {
    /// As lists show them: what needs somebody comes first.
    pub const ALL: [Self; 5] = [Self::Down, Self::Late, Self::New, Self::Up, Self::Paused];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Up => "up",
            Self::Late => "late",
            Self::Down => "down",
            Self::Paused => "paused",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Where it stands in [`Status::ALL`].
    pub const fn rank(self) -> u8 {
        match self {
            Self::Down => 0,
            Self::Late => 1,
            Self::New => 2,
            Self::Up => 3,
            Self::Paused => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_word_and_its_place() {
        for (rank, status) in Status::ALL.into_iter().enumerate() {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(usize::from(status.rank()), rank);
        }
    }
}
