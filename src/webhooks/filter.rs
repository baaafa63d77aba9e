//! Which events a destination takes.

use serde::{Deserialize, Serialize};

/// Which events a destination takes; empty: all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    pub types: Vec<String>,
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }
}
