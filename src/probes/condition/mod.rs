//! The condition language: `status < 300`, `body.queue.depth < 100`, `cert.expires_in > 14d`.
//!
//! A condition is read against the [`Fields`] of a kind of probe, so that a name that does not exist, or a number in
//! the wrong unit, is refused where it is typed. [`Condition::check`] never fails: what is missing does not hold, and
//! the reason says so in words that fit into an alarm.
//!
//! ```text
//! condition  = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" condition ")" | subject [ test ]
//! test       = ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//!            | [ "not" ] "contains" literal | [ "not" ] "matches" text | [ "not" ] "in" "(" literal { "," literal } ")"
//!            | [ "not" ] "exists"
//! subject    = path | ( "length" | "age" | "any" | "all" ) "(" path ")"
//! path       = field { "." key | "[" number "]" | "[*]" | "[" text "]" }
//! literal    = number [ unit ] | text | "true" | "false" | "null"
//! unit       = "ms" | "s" | "m" | "h" | "d" | "w" | "%" | "B" | "kB" | "MB" | "GB" | "TB" | "KiB" | "MiB" | "GiB" | "TiB"
//! ```

mod check;
mod facts;
mod fields;
mod parser;
#[cfg(test)]
mod tests;
mod token;
mod value;

use std::fmt;

pub use check::Finding;
pub use facts::{Facts, Tree};
pub use fields::{Field, FieldKind, Fields, Names};
pub use value::{Unit, Value};

/// A condition as typed, and as understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    source: String,
    expr: Expr,
}

/// Longest condition, in characters.
pub const CHARS_MAX: usize = 500;

/// Why a text is no condition, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (at character {})", .at + 1)]
pub struct Fault {
    /// Characters before the place.
    pub at: usize,
    pub reason: String,
}

impl Condition {
    /// Reads a condition of a probe that knows `fields`.
    ///
    /// # Errors
    /// The first [`Fault`]: grammar, an unknown field, a literal in a unit that the field is not measured in, more than
    /// [`CHARS_MAX`] characters, nesting deeper than 16.
    pub fn parse(source: &str, fields: &Fields) -> Result<Self, Fault> {
        let source = source.trim();
        let expr = parser::parse(source, fields)?;
        Ok(Self { source: source.to_owned(), expr })
    }

    /// Whether the condition holds for what a probe saw; the reason where it does not.
    pub fn check(&self, facts: &Facts) -> Finding {
        check::check(&self.expr, facts)
    }

    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Not(Box<Expr>),
    Test { subject: Subject, test: Test },
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    view: View,
    field: &'static str,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Itself,
    Length,
    /// How long before now the point in time is that stands there.
    Age,
    /// One of the values behind `[*]` is enough.
    AnyOf,
    /// Every value behind `[*]` must.
    AllOf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    At(usize),
    Each,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Compare(Comparison, Value),
    Contains(Value),
    Matches(String),
    In(Vec<Value>),
    Exists,
    /// A flag by itself: `has_rows`.
    IsTrue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}
