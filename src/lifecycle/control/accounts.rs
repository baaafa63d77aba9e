//! The commands that change accounts. What they do stands in the audit log as done by the command line.

use super::{Answer, Desk, KeyLine, ProjectLine, TokenLine, UserLine};
use crate::accounts::keys::{self, Key};
use crate::accounts::links::{self, LINK_LIFETIME};
use crate::accounts::passwords::{self, NewPassword, PasswordHash};
use crate::accounts::projects::{self, NewProject, Project, ProjectRef};
use crate::accounts::tokens::{self, ApiToken, NewToken};
use crate::accounts::users::{self, NewUser, USERS_MAX, User};
use crate::accounts::{By, Email, Error, Role, Scopes, Visible};
use crate::base::{Entropy, Secret};
use crate::store::{ReadTx, WriteTx};

pub(super) async fn create_project(desk: &Desk, name: String) -> Answer {
    let (by, entropy) = (now(desk), desk.entropy.clone());
    let made = desk.store.write("project create", move |tx| {
        projects::create_with_key(tx, &by, &entropy, &NewProject { name, slug: None })
    });
    answer(made.await.map(|(project, key)| Answer::Project {
        id: project.id.0,
        slug: project.slug.to_string(),
        dsn: keys::dsn(desk.base_url.as_str(), key.public_key, project.id),
        public_key: key.public_key.to_string(),
    }))
}

pub(super) async fn list_projects(desk: &Desk) -> Answer {
    let listed = desk.store.read(|tx| {
        let mut all = projects::list(tx, &Visible::All)?;
        all.extend(projects::list_archived(tx, &Visible::All)?);
        Ok::<_, Error>(all)
    });
    let listed = listed.await;
    let line = |project: Project| ProjectLine {
        id: project.id.0,
        slug: project.slug.to_string(),
        name: project.name,
        created_at: project.created_at,
        archived_at: project.archived_at,
    };
    answer(listed.map(|projects| Answer::Projects { items: projects.into_iter().map(line).collect() }))
}

pub(super) async fn list_keys(desk: &Desk, project: String) -> Answer {
    let listed = desk.store.read(move |tx| keys::list(tx, project_of(tx, &project)?.id)).await;
    let line = |key: &Key| KeyLine {
        dsn: keys::dsn(desk.base_url.as_str(), key.public_key, key.project),
        public_key: key.public_key.to_string(),
        kind: key.settings.kind.as_str().to_owned(),
        label: key.settings.label.clone(),
        created_at: key.created_at,
    };
    answer(listed.map(|keys| Answer::Keys {
        items: keys.iter().filter(|key| key.revoked_at.is_none()).map(line).collect(),
    }))
}

pub(super) async fn list_tokens(desk: &Desk) -> Answer {
    let listed = desk.store.read(|tx| {
        let line = |token: ApiToken| {
            let project = token.project.map(|id| projects::find(tx, id)).transpose()?.flatten();
            Ok::<_, Error>(TokenLine {
                id: token.uid.to_string(),
                name: token.name,
                hint: token.hint,
                scopes: token.scopes.to_string(),
                project: project.map(|project| project.slug.to_string()),
                created_at: token.created_at,
                created_by: token.created_by,
                last_used_at: token.last_used_at,
            })
        };
        tokens::list(tx)?.into_iter().map(line).collect::<Result<Vec<_>, _>>()
    });
    answer(listed.await.map(|items| Answer::Tokens { items }))
}

pub(super) async fn revoke_token(desk: &Desk, id: String) -> Answer {
    let (by, text) = (now(desk), format!("token {id} is revoked: whoever uses it is refused from now on"));
    let done = desk.store.write("token revoke", move |tx| {
        tokens::revoke(tx, &by, id.parse().map_err(|_| Error::UnknownToken)?)
    });
    answer(done.await.map(|_| Answer::Done { text }))
}

pub(super) async fn create_token(
    desk: &Desk,
    name: String,
    scopes: Vec<String>,
    project: Option<String>,
) -> Answer {
    let (by, entropy) = (now(desk), desk.entropy.clone());
    let made = desk.store.write("token create", move |tx| {
        let scopes: Scopes = scopes.join(",").parse()?;
        let project = match project {
            Some(text) => Some(project_of(tx, &text)?.id),
            None => None,
        };
        Ok(tokens::create(tx, &by, &entropy, &NewToken { name, scopes, project })?.1)
    });
    answer(made.await.map(|token: Secret| Answer::Token { token: token.expose().to_owned() }))
}

pub(super) async fn create_user(
    desk: &Desk,
    email: String,
    role: String,
    password: Option<Secret>,
) -> Answer {
    answer(try_create_user(desk, &email, &role, password).await)
}

/// With a password, or with a one-use link in its place.
async fn try_create_user(
    desk: &Desk,
    email: &str,
    role: &str,
    password: Option<Secret>,
) -> Result<Answer, Error> {
    let (email, role): (Email, Role) = (email.parse()?, role.parse()?);
    let password = match password {
        Some(text) => Some(hashed(desk.entropy.clone(), NewPassword::parse(text, &email)?).await?),
        None => None,
    };
    let (by, entropy) = (now(desk), desk.entropy.clone());
    let expires_at = by.now + LINK_LIFETIME;
    let (user, link) = desk
        .store
        .write("user create", move |tx| {
            let needs_link = password.is_none();
            let user = users::create(tx, &by, &entropy, &NewUser { email, role, password })?;
            let link = if needs_link { Some(links::create(tx, &by, &entropy, user.id)?) } else { None };
            Ok::<_, Error>((user, link))
        })
        .await?;
    Ok(Answer::User {
        email: user.email.to_string(),
        role: user.role.to_string(),
        link_expires_at: link.as_ref().map(|_| expires_at),
        link: link.as_ref().map(|token| link_of(desk, token)),
    })
}

/// Slow on purpose, and therefore not on the thread that answers.
async fn hashed(entropy: Entropy, password: NewPassword) -> Result<PasswordHash, Error> {
    let hashing = tokio::task::spawn_blocking(move || passwords::hash(&password, &entropy));
    hashing.await.unwrap_or_else(|error| Err(Error::Hashing(error.to_string())))
}

pub(super) async fn list_users(desk: &Desk) -> Answer {
    let listed = desk.store.read(users::list).await;
    answer(listed.map(|users| Answer::Users {
        more: u32::try_from(users.len()).is_ok_and(|count| count >= USERS_MAX),
        items: users.iter().map(line).collect(),
    }))
}

fn line(user: &User) -> UserLine {
    UserLine {
        email: user.email.to_string(),
        role: user.role.to_string(),
        created_at: user.created_at,
        last_seen_at: user.last_seen_at,
        disabled: user.disabled_at.is_some(),
    }
}

pub(super) async fn create_link(desk: &Desk, email: Option<String>) -> Answer {
    let (by, entropy) = (now(desk), desk.entropy.clone());
    let expires_at = by.now + LINK_LIFETIME;
    let made = desk.store.write("user link", move |tx| match email {
        Some(email) => {
            let user = named(tx, &email)?;
            links::create(tx, &by, &entropy, user.id)
        }
        None => links::create_for_first_owner(tx, &by, &entropy),
    });
    match made.await {
        Err(Error::NotFirst) => {
            Answer::Refused { text: "there are users already: say for whom the link is".to_owned() }
        }
        made => answer(made.map(|token| Answer::Link { link: link_of(desk, &token), expires_at })),
    }
}

pub(super) async fn disable_user(desk: &Desk, email: String, takes_tokens: bool) -> Answer {
    let (by, text) = (now(desk), format!("{email} is signed out everywhere and cannot sign in"));
    let done = desk.store.write("user disable", move |tx| {
        let user = named(tx, &email)?;
        users::disable(tx, &by, user.id)?;
        end_tokens(tx, &by, &user, takes_tokens)
    });
    answer(done.await.map(|tokens| Answer::Done { text: format!("{text}{tokens}") }))
}

pub(super) async fn remove_user(desk: &Desk, email: String, takes_tokens: bool) -> Answer {
    let (by, text) = (now(desk), format!("{email} is removed"));
    let done = desk.store.write("user remove", move |tx| {
        let user = named(tx, &email)?;
        users::remove(tx, &by, user.id)?;
        end_tokens(tx, &by, &user, takes_tokens)
    });
    answer(done.await.map(|tokens| Answer::Done { text: format!("{text}{tokens}") }))
}

/// Ends the tokens that `user` made, or leaves them; says which.
fn end_tokens(tx: &WriteTx<'_>, by: &By, user: &User, takes: bool) -> Result<String, Error> {
    let (count, what) = if takes {
        (tokens::revoke_all_of(tx, by, &user.email)?, "revoked")
    } else {
        let lists = "still valid: `tocsin token list` shows them, `tocsin token revoke` ends one";
        (tokens::count_of(tx, &user.email)?, lists)
    };
    Ok(match count {
        0 => String::new(),
        1 => format!("\n1 token that they made is {what}"),
        many => format!("\n{many} tokens that they made are {what}"),
    })
}

fn project_of(tx: &ReadTx<'_>, text: &str) -> Result<Project, Error> {
    projects::find_visible(tx, &text.parse::<ProjectRef>()?, &Visible::All)?.ok_or(Error::UnknownProject)
}

fn named(tx: &WriteTx<'_>, email: &str) -> Result<User, Error> {
    users::find_by_email(tx, &email.parse()?)?.ok_or(Error::UnknownUser)
}

fn now(desk: &Desk) -> By {
    By::command_line(desk.clock.now())
}

fn link_of(desk: &Desk, token: &Secret) -> String {
    format!("{}{}", desk.base_url, links::path(token))
}

/// A fault of the store is told as a failure; everything else is for the person to put right.
fn answer(done: Result<Answer, Error>) -> Answer {
    match done {
        Ok(answer) => answer,
        Err(error @ (Error::Store(_) | Error::Hashing(_))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a command failed");
            Answer::Failed { text: error.to_string() }
        }
        Err(error) => Answer::Refused { text: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, carry_out};
    use super::*;
    use crate::accounts::Actor;
    use crate::base::{Clock, Timestamp};
    use crate::config::BaseUrl;
    use crate::store::{Options, Store};

    const NOON: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn desk() -> (tempfile::TempDir, Desk) {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk {
            store: Store::open(folder.path(), &Options::default()).unwrap().start().unwrap(),
            clock: Clock::manual(NOON),
            entropy: Entropy::seeded(1),
            base_url: BaseUrl::parse("https://tocsin.example.com").unwrap(),
            means: Err("not in this test".to_owned()),
            live: None,
        };
        (folder, desk)
    }

    async fn done(desk: &Desk, json: &str) -> Answer {
        carry_out(desk.clone(), serde_json::from_str::<Command>(json).unwrap()).await
    }

    async fn refused(desk: &Desk, json: &str) -> String {
        match done(desk, json).await {
            Answer::Refused { text } => text,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_project_comes_with_a_dsn_and_a_token_may_be_bound_to_it() {
        let (_folder, desk) = desk();
        let Answer::Project { id, slug, dsn, public_key } =
            done(&desk, r#"{"do":"project_create","name":"My Shop"}"#).await
        else {
            panic!("no project");
        };
        assert_eq!(slug, "my-shop");
        assert_eq!(dsn, format!("https://{public_key}@tocsin.example.com/{id}"));
        let token = r#"{"do":"token_create","name":"ci","scopes":["read","write"],"project":"my-shop"}"#;
        assert!(matches!(done(&desk, token).await, Answer::Token { token } if token.starts_with("toc_")));
        let wrong = r#"{"do":"token_create","name":"ci","scopes":["root"],"project":null}"#;
        assert!(refused(&desk, wrong).await.contains("read, write, admin"));
        let wrong = r#"{"do":"token_create","name":"ci","scopes":["read"],"project":"shop"}"#;
        assert_eq!(refused(&desk, wrong).await, "no such project");
    }

    #[tokio::test]
    async fn projects_keys_and_tokens_are_listed_and_a_token_is_revoked_once() {
        let (_folder, desk) = desk();
        let Answer::Project { dsn, .. } = done(&desk, r#"{"do":"project_create","name":"My Shop"}"#).await
        else {
            panic!("no project");
        };
        let Answer::Projects { items } = done(&desk, r#"{"do":"project_list"}"#).await else {
            panic!("no projects");
        };
        assert!(items.iter().any(|project| project.slug == "my-shop" && project.name == "My Shop"));
        let Answer::Keys { items } = done(&desk, r#"{"do":"project_keys","project":"my-shop"}"#).await else {
            panic!("no keys");
        };
        assert_eq!(items.iter().map(|key| &key.dsn).collect::<Vec<_>>(), [&dsn]);
        let unknown = r#"{"do":"project_keys","project":"shop"}"#;
        assert_eq!(refused(&desk, unknown).await, "no such project");

        done(&desk, r#"{"do":"token_create","name":"ci","scopes":["read","write"],"project":"my-shop"}"#)
            .await;
        let Answer::Tokens { items } = done(&desk, r#"{"do":"token_list"}"#).await else {
            panic!("no tokens");
        };
        assert_eq!(items.len(), 1);
        assert_eq!((items[0].name.as_str(), items[0].project.as_deref()), ("ci", Some("my-shop")));
        let revoke = format!(r#"{{"do":"token_revoke","id":"{}"}}"#, items[0].id);
        assert!(matches!(done(&desk, &revoke).await, Answer::Done { .. }));
        assert!(refused(&desk, &revoke).await.contains("revoked already"));
        assert!(refused(&desk, r#"{"do":"token_revoke","id":"ci"}"#).await.contains("no such token"));
        let left = done(&desk, r#"{"do":"token_list"}"#).await;
        assert_eq!(left, Answer::Tokens { items: Vec::new() });
    }

    #[tokio::test]
    async fn people_come_by_link_or_password_and_the_last_owner_stays() {
        let (_folder, desk) = desk();
        let first = done(&desk, r#"{"do":"user_link","email":null}"#).await;
        let starts = "https://tocsin.example.com/sign-in/";
        assert!(matches!(first, Answer::Link { link, expires_at }
            if link.starts_with(starts) && expires_at == NOON + LINK_LIFETIME));
        let owner = done(&desk, r#"{"do":"user_create","email":"a@example.com","role":"owner"}"#).await;
        assert!(matches!(owner, Answer::User { link: Some(link), .. } if link.starts_with(starts)));
        let member = r#"{"do":"user_create","email":"b@example.com","role":"member","password":"four unrelated words"}"#;
        assert!(matches!(done(&desk, member).await, Answer::User { link: None, .. }));
        assert!(refused(&desk, member).await.contains("already"));
        assert!(refused(&desk, r#"{"do":"user_link","email":null}"#).await.contains("for whom"));
        assert!(
            refused(&desk, r#"{"do":"user_remove","email":"a@example.com"}"#).await.contains("last owner")
        );
        assert!(matches!(
            done(&desk, r#"{"do":"user_disable","email":"b@example.com"}"#).await,
            Answer::Done { .. }
        ));
        let Answer::Users { items, more } = done(&desk, r#"{"do":"user_list"}"#).await else {
            panic!("no list");
        };
        let seen: Vec<_> = items.iter().map(|user| (user.email.as_str(), user.disabled)).collect();
        assert_eq!((seen, more), (vec![("a@example.com", false), ("b@example.com", true)], false));
    }

    #[tokio::test]
    async fn who_goes_leaves_no_token_unsaid() {
        let (_folder, desk) = desk();
        for (email, role) in [("a@example.com", "owner"), ("b@example.com", "owner")] {
            let create = format!(r#"{{"do":"user_create","email":"{email}","role":"{role}"}}"#);
            assert!(matches!(done(&desk, &create).await, Answer::User { .. }));
        }
        let made = desk.store.write("made by b", |tx| {
            let user = named(tx, "b@example.com")?;
            let actor = Actor::User { id: user.id, email: user.email, role: user.role, projects: Vec::new() };
            let (by, scopes) = (By { actor, ..By::command_line(NOON) }, "read".parse()?);
            let new = NewToken { name: "theirs".to_owned(), scopes, project: None };
            tokens::create(tx, &by, &Entropy::seeded(2), &new)
        });
        made.await.unwrap();
        let said = async |json: &str| match done(&desk, json).await {
            Answer::Done { text } => text,
            other => panic!("{other:?}"),
        };
        let text = said(r#"{"do":"user_disable","email":"b@example.com"}"#).await;
        assert!(text.contains("1 token that they made is still valid"), "{text}");
        let text = said(r#"{"do":"user_remove","email":"b@example.com","tokens":true}"#).await;
        assert!(text.ends_with("is removed\n1 token that they made is revoked"), "{text}");
        assert_eq!(done(&desk, r#"{"do":"token_list"}"#).await, Answer::Tokens { items: Vec::new() });
    }

    #[tokio::test]
    async fn what_needs_a_server_says_so() {
        let (_folder, desk) = desk();
        for json in [r#"{"do":"send_test","what":"email"}"#, r#"{"do":"status","of":"itself"}"#] {
            assert!(refused(&desk, json).await.contains("`tocsin serve`"));
        }
    }
}
