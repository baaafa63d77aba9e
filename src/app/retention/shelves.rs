//! What can be let go of: for its age, and, in this order, for want of room.

use std::time::Duration;

use crate::config::Retention;
use crate::heartbeats::retention::{CHANGES_KEPT, RUNS_KEPT};

/// A plot of single readings is looked at for the last days.
const PROBE_POINTS_AGE: Duration = Duration::from_hours(7 * 24);
const PROBE_HISTORY_AGE: Duration = Duration::from_hours(400 * 24);

/// What the status page tells of a year, and some weeks to look back on; few rows each.
const KEPT_FOR_STRANGERS: Duration = Duration::from_hours(400 * 24);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const WEEK: Duration = Duration::from_hours(7 * 24);
/// The status page shows ninety days.
const QUARTER: Duration = Duration::from_hours(91 * 24);

/// A kind of thing that can be let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// What removed probes, heartbeats and services left behind.
    Removed,
    /// Payloads, whatever their issue.
    Payloads,
    /// Payloads of issues that keep others.
    BusyPayloads,
    /// What payloads are compressed against.
    Dictionaries,
    Points,
    SlowMarks,
    Hours,
    Rates,
    /// What heartbeats said, but for the last hundred of each …
    Runs,
    /// … and but for the last ten.
    LastRuns,
    HeartbeatChanges,
    /// Issues without a payload.
    Issues,
    Deploys,
    /// Closed ones, with their messages.
    Incidents,
    Silences,
    /// Planned work that is over.
    Maintenances,
    ServiceChanges,
    StatusPosts,
    Ledger,
    Audit,
    /// Readings of probes.
    ProbePoints,
    /// What remains of their hours.
    ProbeHours,
    ProbeChanges,
    /// When tocsin was blind.
    Spells,
    /// What webhooks brought that were delivered.
    WebhookPayloads,
    /// Requests that are done, with their deliveries and attempts.
    WebhookLog,
    WebhookPoints,
}

/// What goes for its age, in this order: dictionaries after payloads, an issue only after its payloads and hours.
pub(super) const AGED: [Shelf; 22] = [
    Shelf::Removed,
    Shelf::Payloads,
    Shelf::Dictionaries,
    Shelf::Hours,
    Shelf::Issues,
    Shelf::Points,
    Shelf::SlowMarks,
    Shelf::Rates,
    Shelf::Runs,
    Shelf::HeartbeatChanges,
    Shelf::Deploys,
    Shelf::Incidents,
    Shelf::Silences,
    Shelf::Maintenances,
    Shelf::ServiceChanges,
    Shelf::StatusPosts,
    Shelf::Ledger,
    Shelf::Audit,
    Shelf::ProbePoints,
    Shelf::ProbeHours,
    Shelf::ProbeChanges,
    Shelf::Spells,
];

/// What goes for want of room, and what of it stays for now: first what there is most of, last what there is only
/// one of, and of everything the newest last. What was how is shown for ninety days; how it is stays whatever happens.
pub(super) const OVER_BUDGET: [(Shelf, Duration); 38] = [
    (Shelf::Removed, Duration::ZERO),
    (Shelf::WebhookPayloads, HOUR),
    (Shelf::BusyPayloads, Duration::ZERO),
    (Shelf::WebhookLog, DAY),
    (Shelf::Points, DAY),
    (Shelf::ProbePoints, DAY),
    (Shelf::Runs, WEEK),
    (Shelf::Hours, Duration::from_hours(48)),
    (Shelf::Incidents, WEEK),
    (Shelf::Ledger, Duration::from_hours(30 * 24)),
    (Shelf::Deploys, Duration::from_hours(30 * 24)),
    (Shelf::ProbeHours, QUARTER),
    (Shelf::ProbeChanges, QUARTER),
    (Shelf::HeartbeatChanges, QUARTER),
    (Shelf::ServiceChanges, QUARTER),
    (Shelf::StatusPosts, QUARTER),
    (Shelf::Spells, QUARTER),
    (Shelf::WebhookPoints, WEEK),
    (Shelf::WebhookPayloads, Duration::ZERO),
    (Shelf::WebhookLog, Duration::ZERO),
    (Shelf::Points, HOUR),
    (Shelf::ProbePoints, HOUR),
    (Shelf::Runs, HOUR),
    (Shelf::LastRuns, DAY),
    (Shelf::ProbeHours, WEEK),
    (Shelf::ProbeChanges, WEEK),
    (Shelf::HeartbeatChanges, WEEK),
    (Shelf::ServiceChanges, WEEK),
    (Shelf::StatusPosts, WEEK),
    (Shelf::Payloads, Duration::ZERO),
    (Shelf::Issues, DAY),
    (Shelf::Points, Duration::ZERO),
    (Shelf::WebhookPoints, DAY),
    (Shelf::ProbeChanges, DAY),
    (Shelf::HeartbeatChanges, DAY),
    (Shelf::ServiceChanges, DAY),
    // After what it explains: without it blind time would count as seen.
    (Shelf::Spells, WEEK),
    (Shelf::ProbeHours, DAY),
];

impl Shelf {
    /// How old things of this kind may become.
    pub(super) fn age(self, retention: &Retention) -> Duration {
        match self {
            Self::Removed => Duration::ZERO,
            Self::Audit => retention.audit_age,
            Self::ProbePoints => retention.age.min(PROBE_POINTS_AGE),
            // What was how, and for how long, is asked for after a year.
            Self::ProbeHours | Self::ProbeChanges | Self::Spells => PROBE_HISTORY_AGE,
            // What uptime is counted from outlives what is looked at one by one.
            Self::Runs | Self::LastRuns => RUNS_KEPT,
            Self::HeartbeatChanges => CHANGES_KEPT,
            Self::Maintenances | Self::ServiceChanges | Self::StatusPosts => KEPT_FOR_STRANGERS,
            Self::Payloads
            | Self::BusyPayloads
            | Self::Dictionaries
            | Self::Points
            | Self::SlowMarks
            | Self::Hours
            | Self::Rates
            | Self::Issues
            | Self::Deploys
            | Self::Incidents
            | Self::Silences
            | Self::Ledger
            // The task `webhooks.clean` goes by ages of their own.
            | Self::WebhookPayloads
            | Self::WebhookLog
            | Self::WebhookPoints => retention.age,
        }
    }
}
