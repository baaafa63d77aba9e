//! One project's settings: its keys, its members, its name.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::{Caller, SignedIn, find_project};
use super::super::{AppState, Problem, acts};
use super::form::{Fields, Form};
use super::frame::{Frame, Place, page_with, see_other};
use super::from_file;
use super::wording::{When, count};
use crate::accounts::access::{Decision, Permission, Subject, decide};
use crate::accounts::keys::{self, Key, KeySettings};
use crate::accounts::projects::{self, Project};
use crate::accounts::{Error, KeyKind, OriginPattern, Origins, PublicKey, tokens, users};
use crate::base::{Owner, ProjectId, Timestamp, Uid};
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "project.html", config = "src/http/admin/askama.toml")]
struct ProjectPage {
    frame: Frame,
    slug: String,
    name: String,
    number: String,
    keys: Vec<KeyLine>,
    default_quota: String,
    members: Vec<PersonLine>,
    others: Vec<PersonLine>,
    may_configure: bool,
    is_archived: bool,
    is_heard: bool,
    /// Where it is named and changed; empty: here.
    file: String,
    refused: RefusedKey,
}

/// The form of a new key, as it was sent and refused.
#[derive(Default)]
struct RefusedKey {
    kind: String,
    label: String,
    origins: String,
    quota: String,
    critical: bool,
    wrong: Option<String>,
}

impl RefusedKey {
    fn new(fields: &Fields, wrong: String) -> Self {
        Self {
            kind: fields.text("kind").to_owned(),
            label: fields.text("label").to_owned(),
            origins: fields.text("origins").to_owned(),
            quota: fields.text("events_per_minute").to_owned(),
            critical: fields.is_on("allow_critical"),
            wrong: Some(wrong),
        }
    }
}

struct KeyLine {
    public_key: String,
    label: String,
    kind: &'static str,
    dsn: String,
    origins: String,
    quota: String,
    /// The quota of its own, as a form has it.
    own_quota: String,
    critical: bool,
    created: When,
    revoked: Option<When>,
    /// As for the project.
    file: String,
}

struct PersonLine {
    id: String,
    email: String,
    role: &'static str,
}

/// `GET /projects/{slug}`.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    slug: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    project_page(&state, signed_in, slug.into_inner(), RefusedKey::default()).await
}

async fn project_page(
    state: &AppState,
    signed_in: SignedIn,
    slug: String,
    refused: RefusedKey,
) -> Result<HttpResponse, Problem> {
    let status = if refused.wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let (now, base) = (state.clock.now(), state.base_url.as_str().to_owned());
    let quota = i64::from(state.config.ingest.events_per_minute);
    let found = state
        .store
        .read(move |tx| {
            let actor = signed_in.session.actor();
            let project = find_project(tx, &actor.visible(), &slug)?;
            let subject = Subject::Project(project.id);
            let members = projects::members(tx, project.id)?;
            let people = if signed_in.session.role == crate::accounts::Role::Owner {
                users::list(tx)?
            } else {
                Vec::new()
            };
            let others =
                people.into_iter().filter(|user| !members.iter().any(|member| member.user == user.id));
            let mut lines = Vec::new();
            for key in keys::list(tx, project.id)? {
                let name = format!("{}/{}", project.slug, key.settings.label);
                let of_file = key.owner == Owner::File && key.revoked_at.is_none();
                let file = from_file::told(tx, of_file, "keys", &name)?;
                lines.push(KeyLine { file, ..line_of(key, &base, quota, now) });
            }
            Ok::<_, Problem>(ProjectPage {
                frame: Frame::load(tx, &signed_in, Place::Projects)?,
                keys: lines,
                default_quota: count(quota),
                others: others
                    .map(|user| person(user.uid, user.email.as_str(), user.role.as_str()))
                    .collect(),
                members: members
                    .iter()
                    .map(|member| person(member.uid, member.email.as_str(), member.role.as_str()))
                    .collect(),
                may_configure: decide(&actor, Permission::Configure, subject) == Decision::Allowed,
                file: from_file::told(tx, project.owner == Owner::File, "projects", project.slug.as_str())?,
                is_archived: project.archived_at.is_some(),
                is_heard: project.first_event_at.is_some(),
                number: project.id.to_string(),
                slug: project.slug.to_string(),
                name: project.name,
                refused,
            })
        })
        .await?;
    page_with(status, &found)
}

fn line_of(key: Key, base: &str, default_quota: i64, now: Timestamp) -> KeyLine {
    let settings = key.settings;
    let origins: Vec<String> = settings.origins.0.iter().map(ToString::to_string).collect();
    KeyLine {
        public_key: key.public_key.to_string(),
        dsn: keys::dsn(base, key.public_key, key.project),
        kind: settings.kind.as_str(),
        label: settings.label,
        origins: origins.join(", "),
        own_quota: settings.events_per_minute.map(|number| number.to_string()).unwrap_or_default(),
        quota: count(settings.events_per_minute.map_or(default_quota, i64::from)),
        critical: settings.allow_critical || settings.kind == KeyKind::Server,
        created: When::new(key.created_at, now),
        revoked: key.revoked_at.map(|at| When::new(at, now)),
        file: String::new(),
    }
}

fn person(id: Uid, email: &str, role: &'static str) -> PersonLine {
    PersonLine { id: id.to_string(), email: email.to_owned(), role }
}

/// Looks the project up and asks whether `caller` may do `permission` to it.
async fn allowed(
    state: &AppState,
    caller: &Caller,
    slug: &str,
    permission: Permission,
) -> Result<Project, Problem> {
    let (visible, slug) = (caller.visible(), slug.to_owned());
    let project = state.store.read(move |tx| find_project(tx, &visible, &slug)).await?;
    caller.may(Permission::Read, Subject::Project(project.id))?;
    match permission {
        Permission::ManageInstance => caller.may(permission, Subject::Instance)?,
        _ => caller.may(permission, Subject::Project(project.id))?,
    }
    Ok(project)
}

/// `POST /projects/{slug}/keys`.
pub(super) async fn create_key(
    state: web::Data<AppState>,
    slug: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let place = format!("/projects/{slug}/keys");
    form.once(state, &place, move |state, form| make_key(state, slug.into_inner(), form)).await
}

async fn make_key(state: web::Data<AppState>, slug: String, form: Form) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::Configure).await?;
    let (by, entropy) = (caller.by(state.clock.now()), state.entropy.clone());
    let made = match read_settings(&form.fields) {
        Ok(settings) => {
            let make = move |tx: &WriteTx<'_>| keys::create(tx, &by, &entropy, project.id, &settings);
            state.store.write("key.create", make).await.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    let key = match made {
        Ok(key) => key,
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let refused = RefusedKey::new(&form.fields, problem.detail);
            return project_page(&state, form.signed_in, slug, refused).await;
        }
        Err(problem) => return Err(problem),
    };
    state.cache.keys.forget(&key.public_key);
    let place = match form.text("back") {
        "welcome" => format!("/projects/{}/welcome", project.slug),
        _ => format!("/projects/{}#key-{}", project.slug, key.public_key),
    };
    Ok(see_other(&place))
}

fn read_settings(fields: &Fields) -> Result<KeySettings, Problem> {
    let kind: KeyKind = fields.text("kind").parse()?;
    let origins = fields.text("origins").split([',', '\n', ' ']).map(str::trim);
    let origins: Vec<OriginPattern> =
        origins.filter(|origin| !origin.is_empty()).map(str::parse).collect::<Result<_, Error>>()?;
    let events_per_minute = match fields.text("events_per_minute") {
        "" => None,
        number => Some(number.parse::<u32>().map_err(|_| Error::InvalidQuota)?),
    };
    Ok(KeySettings {
        kind,
        label: fields.text("label").to_owned(),
        origins: Origins(origins),
        events_per_minute,
        allow_critical: fields.is_on("allow_critical"),
    })
}

/// `POST /projects/{slug}/keys/{key}`: label, origins, quota, and whether it may raise critical.
pub(super) async fn change_key(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (slug, key) = path.into_inner();
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::Configure).await?;
    let key: PublicKey = key.parse()?;
    let (by, settings) = (caller.by(state.clock.now()), read_settings(&form.fields)?);
    let change = state.store.write("key.update", move |tx| {
        find_key(tx, project.id, key)?;
        keys::update(tx, &by, key, &settings)
    });
    change.await?;
    state.cache.keys.forget(&key);
    Ok(see_other(&format!("/projects/{}#key-{key}", project.slug)))
}

/// A key of another project is as unknown as none.
fn find_key(tx: &ReadTx<'_>, project: ProjectId, key: PublicKey) -> Result<Key, Error> {
    keys::find(tx, key)?.filter(|key| key.project == project).ok_or(Error::UnknownKey)
}

/// `POST /projects/{slug}/keys/{key}/revoke`.
pub(super) async fn revoke_key(
    state: web::Data<AppState>,
    path: web::Path<(String, String)>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (slug, key) = path.into_inner();
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::Configure).await?;
    let key: PublicKey = key.parse()?;
    let by = caller.by(state.clock.now());
    let revoke = state.store.write("key.revoke", move |tx| {
        find_key(tx, project.id, key)?;
        keys::revoke(tx, &by, key)
    });
    revoke.await?;
    state.cache.keys.forget(&key);
    Ok(see_other(&format!("/projects/{}", project.slug)))
}

/// `POST /projects/{slug}/name`.
pub(super) async fn rename(
    state: web::Data<AppState>,
    slug: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::Configure).await?;
    let (by, name) = (caller.by(state.clock.now()), form.text("name").to_owned());
    state.store.write("project.rename", move |tx| projects::rename(tx, &by, project.id, &name)).await?;
    Ok(see_other(&format!("/projects/{}", project.slug)))
}

/// `POST /projects/{slug}/members`: `add` or `remove` names a user.
pub(super) async fn change_members(
    state: web::Data<AppState>,
    slug: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::ManageInstance).await?;
    let by = caller.by(state.clock.now());
    let (add, remove) = (form.text("add").to_owned(), form.text("remove").to_owned());
    let changed = state.store.write("project.members", move |tx| {
        let named = if add.is_empty() { &remove } else { &add };
        let uid: Uid = named.parse().map_err(|_| Error::UnknownUser)?;
        let user = users::find_by_uid(tx, uid)?.ok_or(Error::UnknownUser)?;
        if add.is_empty() {
            projects::remove_member(tx, &by, project.id, user.id)?;
            tokens::revoke_made_for(tx, &by, &user.email, project.id)
        } else {
            projects::add_member(tx, &by, project.id, user.id)
        }
    });
    changed.await?;
    state.cache.sessions.forget_all();
    state.cache.tokens.forget_all();
    Ok(see_other(&format!("/projects/{}", project.slug)))
}

/// `POST /projects/{slug}/archive`, and with `restore` the way back.
pub(super) async fn archive(
    state: web::Data<AppState>,
    slug: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    let project = allowed(&state, &caller, &slug, Permission::ManageInstance).await?;
    let (by, restores) = (caller.by(state.clock.now()), form.fields.is_on("restore"));
    if restores {
        acts::project::restore(&state, by, project.id).await?;
    } else {
        acts::project::archive(&state, by, project.id).await?;
    }
    Ok(see_other(&format!("/projects/{}", project.slug)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let owned: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        owned.into()
    }

    #[test]
    fn a_key_is_read_from_its_form() {
        let form = fields(&[
            ("kind", "browser"),
            ("label", "Storefront"),
            ("origins", "https://shop.example, *.shop.example\nlocalhost:3000"),
            ("events_per_minute", "60"),
        ]);
        let settings = read_settings(&form).unwrap();
        assert_eq!(settings.origins.0.len(), 3);
        assert_eq!((settings.events_per_minute, settings.allow_critical), (Some(60), false));
        for wrong in
            [("kind", "both"), ("events_per_minute", "many"), ("origins", "https://shop.example/path")]
        {
            let mut pairs = vec![wrong];
            pairs.extend([("kind", "browser"), ("label", "x")]);
            assert!(read_settings(&fields(&pairs)).is_err(), "{wrong:?}");
        }
    }
}
