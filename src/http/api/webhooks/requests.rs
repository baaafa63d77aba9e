//! `/api/v1/webhooks/requests`: what was accepted, and one of it with everything that is known.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::views::{DeliveryView, PayloadView, RequestLineView, RequestView};
use super::{given, since, status};
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{self as acts, find_source};
use crate::http::api::list::{Asked, Items};
use crate::http::api::uid;
use crate::http::auth::Reader;
use crate::http::problem::sentence;
use crate::http::visible::Slugs;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;
use crate::webhooks::queries::{self, Filter, Names, Page, Request};

/// Which requests a list shows.
#[derive(Deserialize)]
pub(super) struct Words {
    source: Option<String>,
    r#type: Option<String>,
    status: Option<String>,
    event_id: Option<String>,
    since: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    payload: bool,
}

/// `GET /webhooks/requests`: the newest first.
pub(super) async fn list(
    state: web::Data<AppState>,
    asked: Asked,
    words: web::Query<Words>,
) -> Result<HttpResponse, Problem> {
    let Words { source, r#type, status, event_id, since } = words.into_inner();
    let status = given(status).as_deref().map(self::status).transpose()?;
    let since = given(since).as_deref().map(self::since).transpose()?;
    let (source, event_type, event_id) = (given(source), given(r#type), given(event_id));
    let before = asked.page()?.before;
    let read = move |tx: &ReadTx<'_>| {
        let visible = asked.visible(tx)?;
        let source = source.map(|key| find_source(tx, &visible, &key)).transpose()?;
        let filter = Filter {
            source: source.map(|line| line.source.id),
            event_type,
            status,
            event_id,
            before,
            limit: asked.limit,
            ..Filter::all(visible)
        };
        let Page { mut items, mut next } = queries::requests(tx, &filter)?;
        // They go by time: behind the first that is too old there is nothing to look for.
        let old = since.and_then(|since| items.iter().position(|line| line.received_at < since));
        if let Some(old) = old {
            items.truncate(old);
            next = None;
        }
        let mut names = Names::default();
        let views = items.into_iter().map(|line| RequestLineView::new(tx, &mut names, line));
        Ok::<_, Problem>(Items::of(views.collect::<Result<Vec<_>, _>>()?, next))
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

/// `GET /webhooks/requests/{id}`: with its deliveries and their attempts, and with `payload=true` what it brought.
pub(super) async fn show(
    state: web::Data<AppState>,
    reader: Reader,
    id: web::Path<String>,
    part: web::Query<Part>,
) -> Result<HttpResponse, Problem> {
    let (caller, id, wants_payload) = (reader.0, uid(&id, "request")?, part.payload);
    let sealer = state.sealer.clone();
    let read = move |tx: &ReadTx<'_>| {
        let found = queries::find_request(tx, &caller.visible(), id)?;
        let request = found.ok_or_else(|| Problem::not_found("request"))?;
        let payload = if wants_payload {
            acts::check(&caller, Act::SeePayload, request.project)?;
            let opened = queries::open_payload(tx, &sealer, &request)?.transpose();
            let opened = opened.map_err(|error| {
                Problem::new(actix_web::http::StatusCode::CONFLICT, sentence(&error.to_string()))
            })?;
            Some(opened.map(PayloadView::new))
        } else {
            None
        };
        whole(tx, request, payload)
    };
    Ok(HttpResponse::Ok().json(state.store.read(read).await?))
}

fn whole(
    tx: &ReadTx<'_>,
    request: Request,
    payload: Option<Option<PayloadView>>,
) -> Result<RequestView, Problem> {
    let mut names = Names::default();
    let deliveries = queries::deliveries(tx, request.id)?.into_iter().map(|delivery| {
        let attempts = queries::attempts(tx, delivery.id)?;
        let destination = names.destination(tx, delivery.destination)?;
        Ok::<_, Problem>(DeliveryView::new(delivery, destination, Some(attempts)))
    });
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    let after = queries::requests_after(tx, &request)?.into_iter().map(|before| before.uid).collect();
    let source = names.source(tx, request.source)?;
    let project = Slugs::default().of(tx, Some(request.project))?;
    Ok(RequestView::new(request, (source, project), after, deliveries, payload))
}
