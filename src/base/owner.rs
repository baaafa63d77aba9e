//! Where a thing is changed: on the pages, or in the files of the configuration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who has the say over a thing. What a file names is read-only everywhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    #[default]
    Page,
    File,
}

/// The text is neither `page` nor `file`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of page, file")]
pub struct UnknownOwner;

impl Owner {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Owner {
    type Err = UnknownOwner;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Page, Self::File].into_iter().find(|owner| owner.as_str() == text).ok_or(UnknownOwner)
    }
}
