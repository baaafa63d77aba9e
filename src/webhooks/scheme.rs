//! How a call proves who made it.

use serde::{Deserialize, Serialize};

/// How a call proves who made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    None,
}
