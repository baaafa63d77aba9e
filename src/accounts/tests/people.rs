//! Users, links, sessions, members.

use super::*;
use crate::accounts::links::{LINK_LIFETIME, LINK_TOKEN_CHARS, LinkFor};
use crate::accounts::projects::ProjectRef;
use crate::accounts::sessions::{Browser, SEEN_EVERY, SESSION_LIFETIME, SESSIONS_PER_USER_MAX, Session};
use crate::accounts::tokens::NewToken;
use crate::accounts::users::UserId;
use crate::base::Secret;

fn sign_in(fixture: &Fixture, user: UserId, at: Timestamp) -> TokenHash {
    let browser = Browser { user_agent: Some("Firefox".repeat(100)), address: "192.0.2.1".parse().ok() };
    let token = fixture
        .change_at(at, move |tx, by, entropy| sessions::open(tx, by.now, entropy, user, &browser))
        .unwrap();
    TokenHash::of(token.expose())
}

fn session(fixture: &Fixture, token: TokenHash, at: Timestamp) -> Option<Session> {
    fixture.read(|tx| sessions::find(tx, &token, at))
}

#[test]
fn addresses_are_unique_whatever_their_case() {
    let fixture = Fixture::new();
    fixture.user("Ada@example.com", Role::Owner);
    let again = NewUser { email: "ada@EXAMPLE.com".parse().unwrap(), role: Role::Viewer, password: None };
    let taken = fixture.change(move |tx, by, entropy| users::create(tx, by, entropy, &again));
    assert!(matches!(taken, Err(Error::EmailTaken(_))));
    assert_eq!(fixture.read(users::list).len(), 1);
}

#[test]
fn the_last_active_owner_stays_whatever_is_tried() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com", Role::Owner).id;
    let bob = fixture.user("bob@example.com", Role::Owner).id;
    fixture.change(move |tx, by, _| users::disable(tx, by, bob)).unwrap();
    let tries = [
        fixture.change(move |tx, by, _| users::remove(tx, by, ada)),
        fixture.change(move |tx, by, _| users::disable(tx, by, ada)),
        fixture.change(move |tx, by, _| users::set_role(tx, by, ada, Role::Member)),
    ];
    assert!(tries.iter().all(|tried| matches!(tried, Err(Error::LastOwner))), "{tries:?}");
    fixture.change(move |tx, by, _| users::remove(tx, by, bob)).unwrap();
    let cleo = fixture.user("cleo@example.com", Role::Member).id;
    fixture.change(move |tx, by, _| users::set_role(tx, by, cleo, Role::Owner)).unwrap();
    fixture.change(move |tx, by, _| users::remove(tx, by, ada)).unwrap();
    let left = fixture.read(users::list);
    assert_eq!(
        left.iter().map(|user| (user.email.as_str(), user.role)).collect::<Vec<_>>(),
        [("cleo@example.com", Role::Owner)]
    );
}

#[test]
fn a_lowered_role_takes_the_tokens_that_it_could_not_give() {
    let fixture = Fixture::new();
    fixture.user("ada@example.com", Role::Owner);
    let bob = fixture.user("bob@example.com", Role::Owner);
    let [own, other] = ["Own", "Other"].map(|name| fixture.project(name).id);
    fixture.change(move |tx, by, _| projects::remove_member(tx, by, other, bob.id)).unwrap();
    let actor = Actor::User { id: bob.id, email: bob.email, role: bob.role, projects: Vec::new() };
    let everything = [
        ("all", "read", None),
        ("own", "write", Some(own)),
        ("other", "read", Some(other)),
        ("metrics", "metrics", Some(own)),
    ];
    for (name, scopes, project) in everything {
        let new = NewToken { name: name.to_owned(), scopes: scopes.parse().unwrap(), project };
        let theirs = By { actor: actor.clone(), ..By::command_line(NOON) };
        fixture.change(move |tx, _, entropy| tokens::create(tx, &theirs, entropy, &new)).unwrap();
    }
    let left = || {
        let tokens = fixture.read(tokens::list);
        tokens.into_iter().map(|token| token.name).collect::<Vec<_>>()
    };
    fixture.change(move |tx, by, _| users::set_role(tx, by, bob.id, Role::Member)).unwrap();
    assert_eq!(left(), ["own"]);
    fixture.change(move |tx, by, _| users::set_role(tx, by, bob.id, Role::Viewer)).unwrap();
    assert!(left().is_empty());
}

#[test]
fn a_link_signs_in_once_within_its_hour() {
    let fixture = Fixture::new();
    let ada = fixture.user("ada@example.com", Role::Owner).id;
    let make = || fixture.change(move |tx, by, entropy| links::create(tx, by, entropy, ada)).unwrap();
    let voided = TokenHash::of(make().expose());
    let link = make();
    assert_eq!(link.expose().len(), LINK_TOKEN_CHARS);
    let link = TokenHash::of(link.expose());
    let consume = |link: TokenHash, at: Timestamp| {
        fixture.change_at(at, move |tx, by, _| links::consume(tx, &link, by.now))
    };
    assert!(fixture.read(|tx| links::find(tx, &link, NOON)).is_some(), "looking uses nothing up");
    let late = NOON + LINK_LIFETIME;
    assert!(matches!(consume(link, late), Err(Error::LinkSpent)), "an hour is over");
    assert!(matches!(consume(link, NOON), Ok(LinkFor::User(user)) if user.id == ada));
    assert!(matches!(consume(link, NOON), Err(Error::LinkSpent)), "used");
    assert_eq!(fixture.read(|tx| links::find(tx, &link, NOON)), None, "nor does it show its page again");
    assert!(matches!(consume(voided, NOON), Err(Error::LinkSpent)), "a newer one was made");
    assert!(matches!(consume(TokenHash::of("guess"), NOON), Err(Error::LinkSpent)));
    assert_eq!(fixture.change_at(late, |tx, by, _| links::purge(tx, by.now, 10)).unwrap(), 1);
}

#[test]
fn the_first_owner_comes_in_by_a_link_that_a_failed_attempt_does_not_use_up() {
    let fixture = Fixture::new();
    let link = fixture.change(links::create_for_first_owner).unwrap();
    let link = TokenHash::of(link.expose());
    assert_eq!(fixture.read(|tx| links::find(tx, &link, NOON)), Some(LinkFor::FirstOwner));
    let enter = |fail: bool| {
        fixture.change(move |tx, by, entropy| {
            links::consume(tx, &link, by.now)?;
            if fail {
                return Err(Error::PasswordTooShort);
            }
            let password = passwords::PasswordHash::from_stored("$".to_owned());
            users::create_first_owner(tx, by, entropy, "ada@example.com".parse()?, password)
        })
    };
    assert!(matches!(enter(true), Err(Error::PasswordTooShort)));
    assert_eq!(enter(false).unwrap().role, Role::Owner);
    assert!(matches!(enter(false), Err(Error::LinkSpent)));
    assert!(matches!(fixture.change(links::create_for_first_owner), Err(Error::NotFirst)));
}

#[test]
fn a_first_owner_link_is_void_once_there_is_a_user() {
    let fixture = Fixture::new();
    let link = fixture.change(links::create_for_first_owner).unwrap();
    fixture.user("ada@example.com", Role::Owner);
    let link = TokenHash::of(link.expose());
    assert_eq!(fixture.read(|tx| links::find(tx, &link, NOON)), None);
}

#[test]
fn a_session_lives_fourteen_days_and_knows_its_user() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop");
    let bob = fixture.user("bob@example.com", Role::Member).id;
    let token = sign_in(&fixture, bob, NOON);
    let found = session(&fixture, token, NOON).unwrap();
    assert_eq!((found.email.as_str(), found.role), ("bob@example.com", Role::Member));
    assert_eq!(found.actor().visible(), Visible::Only(vec![shop.id]));
    assert!(found.csrf().expose().len() > 40);
    let end = NOON + SESSION_LIFETIME;
    assert!(session(&fixture, token, end - Duration::from_micros(1)).is_some());
    assert!(session(&fixture, token, end).is_none());
    assert!(!found.is_good(end));
    assert!(session(&fixture, TokenHash::of("guess"), NOON).is_none());
    assert_eq!(fixture.change_at(end, |tx, by, _| sessions::purge(tx, by.now, 10)).unwrap(), 1);
}

#[test]
fn last_seen_moves_by_steps_of_five_minutes() {
    let fixture = Fixture::new();
    let bob = fixture.user("bob@example.com", Role::Owner).id;
    let token = sign_in(&fixture, bob, NOON);
    let before = session(&fixture, token, NOON).unwrap();
    assert!(!before.is_unseen(NOON + SEEN_EVERY - Duration::from_micros(1)));
    let later = NOON + SEEN_EVERY;
    assert!(before.is_unseen(later));
    fixture.change_at(later, move |tx, by, _| sessions::touch(tx, before.id, by.now)).unwrap();
    assert!(!session(&fixture, token, later).unwrap().is_unseen(later));
    assert_eq!(fixture.read(|tx| users::find(tx, bob)).unwrap().last_seen_at, Some(later));
}

#[test]
fn one_browser_or_all_but_this_one_are_signed_out() {
    let fixture = Fixture::new();
    let bob = fixture.user("bob@example.com", Role::Owner).id;
    let eve = fixture.user("eve@example.com", Role::Member).id;
    let tokens: Vec<_> = (0..4).map(|n| sign_in(&fixture, bob, NOON + Duration::from_secs(n))).collect();
    let listed = fixture.read(|tx| sessions::list(tx, bob, NOON));
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[0].user_agent.as_ref().unwrap().chars().count(), 300);
    let oldest = listed[3].uid;
    let foreign = fixture.change(move |tx, by, _| sessions::revoke(tx, by, eve, oldest));
    assert!(matches!(foreign, Err(Error::UnknownSession)), "nobody ends another's session");
    fixture.change(move |tx, by, _| sessions::revoke(tx, by, bob, oldest)).unwrap();
    assert!(session(&fixture, tokens[0], NOON).is_none());
    let keep = session(&fixture, tokens[3], NOON).unwrap().id;
    let ended = fixture.change(move |tx, by, _| sessions::revoke_all(tx, by, bob, Some(keep))).unwrap();
    assert_eq!(ended, 2);
    assert!(session(&fixture, tokens[3], NOON).is_some());
    fixture.change(move |tx, by, _| sessions::revoke_all(tx, by, bob, None)).unwrap();
    assert!(session(&fixture, tokens[3], NOON).is_none());
}

#[test]
fn the_browser_longest_unseen_makes_room() {
    let fixture = Fixture::new();
    let bob = fixture.user("bob@example.com", Role::Owner).id;
    let at = |n: u32| NOON + Duration::from_secs(n.into());
    let tokens: Vec<_> = (0..=SESSIONS_PER_USER_MAX).map(|n| sign_in(&fixture, bob, at(n))).collect();
    assert!(session(&fixture, tokens[0], NOON).is_none());
    assert!(session(&fixture, tokens[1], NOON).is_some());
    let listed = fixture.read(|tx| sessions::list(tx, bob, NOON));
    assert_eq!(listed.len(), usize::try_from(SESSIONS_PER_USER_MAX).unwrap());
}

#[test]
fn a_disabled_user_is_out_at_once_and_comes_back_without_old_sessions() {
    let fixture = Fixture::new();
    fixture.user("ada@example.com", Role::Owner);
    let bob = fixture.user("bob@example.com", Role::Member).id;
    let token = sign_in(&fixture, bob, NOON);
    fixture.change(move |tx, by, entropy| links::create(tx, by, entropy, bob)).unwrap();
    fixture.change(move |tx, by, _| users::disable(tx, by, bob)).unwrap();
    assert!(session(&fixture, token, NOON).is_none());
    let link = fixture.change(move |tx, by, entropy| links::create(tx, by, entropy, bob));
    assert!(matches!(link, Err(Error::UserDisabled)));
    let open =
        fixture.change(move |tx, by, entropy| sessions::open(tx, by.now, entropy, bob, &Browser::default()));
    assert!(matches!(open, Err(Error::UserDisabled)));
    fixture.change(move |tx, by, _| users::enable(tx, by, bob)).unwrap();
    assert!(session(&fixture, token, NOON).is_none());
}

#[test]
fn a_new_password_signs_every_other_browser_out() {
    let fixture = Fixture::new();
    let bob = fixture.user("bob@example.com", Role::Owner).id;
    let here = sign_in(&fixture, bob, NOON);
    let there = sign_in(&fixture, bob, NOON);
    let keep = session(&fixture, here, NOON).unwrap().id;
    let email: Email = "bob@example.com".parse().unwrap();
    let chosen = passwords::NewPassword::parse(Secret::new("plum train 7"), &email).unwrap();
    let hash = passwords::hash(&chosen, &fixture.entropy).unwrap();
    fixture.change(move |tx, by, _| users::set_password(tx, by, bob, &hash, Some(keep))).unwrap();
    assert!(session(&fixture, here, NOON).is_some());
    assert!(session(&fixture, there, NOON).is_none());
    let stored = fixture.read(|tx| users::find_credentials(tx, &email));
    let verdict = passwords::verify(stored.as_ref(), &Secret::new("plum train 7"));
    assert!(matches!(verdict, passwords::Verdict::Right(user) if user.id == bob && user.has_password));
}

#[test]
fn everybody_is_a_member_until_taken_out_and_then_sees_nothing_of_it() {
    let fixture = Fixture::new();
    let shop = fixture.project("Shop");
    let bob = fixture.user("bob@example.com", Role::Member).id;
    let blog = fixture.project("Blog");
    let token = sign_in(&fixture, bob, NOON);
    let visible = || session(&fixture, token, NOON).unwrap().actor().visible();
    assert_eq!(visible(), Visible::Only(vec![shop.id, blog.id]));
    fixture.change(move |tx, by, _| projects::remove_member(tx, by, shop.id, bob)).unwrap();
    assert_eq!(visible(), Visible::Only(vec![blog.id]));
    assert!(fixture.read(|tx| projects::members(tx, shop.id)).is_empty());
    let names: Vec<_> =
        fixture.read(|tx| projects::list(tx, &visible())).into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["Blog"]);
    for reference in [ProjectRef::Id(shop.id), ProjectRef::Slug(shop.slug.clone())] {
        assert_eq!(fixture.read(|tx| projects::find_visible(tx, &reference, &visible())), None);
        assert!(fixture.read(|tx| projects::find_visible(tx, &reference, &Visible::All)).is_some());
    }
    fixture.change(move |tx, by, _| projects::add_member(tx, by, shop.id, bob)).unwrap();
    fixture.change(move |tx, by, _| projects::add_member(tx, by, shop.id, bob)).unwrap();
    assert_eq!(fixture.read(|tx| projects::members(tx, shop.id)).len(), 1);
    assert_eq!(fixture.audited().iter().filter(|action| *action == "project.add_member").count(), 1);
}
