//! Questions that pages and the API ask about issues and their events.

mod events;
mod hours;
mod list;
mod recount;
mod search;
mod status;

pub use events::{EventSummary, Found, Neighbours, find_event, list_events, neighbours};
pub use hours::{hourly, loudest, project_hours};
pub use list::{
    COUNTED_MAX, Cursor, IssueFilter, IssuePage, IssueView, Sort, count_issues, count_unresolved, find_issue,
    list_issues,
};
pub use recount::recount;
pub use search::{FILTERS_KNOWN, Search};
pub use status::{StatusChange, set_status};
