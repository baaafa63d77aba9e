//! The page itself, and its history by month.

use askama::Template;

use super::facts::{Facts, Planned, ServiceFacts};
use super::{Document, Documents, words};
use crate::base::Timestamp;
use crate::health::services::ServiceStatus;
use crate::http::admin::statics;
use crate::status_page::history::{Day, Look};
use crate::status_page::posts::Post;

#[derive(Template)]
#[template(path = "status.html", config = "src/http/status/askama.toml")]
struct StatusPage<'f> {
    frame: Frame<'f>,
    class: &'static str,
    headline: String,
    sections: Vec<SectionRow<'f>>,
    open: Vec<PostRow<'f>>,
    recent: Vec<PostRow<'f>>,
    planned: Vec<PlannedRow<'f>>,
}

#[derive(Template)]
#[template(path = "history.html", config = "src/http/status/askama.toml")]
struct HistoryPage<'f> {
    frame: Frame<'f>,
    months: Vec<Month<'f>>,
}

/// What both pages begin and end with.
struct Frame<'f> {
    title: &'f str,
    description: &'f str,
    support_url: Option<&'f str>,
    css: String,
    icon: String,
    updated: String,
}

struct SectionRow<'f> {
    title: &'f str,
    services: Vec<ServiceRow<'f>>,
}

struct ServiceRow<'f> {
    title: &'f str,
    class: &'static str,
    word: &'static str,
    latency: Option<String>,
    uptime: String,
    bars: Vec<Bar>,
    /// Days that say more than that it worked, the newest first.
    told: Vec<String>,
}

struct Bar {
    x: usize,
    /// Its upper end: a state has a shape, for those who see no colours.
    y: usize,
    height: usize,
    class: &'static str,
    words: String,
}

struct PostRow<'f> {
    title: &'f str,
    class: &'static str,
    stage: &'static str,
    services: String,
    began: String,
    updates: Vec<UpdateRow<'f>>,
    anchor: String,
}

struct UpdateRow<'f> {
    at: String,
    stage: &'static str,
    text: &'f str,
}

struct PlannedRow<'f> {
    title: &'f str,
    message: &'f str,
    when: String,
    word: &'static str,
    services: String,
}

struct Month<'f> {
    name: String,
    posts: Vec<PostRow<'f>>,
}

/// Width of a bar with its gap, in the units of the drawing.
const BAR_STEP: usize = 10;
const BAR_HEIGHT: usize = 34;
/// Posts that are over and still stand on the page itself.
const RECENT_FOR: std::time::Duration = std::time::Duration::from_hours(24 * 14);

pub(super) fn render(facts: &Facts, documents: &mut Documents) -> Result<(), askama::Error> {
    let (class, headline) = words::headline(facts);
    let since = facts.now - RECENT_FOR;
    let over = facts.posts.iter().filter(|post| post.resolved_at.is_some_and(|at| at >= since));
    let page = StatusPage {
        frame: frame(facts),
        class,
        headline,
        sections: facts
            .sections
            .iter()
            .map(|section| SectionRow {
                title: &section.title,
                services: section.services.iter().map(service).collect(),
            })
            .collect(),
        open: facts.open_posts().map(|one| post(facts, one)).collect(),
        recent: over.map(|one| post(facts, one)).collect(),
        planned: facts.planned.iter().map(planned).collect(),
    };
    let html = "text/html; charset=utf-8";
    documents.insert("/status".to_owned(), Document::page(html, page.render()?));
    let history = HistoryPage { frame: frame(facts), months: months(facts) };
    documents.insert("/status/history".to_owned(), Document::page(html, history.render()?));
    Ok(())
}

fn frame(facts: &Facts) -> Frame<'_> {
    Frame {
        title: &facts.title,
        description: &facts.description,
        support_url: facts.support_url.as_deref(),
        css: statics::url("status.css"),
        icon: statics::url("bell.svg"),
        updated: moment(facts.now),
    }
}

fn service(one: &ServiceFacts) -> ServiceRow<'_> {
    let (class, word) = words::status(one.status);
    let bars = one.days.iter().enumerate().map(|(nth, day)| bar(nth * BAR_STEP, day));
    let answers = matches!(one.status, ServiceStatus::Healthy | ServiceStatus::Degraded);
    ServiceRow {
        title: &one.title,
        class,
        word,
        latency: one.latency_ms.filter(|_| answers).map(words::latency),
        uptime: words::uptime(&one.times(one.days.len())),
        bars: bars.collect(),
        told: one.days.iter().rev().filter(|day| words::is_told(day)).map(words::day).collect(),
    }
}

/// The better the day, the taller.
fn bar(x: usize, day: &Day) -> Bar {
    let look = day.times.look();
    let height = match look {
        Look::Up | Look::Blind => BAR_HEIGHT,
        Look::Degraded => 24,
        Look::Maintenance => 17,
        Look::Down => 10,
        Look::NoData => 4,
    };
    Bar { x, y: BAR_HEIGHT - height, height, class: look.as_str(), words: words::day(day) }
}

fn post<'f>(facts: &Facts, post: &'f Post) -> PostRow<'f> {
    let update = |update: &'f crate::status_page::posts::Update| UpdateRow {
        at: moment(update.at),
        stage: words::stage(update.stage),
        text: &update.text,
    };
    PostRow {
        title: &post.title,
        class: if post.resolved_at.is_some() { "ok" } else { words::impact(post.impact) },
        stage: words::stage(post.stage),
        services: facts.titles(post).join(", "),
        began: moment(post.began_at),
        updates: post.updates.iter().map(update).collect(),
        anchor: format!("p-{}", post.id),
    }
}

fn planned(work: &Planned) -> PlannedRow<'_> {
    PlannedRow {
        title: &work.title,
        message: &work.message,
        when: words::between(work.begins_at, work.ends_at),
        word: if work.is_now { "now" } else { "planned" },
        services: work.services.join(", "),
    }
}

fn months(facts: &Facts) -> Vec<Month<'_>> {
    let mut months: Vec<Month<'_>> = Vec::new();
    for one in &facts.posts {
        let name = one.began_at.to_chrono().format("%B %Y").to_string();
        match months.last_mut().filter(|month| month.name == name) {
            Some(month) => month.posts.push(post(facts, one)),
            None => months.push(Month { name, posts: vec![post(facts, one)] }),
        }
    }
    months
}

/// Strangers read it anywhere: the date and the zone are said.
fn moment(at: Timestamp) -> String {
    at.to_chrono().format("%-d %b %Y, %H:%M UTC").to_string()
}
