//! The form of a probe as it is shown: what stands in it, what is wrong with it, what can be asked about.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::fields::Typed;
use super::form::policy;
use super::kinds::{Input, Look, inputs, named_secrets, target};
use super::tries::Tried;
use super::words::{detects, kind_name, kind_says};
use super::{acts, probes_of};
use crate::accounts::{Visible, projects};
use crate::http::admin::Wrongs;
use crate::http::admin::frame::{Frame, Place, page_with};
use crate::http::auth::SignedIn;
use crate::http::problem::sentence;
use crate::http::{AppState, Problem};
use crate::probes::condition::Condition;
use crate::probes::{Error, Kind, Probe, queries};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "probe_form.html", config = "src/http/admin/askama.toml")]
pub(super) struct FormPage {
    frame: Frame,
    /// The probe that is changed; `None` for a new one.
    key: Option<String>,
    kind: &'static str,
    kind_name: &'static str,
    kind_says: &'static str,
    is_pushed: bool,
    typed: Typed,
    wrongs: Wrongs,
    inputs: Vec<InputView>,
    conditions: Vec<ConditionLine>,
    fields: Vec<FieldLine>,
    secrets: Vec<SecretLine>,
    projects: Vec<Choice>,
    known: Vec<String>,
    /// When trouble is known at the latest.
    detects: String,
    /// What the form was made of: whoever saves it later than somebody else is told.
    seen: i64,
    tried: Option<Tried>,
    /// Where a file names it: then it is only shown.
    file: String,
}

/// An input of the part that the kind decides.
struct InputView {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    placeholder: &'static str,
    look: &'static str,
    text: String,
    options: &'static [(&'static str, &'static str)],
    is_needed: bool,
    /// Of a secret: one is stored, and kept where the input is left empty.
    is_kept: bool,
}

pub(super) struct Choice {
    pub(super) value: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

struct ConditionLine {
    text: String,
    said: Said,
}

/// What a condition reads like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Up to the place where it stops to make sense; all of it where it does.
    pub(super) good: String,
    pub(super) bad: String,
    /// Empty where it is right.
    pub(super) reason: String,
}

struct FieldLine {
    name: &'static str,
    says: &'static str,
}

pub(super) struct SecretLine {
    pub(super) name: String,
    pub(super) is_kept: bool,
}

/// Lines for conditions beside those that are there.
const EMPTY_CONDITIONS: usize = 1;
/// Probes that the form proposes as what one depends on; any other can be typed.
const PROPOSED: u32 = 100;

impl FormPage {
    /// Where the form is sent.
    fn place(&self) -> String {
        self.key.as_ref().map_or_else(|| "/probes/new".to_owned(), |key| format!("/probes/{key}/edit"))
    }
}

/// What the form is shown with.
pub(super) struct View {
    pub(super) kind: Kind,
    pub(super) key: Option<String>,
    pub(super) typed: Typed,
    pub(super) wrongs: Wrongs,
    pub(super) seen: i64,
    pub(super) tried: Option<Tried>,
    /// Where a file names it; empty where the page changes it.
    pub(super) file: String,
}

impl View {
    pub(super) fn new(kind: Kind, typed: Typed) -> Self {
        Self { kind, key: None, typed, wrongs: Wrongs::default(), seen: 0, tried: None, file: String::new() }
    }

    pub(super) fn of(state: &AppState, probe: &Probe, parents: &[String]) -> Result<Self, Problem> {
        let typed = Typed::of_probe(probe, parents, kept(state, probe)?);
        let new = Self::new(probe.definition.kind(), typed);
        Ok(Self { key: Some(probe.key.clone()), seen: probe.version, ..new })
    }
}

/// The names of the secrets that are stored. Those that cannot be opened any more are to be entered anew.
pub(super) fn kept(state: &AppState, probe: &Probe) -> Result<BTreeSet<String>, Problem> {
    match probes_of(state).open(probe) {
        Ok(secrets) => Ok(secrets.0.into_keys().collect()),
        Err(Error::Sealing) => Ok(BTreeSet::new()),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn form_page(
    state: &AppState,
    signed_in: &SignedIn,
    view: View,
) -> Result<HttpResponse, Problem> {
    let status = if view.wrongs.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    page_with(status, &build(state, signed_in, view).await?)
}

pub(super) async fn build(state: &AppState, signed_in: &SignedIn, view: View) -> Result<FormPage, Problem> {
    let View { kind, key, typed, wrongs, seen, tried, file } = view;
    let visible = signed_in.session.actor().visible();
    let project = typed.text("project").to_owned();
    let (projects, known) = state
        .store
        .read(move |tx| {
            let choices = project_choices(tx, &visible, &project)?;
            let filter = queries::Filter { limit: PROPOSED, ..queries::Filter::all(visible) };
            let known = queries::list(tx, &filter)?.items.into_iter().map(|line| line.key).collect();
            Ok::<_, Problem>((choices, known))
        })
        .await?;
    let lines = typed.conditions.iter().map(String::as_str);
    let lines = lines.chain(std::iter::repeat_n("", EMPTY_CONDITIONS));
    Ok(FormPage {
        frame: Frame::read(state, signed_in, Place::Probes).await?,
        kind: kind.as_str(),
        kind_name: kind_name(kind),
        kind_says: kind_says(kind),
        is_pushed: acts::is_pushed(kind),
        inputs: inputs(kind).iter().map(|input| input_view(input, &typed)).collect(),
        conditions: lines
            .map(|text| ConditionLine { text: text.to_owned(), said: said(kind, text) })
            .collect(),
        fields: kind
            .fields()
            .0
            .iter()
            .map(|field| FieldLine { name: field.name, says: field.says })
            .collect(),
        secrets: secret_lines(kind, &typed, &BTreeSet::new()),
        detects: detects(&policy(kind, &typed, &mut Wrongs::default())),
        key,
        typed,
        wrongs,
        projects,
        known,
        seen,
        tried,
        file,
    })
}

fn input_view(input: &'static Input, typed: &Typed) -> InputView {
    let (look, options): (_, &'static [_]) = match input.look {
        Look::Line => ("line", &[]),
        Look::Number => ("number", &[]),
        Look::Area | Look::Headers | Look::Dialogue => ("area", &[]),
        Look::Tick => ("tick", &[]),
        Look::Choice(options) => ("choice", options),
        Look::Secret(_) => ("secret", &[]),
    };
    let (name, is_kept) = match input.look {
        Look::Secret("password") => ("secret.password", typed.kept.contains("password")),
        Look::Secret(_) => ("secret.secret_key", typed.kept.contains("secret_key")),
        Look::Line
        | Look::Number
        | Look::Area
        | Look::Headers
        | Look::Dialogue
        | Look::Tick
        | Look::Choice(_) => (input.name, false),
    };
    InputView {
        name,
        label: input.label,
        hint: input.hint,
        placeholder: input.placeholder,
        look,
        text: typed.text(input.name).to_owned(),
        options,
        is_needed: input.is_needed && !is_kept,
        is_kept,
    }
}

/// The projects that may be chosen, the only one of them already.
pub(super) fn project_choices(
    tx: &ReadTx<'_>,
    visible: &Visible,
    chosen: &str,
) -> Result<Vec<Choice>, Problem> {
    let listed = projects::list(tx, visible)?;
    let is_only = listed.len() == 1;
    let choice = |project: projects::Project| Choice {
        is_chosen: is_only || project.slug.to_string() == chosen,
        value: project.slug.to_string(),
        name: project.name,
    };
    Ok(listed.into_iter().map(choice).collect())
}

/// The secrets that the typed target asks for by name, without those of `present`.
pub(super) fn secret_lines(kind: Kind, typed: &Typed, present: &BTreeSet<String>) -> Vec<SecretLine> {
    let Some(target) = target(kind, typed, &mut Wrongs::default()) else { return Vec::new() };
    let names = named_secrets(kind, &target).into_iter().filter(|name| !present.contains(name));
    names.map(|name| SecretLine { is_kept: typed.kept.contains(&name), name }).collect()
}

pub(super) fn said(kind: Kind, text: &str) -> Said {
    match Condition::parse(text, &kind.fields()) {
        _ if text.trim().is_empty() => Said::default(),
        Ok(_) => Said { good: text.trim().to_owned(), ..Said::default() },
        Err(fault) => Said {
            good: text.trim().chars().take(fault.at).collect(),
            bad: text.trim().chars().skip(fault.at).collect(),
            reason: sentence(&fault.to_string()),
        },
    }
}
