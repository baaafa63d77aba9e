//! What a message says of a job that failed or did not run.

use super::facts::{HeartbeatFacts, IncidentFacts};
use super::message::{ITEM_CHARS_MAX, ITEMS_MAX, List};
use super::plain::clean;
use super::wording::{clock_time, count};
use crate::base::Timestamp;

/// The facts of the heartbeat that a message is about.
pub(super) fn facts(incident: &IncidentFacts) -> Option<&HeartbeatFacts> {
    incident.subject_witness().and_then(|witness| witness.detail.heartbeat.as_ref())
}

/// When it last went well, how it should run, what is missing.
pub(super) fn standing(job: &HeartbeatFacts, now: Timestamp) -> Vec<String> {
    let last = match job.last_ok_at {
        Some(at) => format!("last good run {}", clock_time(at, now)),
        None => "no good run so far".to_owned(),
    };
    let missed = (job.missed > 0).then(|| format!("{} missed in a row", count(job.missed, "run", "runs")));
    let schedule = (!job.schedule.is_empty()).then(|| format!("expected {}", clean(&job.schedule, 80)));
    [Some(last), missed, schedule].into_iter().flatten().collect()
}

/// The end of what it wrote.
pub(super) fn output(job: &HeartbeatFacts) -> Vec<List> {
    let lines: Vec<&str> = job.output.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let from = lines.len().saturating_sub(ITEMS_MAX);
    let items = lines.into_iter().skip(from).map(|line| clean(line, ITEM_CHARS_MAX)).collect();
    vec![List { title: "The end of its output".to_owned(), items, more: None }]
}
