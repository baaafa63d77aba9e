//! Errors as issues: what an event says, which issue it belongs to, what of it is kept.
//!
//! This folder's rules are pure: text in, decision out. [`head`] reads what intake needs of a scrubbed event,
//! [`grouping`] names its issue, [`title`] and [`classify`] say what to call it and how much it matters,
//! [`sketch`] counts users, [`sample`] decides which payloads stay, [`view`] shows a stored one.

//X pub mod classify;
//X pub mod frame;
//X pub mod grouping;
pub mod head;
mod lenient;
pub mod parameterize;
//X pub mod sample;
//X pub mod sketch;
//X pub mod title;
//X pub mod view;

//X pub use classify::Class;
//X pub use grouping::{Grouping, GroupingReason, group};
pub use head::{EventHead, HeadError, Level, Warning};
//X pub use sample::{SampleDecision, SampleState};
//X pub use sketch::{UserCount, UserSet};
//X pub use view::EventView;
