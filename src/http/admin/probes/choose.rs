//! A new probe begins with what it looks at: a kind, or a ready-made one that needs only a key.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::edit::project_of;
use super::form::{key_of, told};
use super::tries::{Tried, ask};
use super::view::{Choice, project_choices};
use super::words::{kind_name, kind_says};
use super::{acts, find, probes_of};
use crate::base::ProjectId;
use crate::http::acts::Refused;
use crate::http::acts::probe::{Aim, Saved, draft_trial, save};
use crate::http::admin::frame::{Frame, Place, page, page_with};
use crate::http::admin::{Form, Wrongs, see_other};
use crate::http::auth::SignedIn;
use crate::http::problem::sentence;
use crate::http::{AppState, Problem};
use crate::probes::presets::{self, Inputs, Preset};
use crate::probes::{Definition, Draft, Kind, Owner, Secrets};

#[derive(Template)]
#[template(path = "probe_choose.html", config = "src/http/admin/askama.toml")]
struct ChoosePage {
    frame: Frame,
    presets: Vec<Card>,
    kinds: Vec<Card>,
}

struct Card {
    place: String,
    name: &'static str,
    says: &'static str,
    /// Only owners may make it.
    is_shut: bool,
}

#[derive(Template)]
#[template(path = "probe_preset.html", config = "src/http/admin/askama.toml")]
struct PresetPage {
    frame: Frame,
    preset: &'static Preset,
    inputs: Vec<InputView>,
    name: String,
    projects: Vec<Choice>,
    wrongs: Wrongs,
    /// What looks wrong and may be right; sent again it is taken.
    warnings: Vec<String>,
    tried: Option<Tried>,
}

struct InputView {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    is_secret: bool,
    is_needed: bool,
    text: String,
}

/// The page on which a kind or a preset is chosen.
pub(super) async fn show(state: &AppState, signed_in: &SignedIn) -> Result<HttpResponse, Problem> {
    let frame = Frame::read(state, signed_in, Place::Probes).await?;
    let cards = |kind: Kind| Card {
        place: format!("/probes/new?kind={}", kind.as_str()),
        name: kind_name(kind),
        says: kind_says(kind),
        is_shut: kind.reads_this_machine() && !frame.is_owner,
    };
    let presets = presets::all().map(|preset| Card {
        place: format!("/probes/new?preset={}", preset.id),
        name: preset.name,
        says: preset.checks,
        is_shut: false,
    });
    page(&ChoosePage { presets: presets.collect(), kinds: Kind::ALL.into_iter().map(cards).collect(), frame })
}

/// The form of a preset.
pub(super) async fn show_preset(
    state: &AppState,
    signed_in: &SignedIn,
    preset: &'static Preset,
) -> Result<HttpResponse, Problem> {
    let typed = Typed { name: preset.name.to_owned(), ..Typed::default() };
    preset_page(state, signed_in, preset, typed).await
}

/// What was typed, and what came of it.
#[derive(Default)]
struct Typed {
    name: String,
    project: String,
    texts: BTreeMap<&'static str, String>,
    wrongs: Wrongs,
    warnings: Vec<String>,
    tried: Option<Tried>,
}

async fn preset_page(
    state: &AppState,
    signed_in: &SignedIn,
    preset: &'static Preset,
    typed: Typed,
) -> Result<HttpResponse, Problem> {
    let refused = !typed.wrongs.is_empty();
    let visible = signed_in.session.actor().visible();
    let project = typed.project.clone();
    let projects = state.store.read(move |tx| project_choices(tx, &visible, &project)).await?;
    let view = |input: &'static presets::Input| InputView {
        name: input.name,
        label: input.label,
        hint: input.hint,
        is_secret: input.is_secret,
        is_needed: input.default.is_none(),
        text: typed.texts.get(input.name).cloned().unwrap_or_default(),
    };
    let inputs = preset.inputs.iter().filter(|input| input.is_shown).map(view).collect();
    let shown = PresetPage {
        frame: Frame::read(state, signed_in, Place::Probes).await?,
        preset,
        inputs,
        name: typed.name,
        projects,
        wrongs: typed.wrongs,
        warnings: typed.warnings,
        tried: typed.tried,
    };
    page_with(if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK }, &shown)
}

/// A preset's form was sent: to be saved, or only to be tried.
pub(super) async fn take(
    state: &AppState,
    request: &HttpRequest,
    form: &Form,
    preset: &'static Preset,
) -> Result<HttpResponse, Problem> {
    let mut typed = typed(preset, form);
    let tries = form.text("act") == "try";
    let Some(project) = project_of(state, form).await? else {
        let text = "Choose the project that it belongs to.";
        if tries {
            return Err(Problem::bad_request(text));
        }
        typed.wrongs.add("project", text);
        return preset_page(state, &form.signed_in, preset, typed).await;
    };
    let given = preset.inputs.iter().map(|input| (input.name, form.fields.whole(input.name).to_owned()));
    let given = Inputs(given.map(|(name, text)| (name.to_owned(), text)).collect());
    let built = match preset.build(&given) {
        Ok(built) => built,
        Err(needed) => {
            typed.wrongs.add(needed.name, sentence(&needed.to_string()));
            return preset_page(state, &form.signed_in, preset, typed).await;
        }
    };
    let kind = built.definition.kind();
    let draft = drafted(built.definition, built.secrets, (project, &typed.name));
    if tries {
        let trial = draft_trial(&probes_of(state), &form.caller(), None, draft)?;
        let tried = ask(state, trial).await?;
        if request.headers().contains_key("hx-request") {
            return page(&tried);
        }
        return preset_page(state, &form.signed_in, preset, Typed { tried: Some(tried), ..typed }).await;
    }
    let is_sure = form.fields.is_on("sure");
    if !built.warnings.is_empty() && !is_sure {
        typed.warnings = built.warnings;
        return preset_page(state, &form.signed_in, preset, typed).await;
    }
    match save(state, form.caller(), draft, Aim::NewUnderFreeKey).await {
        Ok(saved) => Ok(see_other(&format!("/probes/{}", saved.key))),
        Err(Refused::Draft(error)) => {
            typed.wrongs = told(kind, error)?;
            preset_page(state, &form.signed_in, preset, typed).await
        }
        Err(refused) => Err(refused.into()),
    }
}

fn typed(preset: &'static Preset, form: &Form) -> Typed {
    let texts = preset.inputs.iter().filter(|input| !input.is_secret);
    Typed {
        name: form.text("name").to_owned(),
        project: form.text("project").to_owned(),
        texts: texts.map(|input| (input.name, form.fields.text(input.name).to_owned())).collect(),
        ..Typed::default()
    }
}

fn drafted(definition: Definition, secrets: Secrets, (project, name): (ProjectId, &str)) -> Draft {
    let (parents, owner) = (Vec::new(), Owner::Page);
    Draft { key: key_of(name, "probe"), name: name.to_owned(), project, definition, secrets, parents, owner }
}

/// The page after a probe was made: for one that is reported to, with the address, which is shown once.
pub(super) async fn made(state: &AppState, form: &Form, saved: Saved) -> Result<HttpResponse, Problem> {
    let Saved { key, token } = saved;
    let Some(token) = token else { return Ok(see_other(&format!("/probes/{key}"))) };
    let visible = form.caller().visible();
    let probe = state.store.read(move |tx| find(tx, &visible, &key)).await?;
    acts::show_token(state, form, (probe, &token)).await
}
