//! The page for machines: an Atom feed, and JSON in the shapes that widgets for statuspage.io read.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::facts::{Facts, Planned, ServiceFacts};
use super::{Document, Documents, words};
use crate::base::Timestamp;
use crate::health::services::ServiceStatus;
use crate::status_page::posts::{Impact, Post, Stage};

/// Entries of the feed, and posts of one JSON answer.
const POSTS_MAX: usize = 50;

pub(super) fn render(facts: &Facts, documents: &mut Documents) {
    let feed = Document::page("application/atom+xml; charset=utf-8", atom(facts));
    documents.insert("/status/feed.atom".to_owned(), feed);
    let page = page(facts);
    let status = status(facts);
    let components: Vec<Value> = facts.services().map(|one| component(facts, one)).collect();
    let incidents: Vec<Value> =
        facts.posts.iter().take(POSTS_MAX).map(|post| incident(facts, post)).collect();
    let open: Vec<Value> = facts.open_posts().map(|post| incident(facts, post)).collect();
    let planned: Vec<Value> = facts.planned.iter().map(|work| maintenance(facts, work)).collect();
    for (name, body) in [
        ("status", json!({ "page": page, "status": status })),
        (
            "summary",
            json!({
                "page": page, "status": status, "components": components, "incidents": open,
                "scheduled_maintenances": planned,
            }),
        ),
        ("components", json!({ "page": page, "components": components })),
        ("incidents", json!({ "page": page, "incidents": incidents })),
        ("scheduled-maintenances", json!({ "page": page, "scheduled_maintenances": planned })),
    ] {
        let document = Document::page("application/json", body.to_string());
        documents.insert(format!("/status/api/v2/{name}.json"), document);
    }
}

fn page(facts: &Facts) -> Value {
    json!({
        "id": "tocsin",
        "name": facts.title,
        "url": format!("{}/status", facts.base_url),
        "time_zone": "Etc/UTC",
        "updated_at": facts.now,
    })
}

fn status(facts: &Facts) -> Value {
    let is = |status| facts.services().any(|one| one.status == status);
    let critical = facts.services().any(|one| one.status == ServiceStatus::Unhealthy && one.critical);
    let indicator = if critical {
        "critical"
    } else if is(ServiceStatus::Unhealthy) {
        "major"
    } else if is(ServiceStatus::Degraded) {
        "minor"
    } else {
        "none"
    };
    json!({ "indicator": indicator, "description": words::headline(facts).1 })
}

fn component(facts: &Facts, one: &ServiceFacts) -> Value {
    let status = match one.status {
        // What nobody saw is not said to be broken; `seen` says so.
        ServiceStatus::Healthy | ServiceStatus::Unknown => "operational",
        ServiceStatus::Degraded => "degraded_performance",
        ServiceStatus::Unhealthy => "major_outage",
        ServiceStatus::Maintenance => "under_maintenance",
    };
    let times = one.times(one.days.len());
    json!({
        "id": one.badge,
        "name": one.title,
        "status": status,
        "seen": one.status != ServiceStatus::Unknown && !facts.is_blind,
        "latency_ms": one.latency_ms,
        "uptime_90_days": times.uptime(),
        "not_seen_90_days_s": times.blind.as_secs(),
        "updated_at": facts.now,
    })
}

fn incident(facts: &Facts, post: &Post) -> Value {
    let updates: Vec<Value> = post
        .updates
        .iter()
        .map(|update| json!({ "status": update.stage, "body": update.text, "created_at": update.at }))
        .collect();
    json!({
        "id": post.id,
        "name": post.title,
        "status": post.stage,
        "impact": post.impact,
        "created_at": post.began_at,
        "updated_at": updated(post),
        "resolved_at": post.resolved_at,
        "shortlink": link(facts, post),
        "components": facts.titles(post),
        "incident_updates": updates,
    })
}

fn maintenance(facts: &Facts, work: &Planned) -> Value {
    json!({
        "id": work.id,
        "name": work.title,
        "status": if work.is_now { "in_progress" } else { "scheduled" },
        "impact": Impact::None,
        "scheduled_for": work.begins_at,
        "scheduled_until": work.ends_at,
        "shortlink": format!("{}/status", facts.base_url),
        "components": work.services,
        "body": work.message,
    })
}

fn atom(facts: &Facts) -> String {
    let own = format!("{}/status", facts.base_url);
    let newest = facts.posts.iter().map(updated).max().unwrap_or(Timestamp::EPOCH);
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>{0}</id>\
         <title>{1}</title><updated>{newest}</updated><link href=\"{0}\"/>\
         <link rel=\"self\" href=\"{0}/feed.atom\"/><author><name>{1}</name></author>\n",
        escape(&own),
        escape(&facts.title),
    );
    for post in facts.posts.iter().take(POSTS_MAX) {
        let said: Vec<String> = post
            .updates
            .iter()
            .map(|update| format!("{}, {}: {}", update.at, words::stage(update.stage), update.text))
            .collect();
        let over = if post.stage == Stage::Resolved { "Resolved: " } else { "" };
        // Writing to a String cannot fail.
        writeln!(
            feed,
            "<entry><id>urn:uuid:{}</id><title>{over}{}</title><updated>{}</updated><published>{}</published>\
             <link href=\"{}\"/><content type=\"text\">{}</content></entry>",
            post.id,
            escape(&post.title),
            updated(post),
            post.began_at,
            escape(&link(facts, post)),
            escape(&said.join("\n")),
        )
        .unwrap_or_default();
    }
    feed.push_str("</feed>\n");
    feed
}

fn updated(post: &Post) -> Timestamp {
    post.updates.first().map_or(post.began_at, |update| update.at)
}

fn link(facts: &Facts, post: &Post) -> String {
    format!("{}/status/history#p-{}", facts.base_url, post.id)
}

/// For XML: what may not stand in it at all is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
