//! What is wrong with a file, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong, with its cure. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `FILE:LINE`, or the path that could not be read.
    pub place: String,
    pub text: String,
    /// Of an entry, what of it is wrong, such as `members.2`; empty: all of it.
    #[serde(skip)]
    pub(super) path: String,
}

/// Whoever has this many to mend mends some and asks again.
const TOLD_MAX: usize = 100;

impl Problem {
    pub(super) fn new(place: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { place: place.to_string(), text: text.into(), path: String::new() }
    }

    /// The first of many, in the order of their places.
    pub(super) fn first(mut all: Vec<Self>) -> Vec<Self> {
        all.sort_by_cached_key(|problem| match problem.place.rsplit_once(':') {
            Some((file, line)) => (file.to_owned(), line.parse::<usize>().unwrap_or(0)),
            None => (problem.place.clone(), 0),
        });
        let left = all.len().saturating_sub(TOLD_MAX);
        all.truncate(TOLD_MAX);
        if left > 0 {
            all.push(Self::new("and", format!("{left} more like these")));
        }
        all
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}
