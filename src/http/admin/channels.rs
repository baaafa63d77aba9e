//! The channels: who can be rung, in which order, and how each is.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::{Value, json};

use super::channel_words::{changed_elsewhere, headline, standing, state_badge};
use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::incident_words::Badge;
use super::wording::When;
use crate::accounts::access::{Permission, Subject};
use crate::accounts::audit::{self, Change};
use crate::base::{Timestamp, Uid};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::incidents::channels::{self, Channel, ChannelKind, ChannelState};
use crate::incidents::queries::Scope;
use crate::incidents::{DeliveryState, Incidents, messages};
use crate::notify::outbox::Outbox;
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "channels.html", config = "src/http/admin/askama.toml")]
struct ChannelsPage {
    frame: Frame,
    headline: String,
    sub: String,
    lines: Vec<Line>,
}

struct Line {
    id: String,
    name: String,
    is_mail: bool,
    target: String,
    owner: &'static str,
    badge: Badge,
    standing: String,
    delivered: Option<When>,
    is_first: bool,
    is_last: bool,
}

/// What a button does to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Test,
    Pause,
    Resume,
    Up,
    Down,
    Remove,
}

/// `GET /channels`
pub(super) async fn list(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::Configure, Subject::Instance)?;
    let (now, outbox) = (state.clock.now(), state.outbox.clone());
    let rendered = state
        .store
        .read(move |tx| {
            let known = channels::list(tx)?;
            let waiting = messages::count(tx, Scope::All, &[DeliveryState::Waiting])?;
            let (headline, sub) = headline(&known, waiting);
            let last = known.len().saturating_sub(1);
            let lines = known
                .iter()
                .enumerate()
                .map(|(at, channel)| line(channel, &outbox, now, (at == 0, at == last)));
            Ok::<_, Problem>(ChannelsPage {
                headline,
                sub,
                lines: lines.collect(),
                frame: Frame::load(tx, &signed_in, Place::Channels)?,
            })
        })
        .await?;
    page(&rendered)
}

fn line(channel: &Channel, outbox: &Outbox, now: Timestamp, (is_first, is_last): (bool, bool)) -> Line {
    Line {
        id: channel.uid.to_string(),
        name: channel.name.clone(),
        is_mail: channel.kind == ChannelKind::Email,
        target: target(outbox, channel),
        owner: changed_elsewhere(channel.owner),
        badge: state_badge(channel, now),
        standing: standing(channel, now),
        delivered: channel.delivered_at.map(|at| When::new(at, now)),
        is_first,
        is_last,
    }
}

/// Where a channel leads, without its secrets.
pub(super) fn target(outbox: &Outbox, channel: &Channel) -> String {
    if channel.state == ChannelState::Absent {
        return "nowhere now".to_owned();
    }
    outbox.open(channel).map_or_else(|error| format!("cannot be read: {error}"), |channel| channel.describe())
}

/// The channel that an address names.
pub(super) fn find(tx: &ReadTx<'_>, id: &str) -> Result<Channel, Problem> {
    let missing = || Problem::not_found("channel");
    let uid: Uid = id.parse().map_err(|_| missing())?;
    let found = channels::find_by_uid(tx, uid)?.ok_or_else(missing)?;
    channels::find(tx, found)?.ok_or_else(missing)
}

/// `POST /channels/{id}/{act}`: a button of the list or of the channel's page.
pub(super) async fn act(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (id, word) = path.into_inner();
    let act = Act::parse(&word).ok_or_else(|| Problem::not_found("page"))?;
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let (now, incidents) = (state.clock.now(), Arc::clone(&state.incidents));
    let named = id.clone();
    state
        .store
        .write("channel.act", move |tx| {
            let channel = find(tx, &named)?;
            let by = caller.by(now);
            let detail = carry_out(tx, &incidents, now, (&channel, act, &by.actor.to_string()))?;
            let change = Change { action: act.audited(), subject: &channel.name, project: None, detail };
            Ok::<_, Problem>(audit::append(tx, &by, &change)?)
        })
        .await?;
    Ok(see_other(&match (act, form.text("to")) {
        (Act::Test, _) => format!("/channels/{id}#last"),
        (Act::Pause | Act::Resume, "channel") => format!("/channels/{id}"),
        _ => "/channels".to_owned(),
    }))
}

fn carry_out(
    tx: &WriteTx<'_>,
    incidents: &Incidents,
    now: Timestamp,
    (channel, act, by): (&Channel, Act, &str),
) -> Result<Value, Problem> {
    let id = channel.id;
    match act {
        Act::Test => {
            incidents.write_test(tx, now, id, by)?;
        }
        Act::Pause => incidents.pause_channel(tx, now, id, &format!("paused by {by}"))?,
        Act::Resume => incidents.resume_channel(tx, now, id)?,
        Act::Up | Act::Down => {
            let place = channels::list(tx)?.iter().position(|known| known.id == id).unwrap_or(0);
            let place = if act == Act::Up { place.saturating_sub(1) } else { place + 1 };
            channels::move_to(tx, id, place)?;
            return Ok(json!({ "place": place + 1 }));
        }
        Act::Remove => {
            let handed_on = channels::count_undelivered(tx, id)?;
            incidents.remove_channel(tx, now, id)?;
            return Ok(json!({ "kind": channel.kind.as_str(), "messages_handed_on": handed_on }));
        }
    }
    Ok(Value::Null)
}

impl Act {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "test" => Self::Test,
            "pause" => Self::Pause,
            "resume" => Self::Resume,
            "up" => Self::Up,
            "down" => Self::Down,
            "remove" => Self::Remove,
            _ => return None,
        })
    }

    const fn audited(self) -> &'static str {
        match self {
            Self::Test => "channel.test",
            Self::Pause => "channel.pause",
            Self::Resume => "channel.resume",
            Self::Up | Self::Down => "channel.move",
            Self::Remove => "channel.remove",
        }
    }
}
