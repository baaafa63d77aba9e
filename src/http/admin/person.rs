//! One person: role, browsers, projects; what an owner may do about them.

use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::audit::audit_of;
use super::form::Form;
use super::frame::{Frame, Place, form_page, see_other};
use super::once::show_once;
use super::people::{RoleChoice, Standing, role_choices};
use super::sessions::{SessionLine, line_of};
use super::sign_in_links::LinkMaker;
use super::wording::{When, counted};
use crate::accounts::access::{Permission, Subject};
use crate::accounts::users::{self, User};
use crate::accounts::{By, Error, Role, projects, sessions, tokens};
use crate::base::{Timestamp, Uid};
use crate::notify::facts::AccountMatter;
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "person.html", config = "src/http/admin/askama.toml")]
struct PersonPage {
    frame: Frame,
    id: String,
    email: String,
    role: &'static str,
    standing: Standing,
    is_self: bool,
    is_owner: bool,
    has_password: bool,
    created: When,
    seen: Option<When>,
    sessions: Vec<SessionLine>,
    /// Slug and name.
    projects: Vec<(String, String)>,
    /// Tokens that keep working without their maker; empty for none.
    tokens: String,
    roles: [RoleChoice; 3],
    wrong: Option<String>,
}

/// `GET /people/{id}`.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::ManageInstance, Subject::Instance)?;
    person(&state, signed_in, read_id(&id)?, None).await
}

/// `POST /people/{id}/role`.
pub(super) async fn set_role(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let role: Role = form.text("role").parse()?;
    let asked = Asked { id: read_id(&id)?, form, name: "user.set_role" };
    change(&state, asked, move |tx, by, user| users::set_role(tx, by, user.id, role)).await
}

/// `POST /people/{id}/disable`, with `tokens` also those that they made; with `enable` the way back.
pub(super) async fn disable(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let (enables, takes_tokens) = (form.fields.is_on("enable"), form.fields.is_on("tokens"));
    let asked = Asked { id: read_id(&id)?, form, name: "user.disable" };
    change(&state, asked, move |tx, by, user| {
        if enables {
            return users::enable(tx, by, user.id);
        }
        users::disable(tx, by, user.id)?;
        take_tokens(tx, by, user, takes_tokens)
    })
    .await
}

/// `POST /people/{id}/remove`, with `tokens` also those that they made.
pub(super) async fn remove(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let takes_tokens = form.fields.is_on("tokens");
    let asked = Asked { id: read_id(&id)?, form, name: "user.remove" };
    change(&state, asked, move |tx, by, user| {
        users::remove(tx, by, user.id)?;
        take_tokens(tx, by, user, takes_tokens)
    })
    .await
}

/// `POST /people/{id}/sessions/end`: signs them out everywhere.
pub(super) async fn end_sessions(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let asked = Asked { id: read_id(&id)?, form, name: "session.close_all" };
    change(&state, asked, |tx, by, user| sessions::revoke_all(tx, by, user.id, None).map(drop)).await
}

/// `POST /people/{id}/link`: a new sign-in link, shown once.
pub(super) async fn make_link(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let (id, now, maker) = (read_id(&id)?, state.clock.now(), LinkMaker::new(&state));
    let (by, making) = (caller.by(now), maker.clone());
    let frame = Frame::read(&state, &form.signed_in, Place::People).await?;
    let made = state.store.write("link.create", move |tx| {
        let user = users::find_by_uid(tx, id)?.ok_or(Error::UnknownUser)?;
        making.make(tx, &by, user, AccountMatter::SignInLink)
    });
    match made.await {
        Ok(made) => {
            let title = format!("A sign-in link for {}", made.user.email);
            show_once(&maker.page(frame, &made, title, now))
        }
        Err(problem) => person(&state, form.signed_in, id, Some(problem.to_mend()?)).await,
    }
}

impl PersonPage {
    /// Where the audit log says what they did.
    fn changes(&self) -> String {
        audit_of(&self.email)
    }
}

/// A change of one person that an owner asked for.
struct Asked {
    id: Uid,
    form: Form,
    /// The name of the write.
    name: &'static str,
}

/// Makes the change. What rules forbid is told on the page that it was asked for on.
async fn change(
    state: &AppState,
    asked: Asked,
    work: impl FnOnce(&WriteTx<'_>, &By, &User) -> Result<(), Error> + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let Asked { id, form, name } = asked;
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let by = caller.by(state.clock.now());
    let own = form.signed_in.session.user;
    let changed = state.store.write(name, move |tx| {
        let user = users::find_by_uid(tx, id)?.ok_or(Error::UnknownUser)?;
        work(tx, &by, &user)?;
        Ok::<_, Error>((user.id == own, users::find_by_uid(tx, id)?))
    });
    let place = match changed.await {
        // One who is no owner any more may not see these pages.
        Ok((true, after)) if after.as_ref().is_none_or(|user| user.role != Role::Owner) => "/".to_owned(),
        Ok((_, Some(_))) => format!("/people/{id}"),
        Ok((_, None)) => "/people".to_owned(),
        Err(error) => {
            let wrong = Problem::from(error).to_mend()?;
            return person(state, form.signed_in, id, Some(wrong)).await;
        }
    };
    // Sessions and tokens remember whom they belong to and what they may do.
    state.cache.sessions.forget_all();
    state.cache.tokens.forget_all();
    Ok(see_other(&place))
}

fn take_tokens(tx: &WriteTx<'_>, by: &By, user: &User, takes: bool) -> Result<(), Error> {
    if takes { tokens::revoke_all_of(tx, by, &user.email).map(drop) } else { Ok(()) }
}

fn read_id(text: &str) -> Result<Uid, Problem> {
    text.parse().map_err(|_| Error::UnknownUser.into())
}

async fn person(
    state: &AppState,
    signed_in: SignedIn,
    id: Uid,
    wrong: Option<String>,
) -> Result<HttpResponse, Problem> {
    let (now, was_refused) = (state.clock.now(), wrong.is_some());
    let page = state.store.read(move |tx| load(tx, &signed_in, id, wrong, now)).await?;
    form_page(was_refused, &page)
}

fn load(
    tx: &ReadTx<'_>,
    signed_in: &SignedIn,
    id: Uid,
    wrong: Option<String>,
    now: Timestamp,
) -> Result<PersonPage, Problem> {
    let user = users::find_by_uid(tx, id)?.ok_or(Error::UnknownUser)?;
    let listed = sessions::list(tx, user.id, now)?;
    let made = tokens::count_of(tx, &user.email)?;
    let projects = projects::of_member(tx, user.id)?;
    Ok(PersonPage {
        frame: Frame::load(tx, signed_in, Place::People)?,
        id: user.uid.to_string(),
        standing: Standing::of(&user, now),
        role: user.role.as_str(),
        is_self: user.id == signed_in.session.user,
        is_owner: user.role == Role::Owner,
        has_password: user.has_password,
        created: When::new(user.created_at, now),
        seen: user.last_seen_at.map(|at| When::new(at, now)),
        sessions: listed.into_iter().map(|line| line_of(line, now, signed_in.session.uid)).collect(),
        projects: projects.into_iter().map(|it| (it.slug.to_string(), it.name)).collect(),
        tokens: if made == 0 { String::new() } else { counted(i64::try_from(made).unwrap_or(0), "token") },
        roles: role_choices(user.role),
        email: user.email.to_string(),
        wrong,
    })
}
