//! The desk of dead letters: what died where and of what, until somebody has dealt with it.

use std::collections::HashMap;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::super::address;
use super::super::form::Form;
use super::super::frame::{Frame, Place, page, see_other};
use super::super::wording::{When, count, counted};
use super::body::visible;
use super::requests::name;
use crate::accounts::Visible;
use crate::base::{Timestamp, Uid};
use crate::http::acts::webhook::{self as acts, DeliveryStep};
use crate::http::acts::webhook_deliveries::act_on_all;
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::queries::{self, DEAD_COUNTED_MAX, DeadOf, DeadThere, DeskFilter, DeskLine, Which};
use crate::webhooks::{Destination, DestinationId};

#[derive(Template)]
#[template(path = "webhook_dead.html", config = "src/http/admin/askama.toml")]
struct DeadPage {
    frame: Frame,
    asked: Asked,
    headline: String,
    sub: String,
    destinations: Vec<Choice>,
    places: Vec<DeadPlace>,
    lines: Vec<Line>,
    next: Option<String>,
}

struct Choice {
    key: String,
    name: String,
    chosen: bool,
}

/// A destination with what died there.
struct DeadPlace {
    name: String,
    address: String,
    /// Its own dead letters alone.
    alone: String,
    count: String,
    /// Something of it keeps deliveries back: replaying would only wait.
    state: String,
    causes: Vec<Cause>,
}

struct Cause {
    count: String,
    error: String,
    first: Option<When>,
    last: Option<When>,
    /// What the app answered to the newest.
    answer: String,
}

struct Line {
    id: String,
    request: String,
    event_type: String,
    event_id: String,
    /// Where it should have gone.
    destination: String,
    error: String,
    settled: String,
    received: When,
    died: Option<When>,
    attempts: String,
}

/// What the address asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A destination's key.
    destination: String,
    /// `settled`: those that somebody dealt with.
    which: String,
    before: String,
}

const PATH: &str = "/webhooks/dead";
const LINES: u32 = 50;
/// What can be selected on one page, twice over.
const SELECTED_MAX: usize = 100;
/// Causes told of one destination.
const CAUSES_MAX: usize = 8;

/// `GET /webhooks/dead`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    let (now, asked) = (state.clock.now(), asked.into_inner());
    page(&state.store.read(move |tx| load(tx, &signed_in, asked, now)).await?)
}

/// `POST /webhooks/dead/act`: the same for every `id`.
pub(super) async fn act(
    state: web::Data<AppState>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let wrong =
        || Problem::bad_request("Choose some webhooks, and whether to replay, settle or reopen them.");
    let (step, done, back) = match form.text("do") {
        "replay" => (DeliveryStep::Replay, "on the way again", None),
        "settle" => (DeliveryStep::Settle, "settled", Some("reopen")),
        "reopen" => (DeliveryStep::Reopen, "open again", Some("settle")),
        _ => return Err(wrong()),
    };
    let ids: Result<Vec<Uid>, _> = form.fields.all("id").map(str::parse).collect();
    let ids = ids.ok().filter(|ids| !ids.is_empty() && ids.len() <= SELECTED_MAX).ok_or_else(wrong)?;
    let changed = act_on_all(&state, form.caller(), ids, step).await?;
    if !request.headers().contains_key("hx-request") {
        return Ok(see_other(PATH));
    }
    let number = i64::try_from(changed.len()).unwrap_or(i64::MAX);
    let mut toast = json!({ "text": format!("{}: {done}.", counted(number, "webhook")) });
    if let Some(word) = back.filter(|_| !changed.is_empty()) {
        let ids = changed.iter().map(|line| ("id", line.delivery.uid.to_string()));
        let fields: Vec<_> = std::iter::once(("do", word.to_owned())).chain(ids).collect();
        toast["undo"] =
            json!({ "url": "/webhooks/dead/act", "fields": fields, "live": "live:webhook_deliveries" });
    }
    let events = json!({ "toast": toast, "live:webhook_deliveries": null });
    let value = HeaderValue::from_str(&events.to_string()).map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::NoContent().insert_header((HeaderName::from_static("hx-trigger"), value)).finish())
}

/// `3 are dead`; empty where none is.
pub(super) fn waiting(tx: &ReadTx<'_>, visible: &Visible) -> Result<String, Problem> {
    Ok(match queries::count_dead(tx, visible)? {
        0 => String::new(),
        1 => "1 is dead".to_owned(),
        many => format!("{} are dead", many_words(many, many > DEAD_COUNTED_MAX)),
    })
}

fn load(tx: &ReadTx<'_>, signed_in: &SignedIn, asked: Asked, now: Timestamp) -> Result<DeadPage, Problem> {
    let visible = signed_in.session.actor().visible();
    let chosen = match asked.destination.as_str() {
        "" => None,
        key => Some(acts::find_destination(tx, &visible, key)?.destination),
    };
    let wanted = chosen.as_ref().map(|destination| destination.id);
    let is_settled = asked.which == "settled";
    let filter = DeskFilter {
        visible: visible.clone(),
        source: None,
        destination: wanted,
        which: Which::Dead { settled: is_settled },
        before: asked.before.parse().ok(),
        limit: LINES,
    };
    let found = queries::desk(tx, &filter)?;
    let all: HashMap<DestinationId, Destination> =
        queries::all_destinations(tx, crate::webhooks::DESTINATIONS_MAX)?
            .into_iter()
            .filter(|destination| visible.contains(destination.project))
            .map(|destination| (destination.id, destination))
            .collect();
    let dead = queries::dead(tx, &visible, wanted)?;
    let (headline, sub) = headline(&dead, chosen.as_ref());
    let mut places = Vec::new();
    if !is_settled && asked.before.is_empty() {
        for there in &dead {
            places.extend(all.get(&there.destination).map(|of| place(tx, there, of, now)).transpose()?);
        }
    }
    let name_of = |id| all.get(&id).map_or("a removed destination", |destination| destination.name.as_str());
    Ok(DeadPage {
        frame: Frame::load(tx, signed_in, Place::Webhooks)?,
        headline,
        sub,
        places,
        lines: found.items.iter().map(|item| line(item, name_of(item.delivery.destination), now)).collect(),
        next: found.next.map(|next| asked.address(|asked| asked.before = next.to_string())),
        destinations: choices(&all, wanted),
        asked,
    })
}

fn choices(all: &HashMap<DestinationId, Destination>, wanted: Option<DestinationId>) -> Vec<Choice> {
    let choice = |destination: &Destination| Choice {
        key: destination.key.clone(),
        name: destination.name.clone(),
        chosen: wanted == Some(destination.id),
    };
    let mut choices: Vec<Choice> = all.values().map(choice).collect();
    choices.sort_by_key(|choice| choice.name.to_lowercase());
    choices
}

fn place(
    tx: &ReadTx<'_>,
    there: &DeadThere,
    destination: &Destination,
    now: Timestamp,
) -> Result<DeadPlace, Problem> {
    let mut causes = Vec::new();
    for cause in there.causes.iter().take(CAUSES_MAX) {
        causes.push(cause_of(tx, cause, now)?);
    }
    let source = queries::Names::default().source(tx, destination.source)?.unwrap_or_default();
    let state = match &destination.held {
        Some(held) => format!("{} holds it: what is replayed waits until it is resumed.", held.by),
        None => String::new(),
    };
    Ok(DeadPlace {
        name: destination.name.clone(),
        address: format!("/webhooks/{source}/destinations/{}", destination.key),
        alone: address::of_list(PATH, &[("destination", &destination.key)]),
        count: many_words(there.count, there.is_more),
        state,
        causes,
    })
}

fn cause_of(tx: &ReadTx<'_>, cause: &DeadOf, now: Timestamp) -> Result<Cause, Problem> {
    let when = |at: Option<Timestamp>| at.map(|at| When::new(at, now));
    let error = visible(cause.error.as_bytes());
    let answer = queries::last_answer(tx, cause.newest)?.unwrap_or_default();
    let (first, last) = (when(cause.first_at), when(cause.last_at));
    Ok(Cause {
        // Of what died together, one time says enough.
        first: first.filter(|first| last.as_ref().is_some_and(|last| last.ago != first.ago)),
        last,
        count: count(i64::from(cause.count)),
        error: if error.is_empty() { "It died without a word".to_owned() } else { error },
        answer: visible(answer.as_bytes()),
    })
}

fn line(found: &DeskLine, destination: &str, now: Timestamp) -> Line {
    let delivery = &found.delivery;
    let settled = delivery.settled_at.map(|at| {
        let by = delivery.settled_by.as_deref().unwrap_or("somebody");
        format!("settled by {by} {}", When::new(at, now).ago)
    });
    Line {
        id: delivery.uid.to_string(),
        request: format!("/webhooks/requests/{}#delivery-{}", found.request, delivery.uid),
        event_type: name(&found.event_type),
        event_id: name(&found.event_id),
        destination: destination.to_owned(),
        error: name(delivery.error.as_deref().unwrap_or_default()),
        settled: settled.unwrap_or_default(),
        received: When::new(found.received_at, now),
        died: delivery.last_attempt_at.map(|at| When::new(at, now)),
        attempts: count(delivery.attempts),
    }
}

fn many_words(number: u32, is_more: bool) -> String {
    let number = if is_more { number.min(DEAD_COUNTED_MAX) } else { number };
    format!("{}{}", count(i64::from(number)), if is_more { "+" } else { "" })
}

fn headline(dead: &[DeadThere], chosen: Option<&Destination>) -> (String, String) {
    let total: u32 = dead.iter().map(|there| there.count).sum();
    let is_more = dead.iter().any(|there| there.is_more);
    let at = chosen.map_or_else(String::new, |destination| format!(" at {}", destination.name));
    let headline = match (total, is_more) {
        (0, _) => format!("No webhook is dead{at}"),
        (1, false) => format!("One webhook is dead{at}"),
        (many, true) => format!("More than {} webhooks are dead{at}", count(i64::from(many))),
        (many, false) => format!("{} webhooks are dead{at}", count(i64::from(many))),
    };
    let sub = if total == 0 {
        "Whatever came was delivered, or is being tried."
    } else {
        "They were tried until their time was over. What they brought is kept until somebody replays or settles them."
    };
    (headline, sub.to_owned())
}

impl Asked {
    fn is_settled(&self) -> bool {
        self.which == "settled"
    }

    fn here(&self) -> String {
        self.address(|_| {})
    }

    fn first_page(&self) -> String {
        self.address(|asked| asked.before.clear())
    }

    fn tab(&self, which: &str) -> String {
        self.address(|asked| {
            which.clone_into(&mut asked.which);
            asked.before.clear();
        })
    }

    /// This list's address with a change.
    fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let fields = [
            ("destination", asked.destination.as_str()),
            ("which", asked.which.as_str()),
            ("before", asked.before.as_str()),
        ];
        address::of_list(PATH, &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(count: u32, is_more: bool) -> DeadThere {
        DeadThere { destination: DestinationId(1), count, is_more, causes: Vec::new() }
    }

    #[test]
    fn the_headline_says_how_many_wait_for_somebody() {
        let told = |dead: &[DeadThere]| headline(dead, None).0;
        assert_eq!(told(&[]), "No webhook is dead");
        assert_eq!(told(&[there(1, false)]), "One webhook is dead");
        assert_eq!(told(&[there(1, false), there(1200, false)]), "1,201 webhooks are dead");
        assert_eq!(told(&[there(1000, true)]), "More than 1,000 webhooks are dead");
    }

    #[test]
    fn a_count_that_ends_early_says_so() {
        assert_eq!((many_words(7, false).as_str(), many_words(1001, true).as_str()), ("7", "1,000+"));
    }
}
