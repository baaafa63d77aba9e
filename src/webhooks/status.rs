//! How a delivery is, in the words that everybody uses for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of one request at one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Not tried yet, or begun anew.
    Pending,
    /// Under way.
    Processing,
    /// The app said 2xx.
    Completed,
    /// It failed and will be tried again.
    Failed,
    /// It failed and will not be tried again, unless somebody replays it.
    DeadLetter,
}

impl DeliveryStatus {
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::DeadLetter];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::DeadLetter => "dead_letter",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether something is still to come of it by itself.
    pub const fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Processing | Self::Failed => true,
            Self::Completed | Self::DeadLetter => false,
        }
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
