//! The top-level keys of an event that the protocol names.

use super::place::Place;

/// A named part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    key: &'static str,
    place: Place,
    /// Which to leave out first when the whole is too large; `None` for what an event cannot do without.
    dispensable: Option<u8>,
}

impl Section {
    pub(super) const fn place(self) -> Place {
        self.place
    }
}

/// The first to go among parts of the event that the protocol does not name.
pub(super) const UNNAMED_DISPENSABLE: u8 = 0;

const fn needed(key: &'static str, place: Place) -> Section {
    Section { key, place, dispensable: None }
}

const fn dispensable(key: &'static str, place: Place, order: u8) -> Section {
    Section { key, place, dispensable: Some(order) }
}

/// Names with `sentry.interfaces.` are those of SDKs before 2017.
const SECTIONS: [Section; 38] = [
    needed("event_id", Place::Fixed),
    needed("timestamp", Place::Fixed),
    needed("start_timestamp", Place::Fixed),
    needed("platform", Place::Fixed),
    needed("level", Place::Fixed),
    needed("type", Place::Fixed),
    needed("logger", Place::Fixed),
    needed("release", Place::Fixed),
    needed("dist", Place::Fixed),
    needed("environment", Place::Fixed),
    needed("server_name", Place::Fixed),
    needed("site", Place::Fixed),
    needed("project", Place::Fixed),
    needed("time_spent", Place::Fixed),
    needed("checksum", Place::Fixed),
    needed("transaction", Place::Location),
    needed("culprit", Place::Location),
    needed("transaction_info", Place::Fixed),
    needed("fingerprint", Place::Message),
    needed("sdk", Place::Fixed),
    needed("message", Place::LogEntry),
    needed("logentry", Place::LogEntry),
    needed("sentry.interfaces.Message", Place::LogEntry),
    needed("exception", Place::Traces),
    needed("sentry.interfaces.Exception", Place::Traces),
    needed("tags", Place::Tags),
    needed("user", Place::User),
    needed("sentry.interfaces.User", Place::User),
    dispensable("debug_meta", Place::Fixed, 1),
    dispensable("modules", Place::Fixed, 2),
    dispensable("_meta", Place::Meta, 3),
    dispensable("threads", Place::Traces, 4),
    dispensable("extra", Place::Free, 5),
    dispensable("contexts", Place::Contexts, 6),
    dispensable("breadcrumbs", Place::Breadcrumbs, 7),
    dispensable("sentry.interfaces.Http", Place::Request, 8),
    dispensable("request", Place::Request, 9),
    dispensable("stacktrace", Place::Stacktrace, 10),
];

/// The section of this key.
pub(super) fn of(key: &str) -> Option<Section> {
    SECTIONS.iter().find(|section| section.key == key).copied()
}

/// The turn in which the part of this key is left out; `None` where it never is.
pub(super) fn turn_to_go(key: &str) -> Option<u8> {
    of(key).map_or(Some(UNNAMED_DISPENSABLE), |section| section.dispensable)
}
