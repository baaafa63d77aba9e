//! Probes as the API shows them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::base::{Timestamp, span};
use crate::probes::board::{Board, LastRun, Live};
use crate::probes::queries::{ListLine, State};
use crate::probes::{Definition, Kind, Owner, Paused, Probe, Status, secrets};

/// A line of a list.
#[derive(Serialize)]
pub(super) struct LineView {
    key: String,
    name: String,
    /// The project's slug.
    project: String,
    /// `None`: this program does not understand it; the reason says so.
    kind: Option<Kind>,
    target: String,
    owner: Owner,
    environment: Option<String>,
    labels: Value,
    #[serde(flatten)]
    now: NowView,
}

/// A probe in full, without what its secrets are.
#[derive(Serialize)]
pub(super) struct ProbeView {
    key: String,
    name: String,
    /// The project's slug.
    project: String,
    kind: Kind,
    definition: Definition,
    /// The names of its secrets.
    secrets: Vec<String>,
    depends_on: Vec<String>,
    owner: Owner,
    rings: bool,
    paused: Option<Paused>,
    /// How long an outage can go unnoticed, at worst.
    detects_within: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(flatten)]
    now: NowView,
    /// Where results are reported to; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) push_path: Option<String>,
}

/// How it is.
#[derive(Serialize)]
struct NowView {
    status: Status,
    since: Timestamp,
    reason: String,
    flapping: bool,
    last_good_at: Option<Timestamp>,
    next_run_at: Option<Timestamp>,
    last_run: Option<Value>,
}

impl LineView {
    pub(super) fn new(line: ListLine, board: &Board) -> Self {
        let live = board.get(line.id);
        let (kind, target) =
            line.definition.as_ref().map(|known| (known.kind(), known.target.describe())).unzip();
        let (environment, labels) = line.definition.map(|known| (known.environment, known.labels)).unzip();
        Self {
            key: line.key,
            name: line.name,
            project: line.project_slug,
            kind,
            target: target.unwrap_or_default(),
            owner: line.owner,
            environment: environment.flatten(),
            labels: json!(labels.unwrap_or_default()),
            now: NowView {
                status: line.status,
                since: line.since,
                reason: line.reason,
                flapping: line.flapping,
                last_good_at: live.as_ref().and_then(|live| live.last_good_at),
                next_run_at: live.as_ref().and_then(|live| live.next_at),
                last_run: live.and_then(|live| live.last).map(last_run),
            },
        }
    }
}

impl ProbeView {
    pub(super) fn new(probe: Probe, state: &State, depends_on: Vec<String>, live: Option<Live>) -> Self {
        let last_good_at = live.as_ref().map_or(state.memory.last_good_at, |live| live.last_good_at);
        Self {
            kind: probe.definition.kind(),
            secrets: secrets::names(&probe.definition.target).into_iter().collect(),
            depends_on,
            rings: probe.rings(),
            detects_within: span::format(probe.definition.policy.detects_within()),
            now: NowView {
                status: state.status,
                since: state.since,
                reason: state.reason.clone(),
                flapping: state.flapping,
                last_good_at,
                next_run_at: live.as_ref().and_then(|live| live.next_at),
                last_run: live.and_then(|live| live.last).map(last_run),
            },
            key: probe.key,
            name: probe.name,
            project: probe.project_slug,
            definition: probe.definition,
            owner: probe.owner,
            paused: probe.paused,
            created_at: probe.created_at,
            updated_at: probe.updated_at,
            push_path: None,
        }
    }
}

fn last_run(run: LastRun) -> Value {
    let micros = |phase: Option<std::time::Duration>| phase.map(|phase| phase.as_micros());
    let facts: serde_json::Map<String, Value> =
        run.facts.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "at": run.at,
        "good": run.good,
        "reason": run.reason,
        "phases_us": {
            "dns": micros(run.phases.dns),
            "connect": micros(run.phases.connect),
            "tls": micros(run.phases.tls),
            "answer": micros(run.phases.answer),
            "transfer": micros(run.phases.transfer),
            "total": run.phases.total.as_micros(),
        },
        "facts": facts,
    })
}
