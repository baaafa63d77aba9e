//! Making and changing a service; what it would be is shown while it is chosen.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::json;

use super::chooser::{self, Among, Choice};
use super::configurable::{configurable, project_choices};
use super::form::{Fields, Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::from_file;
use super::incident_words::Badge;
use super::service_words::service_badge;
use crate::base::Severity;
use crate::base::owned::{KEY_CHARS_MAX, Owner};
use crate::health::services::{self, MemberState, Needs, Service, Settings, judge};
use crate::http::acts::Refused;
use crate::http::acts::rights::Act;
use crate::http::acts::service::{Aim, Wanted, find_to, save};
use crate::http::auth::{SignedIn, find_project};
use crate::http::problem::sentence;
use crate::http::{AppState, Problem};
use crate::store::ReadTx;

#[derive(Template)]
#[template(path = "service_edit.html", config = "src/http/admin/askama.toml")]
struct EditPage {
    frame: Frame,
    /// Of the one that is changed; empty for a new one.
    key: String,
    name: String,
    /// Where a file names it: then it is only shown.
    file: String,
    form: FormView,
}

/// The fields as the template asks for them.
struct FormView {
    draft: Draft,
    wrongs: Wrongs,
    preview: Preview,
    choices: Vec<Choice>,
    is_cut: bool,
    projects: Vec<(String, String)>,
    severities: [&'static str; 4],
    is_new: bool,
    /// Whoever saves it later than somebody else is told.
    seen: String,
}

/// The fields as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Draft {
    project: String,
    key: String,
    name: String,
    /// `all`, `any` or `quorum`.
    needs: String,
    quorum: String,
    critical: bool,
    members: Vec<String>,
    /// Empty: as its being critical says.
    severity: String,
    runbook: String,
    environment: String,
    /// `name=value`, one to a line.
    labels: String,
}

/// What a service would be now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Preview {
    badge: Badge,
    reason: String,
    /// As `/api/health` would say it.
    says: String,
}

#[derive(Template)]
#[template(path = "service_preview_alone.html", config = "src/http/admin/askama.toml")]
struct PreviewAlone {
    preview: Preview,
}

/// Fields of the domain as its errors name them, and those of the form.
const FIELDS: [(&str, &str); 9] = [
    ("key", "key"),
    ("the name", "name"),
    ("members", "members"),
    ("needs", "quorum"),
    ("labels", "labels"),
    ("the label", "labels"),
    ("runbook", "runbook"),
    ("the environment", "environment"),
    ("the key", "key"),
];
/// Labels of more lines than that are read no further: the domain says how many there may be.
const LABEL_LINES_MAX: usize = 100;
const SEVERITIES: [&str; 4] =
    [Severity::Critical.as_str(), Severity::High.as_str(), Severity::Medium.as_str(), Severity::Low.as_str()];

impl Draft {
    fn of(service: &Service) -> Self {
        let settings = &service.settings;
        let labels: Vec<String> =
            settings.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self {
            project: service.project_slug.clone(),
            key: service.key.clone(),
            name: service.name.clone(),
            needs: service.needs.as_str().to_owned(),
            quorum: match service.needs {
                Needs::Quorum(least) => least.to_string(),
                Needs::All | Needs::Any => String::new(),
            },
            critical: service.critical,
            members: service.members.iter().map(|member| member.member.clone()).collect(),
            severity: settings.severity.map(|severity| severity.to_string()).unwrap_or_default(),
            runbook: settings.runbook.clone().unwrap_or_default(),
            environment: settings.environment.clone().unwrap_or_default(),
            labels: labels.join("\n"),
        }
    }

    /// What somebody typed, as it was typed.
    fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            project: text("project"),
            key: text("key"),
            name: text("name"),
            needs: text("needs"),
            quorum: text("quorum"),
            critical: fields.is_on("critical"),
            members: fields.all("member").map(str::to_owned).collect(),
            severity: text("severity"),
            runbook: text("runbook"),
            environment: text("environment"),
            labels: text("labels"),
        }
    }

    fn needs(&self) -> Option<Needs> {
        match self.needs.as_str() {
            "any" => Some(Needs::Any),
            "quorum" => self.quorum.parse().ok().map(Needs::Quorum),
            _ => Some(Needs::All),
        }
    }

    /// The key that a name suggests: `AI providers` is `ai_providers`.
    fn key_or_derived(&self) -> String {
        if !self.key.is_empty() {
            return self.key.clone();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let text: String = self.name.chars().map(plain).take(KEY_CHARS_MAX).collect();
        text.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
    }

    fn wanted(&self) -> Result<Wanted, Wrongs> {
        let mut wrongs = Wrongs::default();
        if self.name.is_empty() {
            wrongs.add("name", "The name is empty: write one that people recognise.");
        }
        let needs = self.needs();
        if needs.is_none() {
            wrongs.add("quorum", "Say how many of its members must be well: a whole number.");
        }
        let mut labels = std::collections::BTreeMap::new();
        for line in self.labels.lines().map(str::trim).filter(|line| !line.is_empty()).take(LABEL_LINES_MAX) {
            match line.split_once('=') {
                Some((name, value)) => drop(labels.insert(name.trim().to_owned(), value.trim().to_owned())),
                None => {
                    wrongs.add("labels", format!("“{line}” is no label: write name=value, one to a line."));
                }
            }
        }
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match needs {
            Some(needs) if wrongs.is_empty() => Ok(Wanted {
                key: self.key_or_derived(),
                project: self.project.clone(),
                name: Some(self.name.clone()),
                needs,
                critical: self.critical,
                members: self.members.clone(),
                settings: Settings {
                    severity: self.severity.parse().ok(),
                    environment: filled(&self.environment),
                    labels,
                    runbook: filled(&self.runbook),
                },
                position: None,
            }),
            Some(_) | None => Err(wrongs),
        }
    }

    /// What it would be, were it saved now.
    fn preview(&self, choices: &[Choice]) -> Preview {
        let chosen = || choices.iter().filter(|choice| choice.is_chosen);
        let states: Vec<MemberState> = chosen()
            .map(|choice| MemberState {
                name: choice.name.clone(),
                status: choice.status,
                reason: String::new(),
            })
            .collect();
        let judged = judge(self.needs().unwrap_or(Needs::Any), &states);
        let is_well = judged.status == services::ServiceStatus::Healthy;
        let error = if is_well { json!(null) } else { json!(judged.reason) };
        let mut said = json!({ "status": judged.status, "error": error });
        if self.needs().is_none_or(|needs| needs.least().is_some()) {
            said["providers"] =
                chosen().map(|choice| json!({ "provider": choice.name, "status": choice.status })).collect();
        }
        let key = match self.key_or_derived() {
            key if key.is_empty() => "key".to_owned(),
            key => key,
        };
        Preview {
            badge: service_badge(judged.status),
            reason: judged.reason,
            says: serde_json::to_string_pretty(&json!({ key: said })).unwrap_or_default(),
        }
    }
}

/// `GET /services/new`
pub(super) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
) -> Result<HttpResponse, Problem> {
    let draft = Draft { needs: "all".to_owned(), ..Draft::default() };
    page(&edit_page(&state, signed_in, None, (draft, Wrongs::default())).await?)
}

async fn edit_page(
    state: &AppState,
    signed_in: SignedIn,
    known: Option<Service>,
    (mut draft, wrongs): (Draft, Wrongs),
) -> Result<EditPage, Problem> {
    state
        .store
        .read(move |tx| {
            let projects = configurable(tx, &signed_in)?;
            if projects.is_empty() {
                return Err(Problem::forbidden("Members of a project make its services: ask an owner."));
            }
            if draft.project.is_empty()
                && let Some(first) = projects.first()
            {
                draft.project = first.slug.to_string();
            }
            let among = among(tx, &signed_in, &draft.project)?;
            let (choices, is_cut) = chooser::load(tx, &among, &draft.members, "")?;
            Ok(EditPage {
                frame: Frame::load(tx, &signed_in, Place::Services)?,
                key: known.as_ref().map(|known| known.key.clone()).unwrap_or_default(),
                form: FormView {
                    preview: draft.preview(&choices),
                    choices,
                    is_cut,
                    projects: project_choices(projects),
                    severities: SEVERITIES,
                    is_new: known.is_none(),
                    seen: known.as_ref().map(|known| known.version.to_string()).unwrap_or_default(),
                    draft,
                    wrongs,
                },
                file: match &known {
                    Some(known) => from_file::told(tx, known.owner == Owner::File, "services", &known.key)?,
                    None => String::new(),
                },
                name: known.map(|known| known.name).unwrap_or_default(),
            })
        })
        .await
}

fn among(tx: &ReadTx<'_>, signed_in: &SignedIn, project: &str) -> Result<Among, Problem> {
    let visible = signed_in.session.actor().visible();
    let project = Some(find_project(tx, &visible, project)?.id);
    Ok(Among { visible, project, with_services: false })
}

/// `GET /services/{key}/edit`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    key: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let known = find_mine(&state, &signed_in, &key).await?;
    let draft = Draft::of(&known);
    page(&edit_page(&state, signed_in, Some(known), (draft, Wrongs::default())).await?)
}

/// A service that the asker may change.
async fn find_mine(state: &AppState, signed_in: &SignedIn, key: &str) -> Result<Service, Problem> {
    let (caller, named) = (signed_in.caller(), key.to_owned());
    state.store.read(move |tx| find_to(tx, &caller, Act::Change, &named)).await
}

/// `POST /services`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/services", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let draft = Draft::typed(&form.fields);
    let wanted = match draft.wanted() {
        Ok(wanted) => wanted,
        Err(wrongs) => return refuse(&state, form, None, (draft, wrongs)).await,
    };
    answer(&state, form, (None, Aim::New), (draft, wanted)).await
}

/// `POST /services/{key}/edit`
pub(super) async fn update(
    state: web::Data<AppState>,
    key: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let known = find_mine(&state, &form.signed_in, &key).await?;
    if known.owner == Owner::File {
        return Err(services::Error::OwnedByFile(known.key).into());
    }
    let typed = Draft::typed(&form.fields);
    let draft = Draft { key: known.key.clone(), project: known.project_slug.clone(), ..typed };
    match draft.wanted() {
        Ok(wanted) => {
            let aim = Aim::Known { seen: form.seen() };
            answer(&state, form, (Some(known), aim), (draft, wanted)).await
        }
        Err(wrongs) => refuse(&state, form, Some(known), (draft, wrongs)).await,
    }
}

async fn answer(
    state: &AppState,
    form: Form,
    (known, aim): (Option<Service>, Aim),
    (draft, wanted): (Draft, Wanted),
) -> Result<HttpResponse, Problem> {
    let refused = match save(state, form.caller(), (wanted, aim)).await {
        Ok((service, _)) => return Ok(see_other(&format!("/services/{}", service.key))),
        Err(refused) => refused,
    };
    match (refused, known) {
        (Refused::Stale(what), Some(known)) => {
            // The form is shown over what it is now.
            let now_is = find_mine(state, &form.signed_in, &known.key).await?;
            let typed = (draft, Wrongs::overtaken(what));
            page_with(StatusCode::CONFLICT, &edit_page(state, form.signed_in, Some(now_is), typed).await?)
        }
        (Refused::Draft(error), known) => {
            let problem = Problem::from(error);
            if !matches!(problem.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT) {
                return Err(problem);
            }
            refuse(state, form, known, (draft, told(&problem.detail))).await
        }
        (refused, _) => Err(refused.into()),
    }
}

async fn refuse(
    state: &AppState,
    form: Form,
    known: Option<Service>,
    typed: (Draft, Wrongs),
) -> Result<HttpResponse, Problem> {
    form_page(true, &edit_page(state, form.signed_in, known, typed).await?)
}

/// The field of the form that an error of the domain names.
fn told(text: &str) -> Wrongs {
    let small = text.to_lowercase();
    let field = FIELDS.iter().find(|(name, _)| small.starts_with(name)).map_or("form", |(_, field)| field);
    let named = |(name, _): &(&str, &str)| ["Key", "Members", "Needs", "Labels", "Runbook"].contains(name);
    Wrongs::one(field, sentence(text.split_once(": ").filter(named).map_or(text, |(_, text)| text)))
}

/// `GET /services/preview`: what a service would be, while it is chosen.
pub(super) async fn preview(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    query: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, Problem> {
    let draft = Draft::typed(&query.into_inner().into());
    let rendered = state
        .store
        .read(move |tx| {
            let among = among(tx, &signed_in, &draft.project)?;
            let (choices, _) = chooser::load(tx, &among, &draft.members, "")?;
            Ok::<_, Problem>(PreviewAlone { preview: draft.preview(&choices) })
        })
        .await?;
    page(&rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_of_the_name() {
        let of = |name: &str| Draft { name: name.to_owned(), ..Draft::default() }.key_or_derived();
        assert_eq!((of("AI providers").as_str(), of("  --Käse & Co ").as_str()), ("ai_providers", "k_se_co"));
    }

    #[test]
    fn mistakes_stand_at_their_fields() {
        let table = [
            ("Members: there is no heartbeat “x”.", "members", "There is no heartbeat “x”."),
            ("Needs: a quorum is 1 to the number of members, which is 2.", "quorum", "A quorum is"),
            ("The name is too long: use at most 60 characters.", "name", "The name is too long: use"),
            ("Key: “A b” is no key.", "key", "“A b” is no key."),
            ("The key db is taken: choose another one.", "key", "The key db is taken"),
            ("Runbook: an address", "runbook", "An address."),
            ("Something else: is wrong.", "form", "Something else: is wrong."),
        ];
        for (text, field, says) in table {
            assert!(told(text).of(field).starts_with(says), "{text}: {:?}", told(text));
        }
    }
}
