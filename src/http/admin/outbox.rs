//! The outbox: every message that was written, where it is, and its proof.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::incident::{MessageLine, message_line};
use super::incident_words::{Badge, delivery_badge, purpose_label};
use super::moments::{between, clock};
use super::wording::{When, count};
use crate::accounts::Visible;
use crate::accounts::access::Permission;
use crate::accounts::audit::{self, Change};
use crate::base::{Timestamp, Uid};
use crate::http::auth::SignedIn;
use crate::http::visible::{Slugs, scope, subject};
use crate::http::{AppState, Problem};
use crate::incidents::queries::{self, PageOf, Scope};
use crate::incidents::views::DeliveryView;
use crate::incidents::{DeliveryId, DeliveryState, messages};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "outbox.html", config = "src/http/admin/askama.toml")]
struct OutboxPage {
    frame: Frame,
    headline: String,
    sub: String,
    /// Whose age belongs to the whole installation; empty where nothing is late.
    oldest: String,
    tabs: Vec<Tab>,
    state: String,
    lines: Vec<Line>,
    next: Option<i64>,
    is_first: bool,
}

struct Tab {
    state: &'static str,
    name: &'static str,
    count: Option<String>,
}

struct Line {
    id: String,
    badge: Badge,
    purpose: String,
    channel: String,
    project: String,
    incident: Option<Uid>,
    /// Which incident it is about, by number and summary; empty where it is about none.
    about: String,
    written: When,
    attempts: String,
    outcome: String,
    quantity: String,
    may_send_again: bool,
}

#[derive(Template)]
#[template(path = "message.html", config = "src/http/admin/askama.toml")]
struct MessagePage {
    frame: Frame,
    message: MessageLine,
    incident: Option<Uid>,
    about: String,
    project: String,
    may_send_again: bool,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    before: Option<i64>,
}

/// Messages of a page.
const LINES: u32 = 50;
/// The tabs: their word in addresses, their name, and whether its number is worth counting.
const TABS: [(&str, &str, bool); 6] = [
    ("", "All", false),
    ("pending", "On the way", true),
    ("waiting", "Waiting for a channel", true),
    ("failed", "Failed", true),
    ("delivered", "Delivered", false),
    ("cancelled", "Cancelled", false),
];

/// What a tab lists and counts; none: everything.
fn states(tab: &str) -> &'static [DeliveryState] {
    match tab {
        "pending" => &DeliveryState::UNDER_WAY,
        "waiting" => &[DeliveryState::Waiting],
        "failed" => &[DeliveryState::Failed],
        "delivered" => &[DeliveryState::Delivered],
        "cancelled" => &[DeliveryState::Cancelled],
        _ => &[],
    }
}

/// `GET /outbox`
pub(super) async fn list(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (asked, now) = (asked.into_inner(), state.clock.now());
    let wanted = asked.state.unwrap_or_default();
    let wanted = TABS.into_iter().map(|(state, _, _)| state).find(|state| *state == wanted).unwrap_or("");
    let rendered = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let in_scope = scope(&visible);
            let of = PageOf { before: asked.before, limit: LINES };
            let mut found = messages::list(tx, in_scope, states(wanted), of)?;
            let mut slugs = Slugs::default();
            found.items.iter_mut().try_for_each(|message| slugs.name_delivery(tx, message))?;
            let frame = Frame::load(tx, &signed_in, Place::Outbox)?;
            let counted = |states: &[DeliveryState]| messages::count(tx, in_scope, states);
            let (moving, waiting, failed) =
                (counted(states("pending"))?, counted(states("waiting"))?, counted(states("failed"))?);
            let oldest = match visible {
                Visible::All => messages::find_oldest_undelivered(tx)?,
                Visible::Only(_) => None,
            };
            let (headline, sub) = headline(moving, waiting, failed);
            let is_member = frame.is_member;
            let mut lines = Vec::new();
            for message in found.items {
                let about = about(tx, in_scope, &message)?;
                lines.push(Line { about, ..line(&message, now, is_member) });
            }
            Ok::<_, Problem>(OutboxPage {
                frame,
                headline,
                sub,
                oldest: oldest.map(|at| between(at, now)).unwrap_or_default(),
                tabs: tabs(moving, waiting, failed),
                state: wanted.to_owned(),
                lines,
                next: found.next,
                is_first: asked.before.is_none(),
            })
        })
        .await?;
    page(&rendered)
}

/// `GET /outbox/{id}`: one message with its proof.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("message"))?;
    let now = state.clock.now();
    let rendered = state
        .store
        .read(move |tx| {
            let visible = signed_in.session.actor().visible();
            let found = messages::find(tx, scope(&visible), id)?;
            let mut found = found.ok_or_else(|| Problem::not_found("message"))?;
            Slugs::default().name_delivery(tx, &mut found.delivery)?;
            let frame = Frame::load(tx, &signed_in, Place::Outbox)?;
            Ok::<_, Problem>(MessagePage {
                may_send_again: frame.is_member && may_send_again(&found.delivery),
                incident: found.delivery.incident_id,
                about: about(tx, scope(&visible), &found.delivery)?,
                project: found.delivery.project.clone().unwrap_or_else(|| "tocsin itself".to_owned()),
                message: message_line(found, now),
                frame,
            })
        })
        .await?;
    page(&rendered)
}

/// `POST /outbox/{id}/again`: tries it now.
pub(super) async fn send_again(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let missing = || Problem::not_found("message");
    let id: Uid = id.parse().map_err(|_| missing())?;
    let (now, caller, incidents) = (state.clock.now(), form.caller(), Arc::clone(&state.incidents));
    state
        .store
        .write("delivery.again", move |tx| {
            let found = messages::find(tx, scope(&caller.visible()), id)?.ok_or_else(missing)?.delivery;
            caller.may(Permission::Triage, subject(found.project_id))?;
            incidents.send_again(tx, now, DeliveryId(found.row))?;
            let (by, project) = (caller.by(now), found.project_id);
            let subject = found.channel.as_deref().unwrap_or("no channel");
            let detail = json!({ "delivery": found.id });
            Ok::<_, Problem>(audit::append(
                tx,
                &by,
                &Change { action: "delivery.again", subject, project, detail },
            )?)
        })
        .await?;
    Ok(see_other(&format!("/outbox/{id}")))
}

/// The incident that a message is about, as its own page names it.
fn about(tx: &ReadTx<'_>, scope: Scope<'_>, message: &DeliveryView) -> Result<String, Problem> {
    let Some(uid) = message.incident_id else { return Ok(String::new()) };
    let incident = queries::find(tx, scope, uid)?;
    Ok(incident.map(|incident| format!("#{} {}", incident.number, incident.summary)).unwrap_or_default())
}

fn may_send_again(message: &DeliveryView) -> bool {
    message.channel.is_some() && matches!(message.state, DeliveryState::Failed | DeliveryState::Pending)
}

fn line(message: &DeliveryView, now: Timestamp, is_member: bool) -> Line {
    let to = message.recipient.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
    let outcome = match (message.delivered_at, message.next_attempt_at, &message.last_error) {
        (Some(at), _, None) => format!("after {}", between(message.created_at, at)),
        (Some(at), _, Some(part)) => format!("after {}; {part}", between(message.created_at, at)),
        (None, Some(at), Some(error)) => format!("next try at {}: {error}", clock(at, now)),
        (None, Some(at), None) => format!("due at {}", clock(at, now)),
        (None, None, error) => error.clone().unwrap_or_default(),
    };
    Line {
        id: message.id.to_string(),
        badge: delivery_badge(message.state),
        purpose: purpose_label(&message.purpose).to_owned(),
        channel: format!("{}{to}", message.channel.as_deref().unwrap_or("no channel yet")),
        project: message.project.clone().unwrap_or_else(|| "tocsin itself".to_owned()),
        incident: message.incident_id,
        about: String::new(),
        written: When::new(message.created_at, now),
        attempts: count(message.attempts),
        outcome,
        quantity: if message.quantity > 1 {
            format!("stands for {}", count(message.quantity))
        } else {
            String::new()
        },
        may_send_again: is_member && may_send_again(message),
    }
}

fn tabs(moving: i64, waiting: i64, failed: i64) -> Vec<Tab> {
    let number = |number: i64| {
        let more = if number >= messages::COUNTED_MAX { "+" } else { "" };
        format!("{}{more}", count(number))
    };
    TABS.into_iter()
        .map(|(state, name, counts)| {
            let of = match state {
                "pending" => moving,
                "waiting" => waiting,
                _ => failed,
            };
            Tab { state, name, count: Some(number(of)).filter(|_| counts && of > 0) }
        })
        .collect()
}

fn headline(moving: i64, waiting: i64, failed: i64) -> (String, String) {
    let first = match (waiting, moving) {
        (0, 0) => "Every message is out".to_owned(),
        (0, 1) => "One message is on its way".to_owned(),
        (0, many) => format!("{} messages are on their way", count(many)),
        (1, _) => "One message waits for a channel".to_owned(),
        (many, _) => format!("{} messages wait for a channel", count(many)),
    };
    let second = match (waiting, failed) {
        (1.., _) => "Nobody can be rung yet. Add a channel: what waits comes as one message.".to_owned(),
        (_, 0) => "Nothing failed.".to_owned(),
        (_, 1) => "One failed for good and went another way where there was one.".to_owned(),
        (_, many) => format!("{} failed for good and went another way where there was one.", count(many)),
    };
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headline_says_first_what_somebody_must_do() {
        assert_eq!(headline(0, 0, 0).0, "Every message is out");
        assert_eq!(headline(1, 0, 0).0, "One message is on its way");
        let (first, second) = headline(5, 1200, 3);
        assert_eq!(first, "1,200 messages wait for a channel");
        assert!(second.contains("Add a channel"), "{second}");
    }
}
