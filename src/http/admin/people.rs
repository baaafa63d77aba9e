//! Everybody who may sign in, and inviting one more.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use askama::Template;

use super::super::auth::SignedIn;
use super::super::{AppState, Problem};
use super::form::Form;
use super::frame::{Frame, Place, form_page};
use super::once::show_once;
use super::sign_in_links::LinkMaker;
use super::wording::{When, counted};
use crate::accounts::access::{Permission, Subject};
use crate::accounts::sessions;
use crate::accounts::users::{self, NewUser, User, UserId};
use crate::accounts::{Email, Role};
use crate::base::Timestamp;
use crate::notify::facts::AccountMatter;

#[derive(Template)]
#[template(path = "people.html", config = "src/http/admin/askama.toml")]
struct PeoplePage {
    frame: Frame,
    headline: String,
    lines: Vec<PersonLine>,
    roles: [RoleChoice; 3],
    /// What was typed, where it was refused.
    email: String,
    wrong: Option<String>,
}

struct PersonLine {
    id: String,
    email: String,
    role: &'static str,
    standing: Standing,
    seen: Option<When>,
    created: When,
    /// Empty: signed in nowhere.
    sessions: String,
    is_self: bool,
}

/// Whether somebody may come in, and whether they ever did.
pub(super) enum Standing {
    Active,
    /// Never came in so far.
    Invited,
    Disabled(When),
}

/// A role with what it may do.
pub(super) struct RoleChoice {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) is_chosen: bool,
}

/// `GET /people`.
pub(super) async fn show(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::ManageInstance, Subject::Instance)?;
    people(&state, signed_in, Typed::default()).await
}

/// A refused invitation.
#[derive(Default)]
struct Typed {
    email: String,
    role: Option<Role>,
    wrong: Option<String>,
}

/// `POST /people`: invites somebody. The answer shows the link, once.
pub(super) async fn invite(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    form.once(state, "/people", make).await
}

async fn make(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let (by, maker) = (caller.by(state.clock.now()), LinkMaker::new(&state));
    let (typed, role) = (form.text("email").to_owned(), form.text("role").to_owned());
    let parsed = typed.parse::<Email>().and_then(|email| Ok((email, role.parse::<Role>()?)));
    let invited = match parsed {
        Ok((email, role)) => {
            let maker = maker.clone();
            let frame = Frame::read(&state, &form.signed_in, Place::People).await?;
            let invite = state.store.write("user.create", move |tx| {
                let user = users::create(tx, &by, maker.entropy(), &NewUser { email, role, password: None })?;
                maker.make(tx, &by, user, AccountMatter::Invitation)
            });
            invite.await.map(|made| (frame, made))
        }
        Err(error) => Err(error.into()),
    };
    match invited {
        Ok((frame, made)) => {
            let title = format!("{} is invited as {}", made.user.email, made.user.role);
            show_once(&maker.page(frame, &made, title, state.clock.now()))
        }
        Err(problem) => {
            let refused = Typed { email: typed, role: role.parse().ok(), wrong: Some(problem.to_mend()?) };
            people(&state, form.signed_in, refused).await
        }
    }
}

async fn people(state: &AppState, signed_in: SignedIn, typed: Typed) -> Result<HttpResponse, Problem> {
    let (now, was_refused) = (state.clock.now(), typed.wrong.is_some());
    let page = state
        .store
        .read(move |tx| {
            let own = signed_in.session.user;
            let counts = sessions::count_by_user(tx, now)?;
            let users = users::list(tx)?;
            Ok::<_, Problem>(PeoplePage {
                headline: headline(&users),
                lines: users.iter().map(|user| line_of(user, &counts, own, now)).collect(),
                roles: role_choices(typed.role.unwrap_or(Role::Member)),
                email: typed.email,
                wrong: typed.wrong,
                frame: Frame::load(tx, &signed_in, Place::People)?,
            })
        })
        .await?;
    form_page(was_refused, &page)
}

fn line_of(user: &User, counts: &HashMap<UserId, i64>, own: UserId, now: Timestamp) -> PersonLine {
    PersonLine {
        id: user.uid.to_string(),
        standing: Standing::of(user, now),
        email: user.email.to_string(),
        role: user.role.as_str(),
        seen: user.last_seen_at.map(|at| When::new(at, now)),
        created: When::new(user.created_at, now),
        sessions: counts.get(&user.id).map(|number| counted(*number, "browser")).unwrap_or_default(),
        is_self: user.id == own,
    }
}

fn headline(users: &[User]) -> String {
    let active = users.iter().filter(|user| user.disabled_at.is_none()).count();
    match active {
        1 => "Only you may sign in".to_owned(),
        many => format!("{many} people may sign in"),
    }
}

impl Standing {
    pub(super) fn of(user: &User, now: Timestamp) -> Self {
        match (user.disabled_at, user.last_seen_at) {
            (Some(at), _) => Self::Disabled(When::new(at, now)),
            (None, None) => Self::Invited,
            (None, Some(_)) => Self::Active,
        }
    }

    pub(super) const fn is_disabled(&self) -> bool {
        matches!(self, Self::Disabled(_))
    }
}

/// What each role may do, the present one chosen.
pub(super) fn role_choices(chosen: Role) -> [RoleChoice; 3] {
    Role::ALL.map(|role| RoleChoice {
        name: role.as_str(),
        says: match role {
            Role::Owner => "Everything in every project, and who may come in.",
            Role::Member => "Takes care of issues and incidents, and configures their projects.",
            Role::Viewer => "Looks at their projects and changes nothing.",
        },
        is_chosen: role == chosen,
    })
}
