//! The overview: does anything need somebody, what is loud now, and what could not be heard.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;

use super::frame::{Frame, Place, page};
use super::incident_words::headline;
use super::incidents::{IncidentLine, line};
use super::moments::{between, clock, span};
use super::overview_health::Health;
use super::plot::DayPlot;
use super::wording::{count, counted, few, severity_class};
use crate::accounts::projects::{self, Project};
use crate::base::{ProjectId, Timestamp};
use crate::health::services::Snapshot;
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope};
use crate::http::{AppState, Problem};
use crate::incidents::channels::{self, Channel, ChannelState};
use crate::incidents::queries::{self as incidents, PageOf, Scope, StateFilter};
use crate::incidents::{DeliveryState, IncidentState, messages};
use crate::issues::queries::{IssueView, loudest, project_hours};
use crate::store::{Error, ReadTx};

#[derive(Template)]
#[template(path = "overview.html", config = "src/http/admin/askama.toml")]
struct OverviewPage {
    frame: Frame,
    headline: String,
    sub: String,
    /// Where the first project says how to connect an app, while nothing was ever heard.
    welcome: Option<String>,
    gaps: Vec<Gap>,
    /// What is watched from here; `None` where nothing is.
    health: Option<Health>,
    incidents: Vec<IncidentLine>,
    more_incidents: i64,
    figures: Vec<Figure>,
    loud: Vec<LoudLine>,
    loud_since: String,
    projects: Vec<ProjectLine>,
    more_projects: usize,
}

/// Something that keeps an alarm from being heard, with its cure.
#[derive(Debug, PartialEq, Eq)]
struct Gap {
    class: &'static str,
    what: String,
    cure: String,
}

struct Figure {
    name: &'static str,
    value: String,
    note: String,
    place: &'static str,
}

struct LoudLine {
    id: String,
    title: String,
    sub: String,
    severity: String,
    severity_class: &'static str,
    events: String,
}

struct ProjectLine {
    slug: String,
    name: String,
    is_heard: bool,
    events: String,
    plot: DayPlot,
}

/// What fits on one screen; the pages behind show all.
const INCIDENTS: u32 = 5;
const LOUD: usize = 6;
const PROJECTS: usize = 12;
/// The time to detect is told over these days.
const MONTH: Duration = Duration::from_hours(30 * 24);

/// `GET /`.
pub(super) async fn show(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    let (now, watched) = (state.clock.now(), state.watched.get());
    let found = state.store.read(move |tx| load(tx, &signed_in, &watched, now)).await?;
    page(&found)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    watched: &Snapshot,
    now: Timestamp,
) -> Result<OverviewPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let in_scope = scope(&visible);
    let listed = projects::list(tx, &visible)?;
    let counts = incidents::count(tx, in_scope)?;
    let is_heard = listed.iter().any(|project| project.first_event_at.is_some());
    let needing = counts.open - incidents::count_silenced(tx, in_scope)?;
    let (headline, sub) = match (is_heard, needing + counts.acknowledged) {
        (false, 0) => silent(),
        (true, 0) => quiet(incidents::find_last_end(tx, in_scope)?, now),
        (_, 1.. | ..0) => headline(needing, counts.acknowledged),
    };
    let open = open_incidents(tx, in_scope, now)?;
    let shown = i64::try_from(open.len()).unwrap_or(0);
    let lines = project_lines(tx, &listed, now)?;
    let frame = Frame::load(tx, signed_in, Place::Overview)?;
    let events = lines.iter().map(|line| line.plot.total).sum();
    Ok(OverviewPage {
        headline,
        sub,
        welcome: listed
            .first()
            .filter(|_| !is_heard)
            .map(|project| format!("/projects/{}/welcome", project.slug)),
        gaps: gaps(&channels::list(tx)?),
        health: Health::read(tx, &visible, watched, now)?,
        incidents: open,
        more_incidents: counts.open + counts.acknowledged - shown,
        figures: figures(tx, in_scope, now, events, frame.unresolved_issues)?,
        loud: loud_lines(tx, &listed, now)?,
        loud_since: clock(Timestamp::from_secs((now.as_secs() / 3600 - 1) * 3600), now),
        more_projects: lines.len().saturating_sub(PROJECTS),
        projects: lines.into_iter().take(PROJECTS).collect(),
        frame,
    })
}

fn silent() -> (String, String) {
    let sub = "tocsin listens. Connect an app, and what breaks in it appears here by itself.";
    ("Nothing was heard yet".to_owned(), sub.to_owned())
}

fn quiet(last_end: Option<Timestamp>, now: Timestamp) -> (String, String) {
    match last_end {
        Some(end) => (
            format!("All quiet for {}", between(end, now)),
            format!("No incident is open. The last one ended at {}.", clock(end, now)),
        ),
        None => headline(0, 0),
    }
}

/// Those that nobody has taken first.
fn open_incidents(tx: &ReadTx<'_>, scope: Scope<'_>, now: Timestamp) -> Result<Vec<IncidentLine>, Error> {
    let of = PageOf { before: None, limit: INCIDENTS };
    let list = |state| incidents::list(tx, scope, StateFilter::Only(state), of);
    let mut found = list(IncidentState::Open)?.items;
    found.extend(list(IncidentState::Acknowledged)?.items);
    found.truncate(INCIDENTS as usize);
    let mut slugs = Slugs::default();
    found.iter_mut().try_for_each(|incident| slugs.name_incident(tx, incident))?;
    Ok(found.into_iter().map(|incident| line(incident, now)).collect())
}

/// What keeps alarms from being heard, the worst first.
fn gaps(channels: &[Channel]) -> Vec<Gap> {
    let gap = |class, what: String, cure: &str| Gap { class, what, cure: cure.to_owned() };
    if channels.is_empty() {
        let cure = "There is no channel. Alarms wait in the outbox until there is one.";
        return vec![gap("bad", "Nobody can be rung".to_owned(), cure)];
    }
    let all_off = channels.iter().all(|channel| channel.state != ChannelState::Ready);
    let class = if all_off { "bad" } else { "warn" };
    let broken = |channel: &Channel| match channel.state {
        // Taken away on purpose, where the configuration is kept.
        ChannelState::Ready | ChannelState::Absent => None,
        ChannelState::Paused => Some(gap(
            class,
            format!("{} is paused", channel.name),
            if all_off { "No other channel works: nobody is rung." } else { "Other channels ring instead." },
        )),
        ChannelState::Broken => {
            let reason = channel.state_reason.as_deref().unwrap_or("It refused the last message for good.");
            Some(gap(class, format!("{} is broken", channel.name), reason))
        }
    };
    channels.iter().filter_map(broken).collect()
}

fn figures(
    tx: &ReadTx<'_>,
    scope: Scope<'_>,
    now: Timestamp,
    events: i64,
    unresolved: i64,
) -> Result<Vec<Figure>, Error> {
    let times = incidents::times_to_detect(tx, scope, now - MONTH)?;
    let counted_in = |states: &[DeliveryState]| messages::count(tx, scope, states);
    let (moving, waiting) = (counted_in(&DeliveryState::UNDER_WAY)?, counted_in(&[DeliveryState::Waiting])?);
    let failed = counted_in(&[DeliveryState::Failed])?;
    Ok(vec![
        Figure {
            name: "Errors",
            value: count(events),
            note: "in the last 24 hours".to_owned(),
            place: "/issues?status=all",
        },
        Figure {
            name: "Unresolved issues",
            value: few(unresolved),
            note: if unresolved == 0 { "nothing to decide" } else { "nobody has decided yet" }.to_owned(),
            place: "/issues",
        },
        Figure {
            name: "Time to detect",
            value: times.get(times.len() / 2).map_or_else(|| "—".to_owned(), |median| span(*median)),
            note: match times.len() {
                0 => "no incident in 30 days".to_owned(),
                1 => "of one incident in 30 days".to_owned(),
                many => format!("median of {many}, 30 days"),
            },
            place: "/incidents?show=all",
        },
        Figure {
            name: "Messages not out",
            value: count(moving + waiting),
            note: message_note(waiting, failed),
            place: "/outbox",
        },
    ])
}

fn message_note(waiting: i64, failed: i64) -> String {
    match (waiting, failed) {
        (0, 0) => "none failed".to_owned(),
        (0, _) => format!("{} failed", count(failed)),
        (_, 0) => format!("{} for want of a channel", count(waiting)),
        (..) => format!("{} for want of a channel, {} failed", count(waiting), count(failed)),
    }
}

fn loud_lines(tx: &ReadTx<'_>, listed: &[Project], now: Timestamp) -> Result<Vec<LoudLine>, Error> {
    let ids: Vec<ProjectId> = listed.iter().map(|project| project.id).collect();
    let line = |(issue, events): (IssueView, i64)| {
        let project = if listed.len() > 1 { issue.project.as_str() } else { "" };
        let parts = [project, issue.culprit.as_str()];
        LoudLine {
            id: issue.id.to_string(),
            sub: parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
            severity_class: severity_class(&issue.severity),
            severity: issue.severity,
            events: counted(events, "event"),
            title: issue.title,
        }
    };
    Ok(loudest(tx, now, &ids, LOUD)?.into_iter().map(line).collect())
}

/// The loudest project first; those that were never heard last.
fn project_lines(tx: &ReadTx<'_>, listed: &[Project], now: Timestamp) -> Result<Vec<ProjectLine>, Error> {
    let mut lines = Vec::with_capacity(listed.len());
    for project in listed {
        let plot = DayPlot::new(&project_hours(tx, now, project.id)?);
        lines.push(ProjectLine {
            slug: project.slug.to_string(),
            name: project.name.clone(),
            is_heard: project.first_event_at.is_some(),
            events: counted(plot.total, "event"),
            plot,
        });
    }
    lines.sort_by_key(|line| (!line.is_heard, std::cmp::Reverse(line.plot.total)));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Uid;
    use crate::incidents::ChannelId;
    use crate::incidents::channels::{ChannelHealth, ChannelKind, ChannelOwner};

    fn channel(name: &str, state: ChannelState, reason: Option<&str>) -> Channel {
        Channel {
            id: ChannelId(1),
            uid: Uid::from_bytes([1; 16]),
            name: name.to_owned(),
            kind: ChannelKind::Email,
            settings: serde_json::Value::Null,
            sealed: None,
            owner: ChannelOwner::Page,
            position: 1,
            state,
            state_reason: reason.map(str::to_owned),
            health: ChannelHealth::default(),
            created_at: Timestamp::EPOCH,
            delivered_at: None,
        }
    }

    #[test]
    fn what_cannot_be_heard_is_said_with_its_cure() {
        let ready = || channel("mail", ChannelState::Ready, None);
        let broken = || channel("ops", ChannelState::Broken, Some("404: no such hook"));
        assert_eq!(
            gaps(&[]).first().map(|gap| (gap.class, gap.what.as_str())),
            Some(("bad", "Nobody can be rung"))
        );
        assert_eq!(gaps(&[ready()]), []);
        let one = gaps(&[ready(), broken()]);
        assert_eq!((one.len(), one[0].class, one[0].cure.as_str()), (1, "warn", "404: no such hook"));
        let none = gaps(&[broken(), channel("mail", ChannelState::Paused, None)]);
        assert!(none.iter().all(|gap| gap.class == "bad"), "{none:?}");
    }

    #[test]
    fn quiet_says_for_how_long() {
        let now = Timestamp::from_secs(1_790_000_000);
        assert_eq!(quiet(None, now).0, "Nothing needs you");
        assert_eq!(quiet(Some(now - Duration::from_hours(12 * 24)), now).0, "All quiet for 12 d");
    }
}
