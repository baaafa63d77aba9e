//! What is remembered of a probe between readings, also over a restart.

use serde::{Deserialize, Serialize};

use super::judge::Judge;
use crate::base::Timestamp;

/// The column `judge` of `probe_states`. A member that an older program did not write is as at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub judge: Judge,
    /// The first bad reading of the trouble that is proved.
    pub first_bad_at: Option<Timestamp>,
    pub last_good_at: Option<Timestamp>,
}
