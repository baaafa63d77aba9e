//! Errors as issues: what an event says, which issue it belongs to, what of it is kept.
//!
//! This folder's rules are pure: text in, decision out. [`head`] reads what intake needs of a scrubbed event,
//! [`grouping`] names its issue, [`title`] and [`classify`] say what to call it and how much it matters,
//! [`sketch`] counts users, [`sample`] decides which payloads stay, [`view`] shows a stored one.

mod births;
pub mod classify;
pub mod deliveries;
pub mod dictionaries;
pub mod error_rate;
pub mod evaluate;
pub mod frame;
pub mod grouping;
pub mod head;
pub mod ids;
pub mod incoming;
mod lenient;
pub mod parameterize;
pub mod payload;
pub mod queries;
pub mod record;
pub mod retention;
mod rows;
pub mod sample;
pub mod sketch;
pub mod sql;
pub mod title;
mod users;
pub mod view;

pub use classify::Class;
pub use grouping::{Grouping, GroupingReason, group};
pub use head::{EventHead, HeadError, Level, Warning};
pub use payload::{Dictionary, Payload};
pub use rows::Status;
pub use sample::{SampleDecision, SampleState};
pub use sketch::{UserCount, UserSet};
pub use view::EventView;
