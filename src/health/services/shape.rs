//! What `/api/health` answers, in its two forms: ours, and `application/health+json` (draft-inadarei-api-health-check).

use serde_json::{Map, Value, json};

use super::rule::ServiceStatus;
use super::snapshot::{Metrics, Seen, Snapshot};
use crate::accounts::Visible;
use crate::probes::Status;

/// Facts by the word that they begin with, and under which name they stand together in an answer.
const SECTIONS: [(&str, &str); 13] = [
    ("cert.", "certificate"),
    ("table.", "tables"),
    ("rows", "tables"),
    ("newest_row.", "freshness"),
    ("newest_object.", "freshness"),
    ("age", "freshness"),
    ("used_memory", "memory"),
    ("memory.", "memory"),
    ("swap.", "memory"),
    ("rss", "memory"),
    ("load", "cpu"),
    ("disk.", "disk"),
    ("inodes.", "disk"),
];

/// Every service in a few words, and the numbers.
pub fn overview(snapshot: &Snapshot, visible: &Visible) -> Value {
    whole(snapshot, visible, short)
}

/// Every service with all that is known of it; `own` is what tocsin says of itself.
pub fn detailed(snapshot: &Snapshot, visible: &Visible, own: Value) -> Value {
    let mut body = whole(snapshot, visible, long);
    body["tocsin"] = own;
    body
}

fn whole(snapshot: &Snapshot, visible: &Visible, show: fn(&Seen) -> Value) -> Value {
    let services: Map<String, Value> =
        snapshot.seen_by(visible).map(|seen| (seen.service.key.clone(), show(seen))).collect();
    json!({
        "status": status_for(snapshot, visible),
        "timestamp": snapshot.at,
        "services": services,
        "metrics": snapshot.metrics,
        "metric_sources": sources(&snapshot.metrics),
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// Over what somebody may see.
pub fn status_for(snapshot: &Snapshot, visible: &Visible) -> ServiceStatus {
    match visible {
        Visible::All => snapshot.status,
        Visible::Only(_) => {
            super::overall(snapshot.seen_by(visible).map(|seen| (seen.service.status, seen.service.critical)))
        }
    }
}

/// Where each number comes from, or why it is null.
fn sources(metrics: &Metrics) -> Value {
    let source =
        |value: Option<f64>, known: &str, unknown: &str| json!(if value.is_some() { known } else { unknown });
    json!({
        "response_time_ms": source(
            metrics.response_time_ms,
            "mean of the last answers to the probes of all services",
            "unknown: no probe is set up",
        ),
        "active_users": source(
            metrics.active_users,
            "the last metric active_users of each project, added up",
            "unknown: nobody reported a metric active_users in the last 10 minutes",
        ),
        "queue_depth": source(
            metrics.queue_depth,
            "the last metric queue_depth of each project, added up",
            "unknown: nobody reported a metric queue_depth in the last 10 minutes",
        ),
        "error_rate": source(
            metrics.error_rate,
            "the mean of the last metrics error_rate of each project",
            "unknown: nobody reported a metric error_rate in the last 10 minutes",
        ),
    })
}

/// One service in a few words.
pub fn short(seen: &Seen) -> Value {
    let service = &seen.service;
    let mut shown = json!({
        "status": service.status,
        "latency": seen.latency_ms(),
        "error": error(service.status, &service.reason),
    });
    if service.needs.least().is_some() {
        shown["providers"] = (0..service.members.len()).map(|nth| provider(seen, nth)).collect();
    }
    shown
}

fn provider(seen: &Seen, nth: usize) -> Value {
    let member = &seen.service.members[nth];
    let is_well = matches!(member.status, Status::Healthy | Status::Degraded);
    json!({
        "provider": member.key,
        "status": member.status,
        "latency": seen.member_latency_ms(nth),
        "error": if is_well || member.reason.is_empty() { Value::Null } else { json!(member.reason) },
    })
}

/// A note to a service that is well is no error.
fn error(status: ServiceStatus, reason: &str) -> Value {
    match status {
        ServiceStatus::Healthy => Value::Null,
        ServiceStatus::Unknown
        | ServiceStatus::Degraded
        | ServiceStatus::Unhealthy
        | ServiceStatus::Maintenance => json!(reason),
    }
}

/// One service with all that is known of it.
pub fn long(seen: &Seen) -> Value {
    let service = &seen.service;
    let mut shown = short(seen);
    let live = || seen.live.iter().flatten();
    let last_good = live().filter_map(|live| live.last_good_at).max();
    let checked = service.members.iter().filter_map(|member| member.checked_at).max();
    let checked = live().filter_map(|live| live.last.as_ref().map(|last| last.at)).max().or(checked);
    let more = json!({
        "name": service.name,
        "project": service.project_slug,
        "critical": service.critical,
        "needs": service.needs,
        "message": service.reason,
        "since": service.since,
        "checked_at": checked,
        "last_good_at": last_good,
        "members": (0..service.members.len()).map(|nth| member(seen, nth)).collect::<Vec<_>>(),
    });
    merge(&mut shown, more);
    merge(&mut shown, Value::Object(sections(seen)));
    shown
}

fn member(seen: &Seen, nth: usize) -> Value {
    let mut shown = json!(seen.service.members[nth]);
    shown["latency"] = json!(seen.member_latency_ms(nth));
    let Some(live) = seen.live.get(nth).and_then(Option::as_ref) else { return shown };
    shown["flapping"] = json!(live.flapping);
    shown["last_good_at"] = json!(live.last_good_at);
    shown["next_at"] = json!(live.next_at);
    let Some(last) = &live.last else { return shown };
    let phases = &last.phases;
    let ms = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    shown["phases_ms"] = json!({
        "dns": ms(phases.dns), "connect": ms(phases.connect), "tls": ms(phases.tls),
        "answer": ms(phases.answer), "transfer": ms(phases.transfer), "total": ms(Some(phases.total)),
    });
    shown["facts"] = last.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    shown
}

/// What probes saw, by what it is about: `tables`, `freshness`, `certificate`, `memory`, `cpu`, `disk`; in each by the
/// member's key.
fn sections(seen: &Seen) -> Map<String, Value> {
    let mut found = Map::new();
    for (member, live) in seen.service.members.iter().zip(&seen.live) {
        let facts = live.iter().filter_map(|live| live.last.as_ref()).flat_map(|last| &last.facts);
        for (name, value) in facts {
            if let Some((_, section)) = SECTIONS.iter().find(|(word, _)| name.starts_with(word)) {
                let section = found.entry(*section).or_insert_with(|| json!({}));
                section[&member.key][*name] = json!(value);
            }
        }
    }
    found
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

/// As `application/health+json`.
pub fn health_json(snapshot: &Snapshot, visible: &Visible) -> Value {
    let services: Vec<&Seen> = snapshot.seen_by(visible).collect();
    standard(snapshot, status_for(snapshot, visible), &services)
}

/// One service as `application/health+json`.
pub fn health_json_of(snapshot: &Snapshot, seen: &Seen) -> Value {
    standard(snapshot, seen.service.status, &[seen])
}

fn standard(snapshot: &Snapshot, status: ServiceStatus, services: &[&Seen]) -> Value {
    let mut checks = Map::new();
    let mut outputs = Vec::new();
    for seen in services {
        let service = &seen.service;
        let mut check = json!({
            "componentId": service.uid,
            "componentType": "component",
            "status": word(service.status),
            "time": snapshot.at,
        });
        if let Some(latency) = seen.latency_ms() {
            merge(&mut check, json!({ "observedValue": latency, "observedUnit": "ms" }));
        }
        if let Value::String(output) = error(service.status, &service.reason) {
            outputs.push(format!("{}: {output}", service.key));
            check["output"] = Value::String(output);
        }
        checks.insert(format!("{}:responseTime", service.key), json!([check]));
    }
    let mut body = json!({
        "status": word(status),
        "version": "1",
        "releaseId": env!("CARGO_PKG_VERSION"),
        "description": "the services that tocsin watches",
        "checks": checks,
    });
    if !outputs.is_empty() {
        body["output"] = json!(outputs.join("; "));
    }
    body
}

/// pass, warn and fail are healthy, degraded and unhealthy; what nobody can judge is a warning.
pub const fn word(status: ServiceStatus) -> &'static str {
    match status {
        ServiceStatus::Healthy => "pass",
        ServiceStatus::Unknown | ServiceStatus::Degraded | ServiceStatus::Maintenance => "warn",
        ServiceStatus::Unhealthy => "fail",
    }
}
