//! Making and changing a destination from the page.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::acts::of_source;
use super::destination_form::{Draft, OPS, secrets, wrongs_of};
use super::{place, place_of};
use crate::base::Owner;
use crate::http::acts::Refused;
use crate::http::acts::rights::Act;
use crate::http::acts::webhook::{Aim, Saver, check, find_source_to, webhooks_of};
use crate::http::admin::form::{Form, Wrongs};
use crate::http::admin::frame::{Frame, Place, form_page, page, page_with, see_other};
use crate::http::admin::from_file;
use crate::http::auth::{Caller, SignedIn};
use crate::http::{AppState, Problem};
use crate::store::{ReadTx, WriteTx};
use crate::webhooks::secrets::SIGNING;
use crate::webhooks::{Destination, DestinationDraft, Error, Source};

#[derive(Template)]
#[template(path = "webhook_destination_form.html", config = "src/http/admin/askama.toml")]
struct EditPage {
    frame: Frame,
    source: String,
    source_name: String,
    /// Where the form is sent to, and where its page is.
    place: String,
    back: String,
    name: String,
    /// Where a file names it: then it is only shown.
    file: String,
    form: FormView,
}

/// The fields as the template asks for them.
struct FormView {
    draft: Draft,
    wrongs: Wrongs,
    secrets: Vec<SecretField>,
    ops: [(&'static str, &'static str); 5],
    is_new: bool,
    /// The source's scheme would tell its secret: it is not offered to sign with it.
    sends_secret: bool,
    /// A pointer to what the provider's events can be ordered by.
    has_order: bool,
    seen: String,
}

/// A secret that is asked for.
struct SecretField {
    name: String,
    label: String,
    is_kept: bool,
}

/// `GET /webhooks/{key}/destinations/new`
pub(in crate::http::admin) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    page(&new_page(&state, signed_in, &key, None).await?)
}

async fn new_page(
    state: &AppState,
    signed_in: SignedIn,
    key: &str,
    typed: Option<(Draft, Wrongs)>,
) -> Result<EditPage, Problem> {
    let key = key.to_owned();
    state
        .store
        .read(move |tx| {
            let source = find_source_to(tx, &signed_in.caller(), Act::Make, &key)?;
            let fresh = || (Draft::new(source.definition.sends_its_secret()), Wrongs::default());
            let form = view(&source, typed.unwrap_or_else(fresh), &BTreeSet::new());
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Webhooks)?,
                place: format!("{}/destinations/new", place(&source.key)),
                back: place(&source.key),
                name: String::new(),
                file: String::new(),
                form: FormView { is_new: true, ..form },
                source: source.key,
                source_name: source.name,
            })
        })
        .await
}

fn view(source: &Source, (draft, wrongs): (Draft, Wrongs), kept: &BTreeSet<String>) -> FormView {
    let label = |name: &str| match name {
        SIGNING => "Signing secret of this destination".to_owned(),
        name => format!("Secret {name}"),
    };
    let field = |name: String| SecretField { label: label(&name), is_kept: kept.contains(&name), name };
    FormView {
        secrets: draft.secret_names().into_iter().map(field).collect(),
        draft,
        wrongs,
        ops: OPS,
        is_new: false,
        sends_secret: source.definition.sends_its_secret(),
        has_order: source.definition.rules().is_ok_and(|rules| !rules.order_key.is_empty()),
        seen: String::new(),
    }
}

/// `POST /webhooks/{key}/destinations/new`
pub(in crate::http::admin) async fn create(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let place = format!("{}/destinations/new", place(&key));
    let key = key.into_inner();
    form.once(state, &place, move |state, form| make(state, form, key)).await
}

async fn make(state: web::Data<AppState>, form: Form, key: String) -> Result<HttpResponse, Problem> {
    let (caller, named) = (form.caller(), key.clone());
    let find = move |tx: &ReadTx<'_>| find_source_to(tx, &caller, Act::Make, &named);
    let source = state.store.read(find).await?;
    let draft = Draft::typed(&form.fields);
    let definition = match draft.read() {
        Ok(definition) => definition,
        Err(wrongs) => return refuse_new(&state, form, &key, (draft, wrongs)).await,
    };
    let saver = Saver::new(&state, form.caller());
    let wanted = DestinationDraft {
        key: draft.key_or_derived(&source.key),
        name: draft.name.clone(),
        source: source.id,
        definition,
        secrets: secrets(&draft, &form.fields),
        owner: Owner::Page,
    };
    let made = place_of(&source.key, &wanted.key);
    let write = move |tx: &WriteTx<'_>| saver.destination(tx, (&wanted, source.project), Aim::New);
    match state.store.write("webhook_destination.create", write).await {
        Ok(_) => Ok(see_other(&made)),
        Err(refused) => refuse_new(&state, form, &key, (draft, wrongs_of(refused)?)).await,
    }
}

async fn refuse_new(
    state: &AppState,
    form: Form,
    key: &str,
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    form_page(true, &new_page(state, form.signed_in, key, Some(typed)).await?)
}

/// `GET /webhooks/{key}/destinations/{to}/edit`
pub(in crate::http::admin) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    page(&edit_page(&state, signed_in, path.into_inner(), None).await?)
}

async fn edit_page(
    state: &AppState,
    signed_in: SignedIn,
    (key, to): (String, String),
    typed: Option<(Draft, Wrongs)>,
) -> Result<EditPage, Problem> {
    let webhooks = webhooks_of(state);
    state
        .store
        .read(move |tx| {
            let (source, found) = find_mine(tx, &signed_in.caller(), (&key, &to))?;
            // What cannot be opened is asked for anew.
            let stored = webhooks.open_destination(&found).unwrap_or_default();
            let known = || (Draft::of(&found), Wrongs::default());
            let form = view(&source, typed.unwrap_or_else(known), &stored.0.into_keys().collect());
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Webhooks)?,
                place: format!("{}/edit", place_of(&source.key, &found.key)),
                back: place_of(&source.key, &found.key),
                file: told(tx, &source.key, &found)?,
                form: FormView { seen: found.version.to_string(), ..form },
                name: found.name,
                source: source.key,
                source_name: source.name,
            })
        })
        .await
}

/// Where a file names the destination; empty where the page changes it.
pub(super) fn told(tx: &ReadTx<'_>, source: &str, destination: &Destination) -> Result<String, Problem> {
    let key = format!("{source}/{}", destination.key);
    from_file::told(tx, destination.owner == Owner::File, "destinations", &key)
}

/// A destination that the asker may change.
fn find_mine(
    tx: &ReadTx<'_>,
    caller: &Caller,
    (key, to): (&str, &str),
) -> Result<(Source, Destination), Problem> {
    let (source, line) = of_source(tx, &caller.visible(), (key, to))?;
    check(caller, Act::Change, source.project)?;
    Ok((source, line.destination))
}

/// `POST /webhooks/{key}/destinations/{to}/edit`
pub(in crate::http::admin) async fn update(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (key, to) = path.into_inner();
    let (caller, named) = (form.caller(), (key.clone(), to.clone()));
    let find = move |tx: &ReadTx<'_>| find_mine(tx, &caller, (&named.0, &named.1));
    let (source, found) = state.store.read(find).await?;
    if found.owner == Owner::File {
        return Err(Error::OwnedByFile(found.key).into());
    }
    let draft = Draft::typed(&form.fields);
    let definition = match draft.read() {
        Ok(definition) => definition,
        Err(wrongs) => return refuse(&state, form, (key, to), (draft, wrongs)).await,
    };
    let (saver, seen) = (Saver::new(&state, form.caller()), form.seen());
    let wanted = DestinationDraft {
        key: found.key,
        name: draft.name.clone(),
        source: source.id,
        definition,
        secrets: secrets(&draft, &form.fields),
        owner: Owner::Page,
    };
    let write = move |tx: &WriteTx<'_>| saver.destination(tx, (&wanted, source.project), Aim::Known { seen });
    match state.store.write("webhook_destination.update", write).await {
        Ok(_) => Ok(see_other(&place_of(&key, &to))),
        Err(Refused::Stale(_)) => {
            let overtaken = Some((draft, Wrongs::overtaken("destination")));
            page_with(StatusCode::CONFLICT, &edit_page(&state, form.signed_in, (key, to), overtaken).await?)
        }
        Err(refused) => refuse(&state, form, (key, to), (draft, wrongs_of(refused)?)).await,
    }
}

async fn refuse(
    state: &AppState,
    form: Form,
    path: (String, String),
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    form_page(true, &edit_page(state, form.signed_in, path, Some(typed)).await?)
}
