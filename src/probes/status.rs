//! How a probe is, as people are told: what was proved, and what keeps it from being said.

use serde::{Deserialize, Serialize};

use super::judge::Health;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not seen yet, or not seen now: tocsin is blind.
    Unknown,
    Healthy,
    Degraded,
    Unhealthy,
    /// What it depends on is down: nobody can say how it is, and nobody is charged.
    Unreachable,
    /// Planned work: whatever is seen is not charged and not told.
    Maintenance,
    Paused,
}

impl Status {
    pub const ALL: [Self; 7] = [
        Self::Unhealthy,
        Self::Degraded,
        Self::Unreachable,
        Self::Unknown,
        Self::Maintenance,
        Self::Healthy,
        Self::Paused,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
            Self::Maintenance => "maintenance",
            Self::Paused => "paused",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Where it stands in a list: what needs somebody comes first.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unhealthy => 0,
            Self::Degraded => 1,
            Self::Unreachable => 2,
            Self::Unknown => 3,
            Self::Maintenance => 4,
            Self::Healthy => 5,
            Self::Paused => 6,
        }
    }

    /// What is proved, as long as nothing stands above it.
    pub const fn of_health(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Healthy => Self::Healthy,
            Health::Degraded => Self::Degraded,
            Health::Unhealthy => Self::Unhealthy,
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
