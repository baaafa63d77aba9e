//! People, tokens and the audit log: who may change whom, what is shown once, and what trace it leaves.

use std::{collections::BTreeSet, time::Duration};

use actix_web::{cookie::Cookie, http::StatusCode, test};
use serde_json::json;
use tocsin::{
    accounts::{
        By, Error, Role, TokenHash,
        audit::{self, Change, Filter, Line},
        links,
        projects::{self, NewProject},
        sessions,
        tokens::{self, ApiToken},
        users::{self, User},
    },
    base::{ProjectId, Secret, Uid},
    config::{BaseUrl, Config},
    http::auth::token_actor,
    incidents::channels::{ChannelKind, ChannelOwner, NewChannel},
    store::{ReadTx, WriteTx},
};

use crate::pages::{Answer, House, NOON, PASSWORD, Visitor, get, post};

/// An owner, a member and a viewer, each with a browser.
pub(crate) struct Team {
    pub(crate) house: House,
    ada: User,
    mia: User,
    pub(crate) owner: Visitor,
    pub(crate) member: Visitor,
    pub(crate) viewer: Visitor,
}

impl Team {
    pub(crate) async fn gather() -> Team {
        Self::around(House::build().await).await
    }

    /// With a configuration of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Team {
        Self::around(House::with(change).await).await
    }

    /// A form that a script sends, for a part of the page.
    pub(crate) async fn part(&self, visitor: &Visitor, place: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", visitor.csrf.as_str())];
        all.extend_from_slice(fields);
        self.house.send(post(visitor, place, &all).insert_header(("hx-request", "true"))).await
    }

    async fn around(house: House) -> Team {
        let ada = house.user("ada@shop.example", Role::Owner).await;
        let mia = house.user("mia@shop.example", Role::Member).await;
        let vic = house.user("vic@shop.example", Role::Viewer).await;
        let (owner, member) = (house.visitor(&ada).await, house.visitor(&mia).await);
        let viewer = house.visitor(&vic).await;
        Team { house, ada, mia, owner, member, viewer }
    }

    pub(crate) async fn get(&self, visitor: &Visitor, place: &str) -> Answer {
        self.house.send(get(visitor, place)).await
    }

    /// A form with its proof.
    pub(crate) async fn post(&self, visitor: &Visitor, place: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", visitor.csrf.as_str())];
        all.extend_from_slice(fields);
        self.house.send(post(visitor, place, &all)).await
    }

    async fn user(&self, id: Uid) -> Option<User> {
        self.house.state.store.read(move |tx| users::find_by_uid(tx, id)).await.unwrap()
    }

    pub(crate) async fn tokens(&self) -> Vec<ApiToken> {
        self.house.state.store.read(tokens::list).await.unwrap()
    }

    /// The newest lines of the audit log.
    async fn audited(&self, limit: u32) -> Vec<Line> {
        let list = move |tx: &ReadTx<'_>| audit::list(tx, &Filter::default(), None, limit);
        self.house.state.store.read(list).await.unwrap()
    }

    pub(crate) async fn project(&self, name: &str) -> ProjectId {
        let (by, entropy) = (By::tocsin(NOON), self.house.entropy.clone());
        let new = NewProject { name: name.to_owned(), slug: None };
        let make = move |tx: &WriteTx<'_>| projects::create_with_key(tx, &by, &entropy, &new);
        self.house.state.store.write("project", make).await.unwrap().0.id
    }
}

fn of(user: &User, rest: &str) -> String {
    format!("/people/{}{rest}", user.uid)
}

/// What stands between two texts of a page.
pub(crate) fn between<'p>(page: &'p str, before: &str, after: &str) -> &'p str {
    page.split_once(before).unwrap().1.split_once(after).unwrap().0
}

pub(crate) fn secret_of(answer: &Answer) -> String {
    between(&answer.text, "id=\"secret\">", "</code>").to_owned()
}

#[actix_web::test]
async fn everybody_reaches_what_their_role_lets_them() {
    let team = Team::gather().await;
    let (ok, no) = (StatusCode::OK, StatusCode::FORBIDDEN);
    let table = [
        ("/people".to_owned(), [ok, no, no]),
        (of(&team.mia, ""), [ok, no, no]),
        ("/audit".to_owned(), [ok, no, no]),
        ("/tokens".to_owned(), [ok, ok, no]),
    ];
    for (place, statuses) in table {
        let visitors = [&team.owner, &team.member, &team.viewer];
        for ((visitor, role), status) in visitors.into_iter().zip(["owner", "member", "viewer"]).zip(statuses)
        {
            let answer = team.get(visitor, &place).await;
            assert_eq!(answer.status, status, "{role} at {place}");
            if status == no {
                assert!(answer.text.contains("ask an owner"), "{role} at {place} is told what to do");
            }
        }
    }
    for (visitor, entries) in [(&team.owner, [1, 1, 1]), (&team.member, [0, 1, 0]), (&team.viewer, [0, 0, 0])]
    {
        let page = team.get(visitor, "/issues").await.text;
        let shown =
            ["/people", "/tokens", "/audit"].map(|to| page.matches(&format!("item\" href=\"{to}\"")).count());
        assert_eq!(shown, entries);
    }
    let stranger = team.house.send(test::TestRequest::get().uri("/people")).await;
    assert!(stranger.location.starts_with("/sign-in"));
}

#[actix_web::test]
async fn what_members_may_not_do_and_what_is_sent_from_elsewhere_changes_nothing() {
    let team = Team::gather().await;
    let before = team.audited(1).await[0].id;
    let changes = [
        ("/people".to_owned(), vec![("email", "eve@shop.example"), ("role", "owner")]),
        (of(&team.mia, "/role"), vec![("role", "owner")]),
        (of(&team.mia, "/disable"), vec![]),
        (of(&team.mia, "/remove"), vec![]),
        (of(&team.mia, "/link"), vec![]),
        (of(&team.mia, "/sessions/end"), vec![]),
    ];
    for (place, fields) in &changes {
        for visitor in [&team.member, &team.viewer] {
            assert_eq!(team.post(visitor, place, fields).await.status, StatusCode::FORBIDDEN, "{place}");
        }
        let without = team.house.send(post(&team.owner, place, fields)).await;
        assert_eq!(without.status, StatusCode::FORBIDDEN, "{place} without the token of the session");
    }
    let fields = [("name", "ci"), ("scope", "read")];
    assert_eq!(team.house.send(post(&team.owner, "/tokens", &fields)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(team.post(&team.viewer, "/tokens", &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(team.audited(1).await[0].id, before);
}

#[actix_web::test]
async fn an_invitation_is_shown_once_and_lets_in_once() {
    let team = Team::gather().await;
    let fields = [("email", "eve@shop.example"), ("role", "viewer")];
    let invited = team.post(&team.owner, "/people", &fields).await;
    assert_eq!(invited.status, StatusCode::OK);
    let link = secret_of(&invited);
    let path = &link[link.find("/sign-in/").unwrap()..];
    assert!(invited.text.contains("eve@shop.example is invited as viewer"));
    let list = team.get(&team.owner, "/people").await.text;
    assert!(list.contains("never came in") && !list.contains("/sign-in/"), "the list never shows a link");
    let entered = team.house.send(test::TestRequest::post().uri(path).set_form([("x", "")])).await;
    assert_eq!((entered.status, entered.location.as_str()), (StatusCode::SEE_OTHER, "/account"));
    let again = team.house.send(test::TestRequest::post().uri(path).set_form([("x", "")])).await;
    assert_eq!(again.status, StatusCode::GONE);
    team.house.state.clock.advance(Duration::from_secs(6));
    let twice = team.post(&team.owner, "/people", &fields).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    assert!(twice.text.contains("There is a user eve@shop.example already"));
    assert!(twice.text.contains("value=\"eve@shop.example\""), "what was typed stays");
    let odd = team.post(&team.owner, "/people", &[("email", "eve"), ("role", "viewer")]).await;
    assert!(odd.text.contains("write it as name@example.com"));
}

#[actix_web::test]
async fn a_new_link_is_for_one_person_and_voids_the_one_before() {
    let team = Team::gather().await;
    let first = secret_of(&team.post(&team.owner, &of(&team.mia, "/link"), &[]).await);
    let second = secret_of(&team.post(&team.owner, &of(&team.mia, "/link"), &[]).await);
    for (link, status) in [(first, StatusCode::GONE), (second, StatusCode::OK)] {
        let path = &link[link.find("/sign-in/").unwrap()..];
        assert_eq!(team.house.send(test::TestRequest::get().uri(path)).await.status, status);
    }
    team.post(&team.owner, &of(&team.mia, "/disable"), &[]).await;
    let refused = team.post(&team.owner, &of(&team.mia, "/link"), &[]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("This user is disabled"));
}

/// A server that others can reach, with a mail channel.
async fn with_mail() -> Team {
    let base = BaseUrl::parse("https://tocsin.shop.example").unwrap();
    let house = House::with(|config| config.server.base_url = Some(base)).await;
    let channel = NewChannel {
        uid: house.entropy.uid(NOON),
        name: "mail".to_owned(),
        kind: ChannelKind::Email,
        settings: json!({}),
        sealed: None,
        owner: ChannelOwner::Page,
    };
    let incidents = house.state.incidents.clone();
    let make = move |tx: &WriteTx<'_>| incidents.create_channel(tx, NOON, &channel);
    house.state.store.write("channel", make).await.unwrap();
    Team::around(house).await
}

#[actix_web::test]
async fn an_invitation_is_mailed_where_a_mail_could_be_opened() {
    let written = |tx: &ReadTx<'_>| {
        tx.all("SELECT recipient, content FROM deliveries WHERE cause = 'account'", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
    };
    let fields = [("email", "eve@shop.example"), ("role", "member")];
    let team = with_mail().await;
    let invited = team.post(&team.owner, "/people", &fields).await;
    assert!(secret_of(&invited).starts_with("https://tocsin.shop.example/sign-in/"));
    assert!(invited.text.contains("on its way to eve@shop.example"));
    let mails = team.house.state.store.read(written).await.unwrap();
    assert_eq!((mails.len(), mails[0].0.as_str()), (1, "eve@shop.example"));
    assert!(
        !mails[0].1.contains(secret_of(&invited).rsplit_once('/').unwrap().1),
        "the row keeps no open link"
    );
    let local = Team::gather().await;
    let invited = local.post(&local.owner, "/people", &fields).await;
    assert!(invited.text.contains("No mail was sent"), "and the page says so");
    assert!(local.house.state.store.read(written).await.unwrap().is_empty());
}

#[actix_web::test]
async fn the_last_owner_stays_and_the_page_says_what_to_do() {
    let team = Team::gather().await;
    for (act, fields) in [("/role", vec![("role", "viewer")]), ("/disable", vec![]), ("/remove", vec![])] {
        let refused = team.post(&team.owner, &of(&team.ada, act), &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{act}");
        assert!(refused.text.contains("make somebody else an owner first"), "{act}");
    }
    let ada = team.user(team.ada.uid).await.unwrap();
    assert_eq!((ada.role, ada.disabled_at), (Role::Owner, None));
    team.post(&team.owner, &of(&team.mia, "/role"), &[("role", "owner")]).await;
    let done = team.post(&team.owner, &of(&team.ada, "/role"), &[("role", "viewer")]).await;
    assert_eq!((done.status, done.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(team.get(&team.owner, "/people").await.status, StatusCode::FORBIDDEN, "at once");
    assert_eq!(team.get(&team.member, "/people").await.status, StatusCode::OK);
}

#[actix_web::test]
async fn whoever_is_disabled_or_removed_is_out_at_once() {
    let team = Team::gather().await;
    let account = || team.get(&team.member, "/account");
    assert_eq!(account().await.status, StatusCode::OK);
    team.post(&team.owner, &of(&team.mia, "/sessions/end"), &[]).await;
    assert_eq!(account().await.status, StatusCode::SEE_OTHER, "signed out everywhere");
    let again = team.house.visitor(&team.mia).await;
    team.post(&team.owner, &of(&team.mia, "/disable"), &[]).await;
    assert_eq!(team.get(&again, "/account").await.status, StatusCode::SEE_OTHER);
    assert!(team.get(&team.owner, "/people").await.text.contains("disabled"));
    team.post(&team.owner, &of(&team.mia, "/disable"), &[("enable", "1")]).await;
    assert!(team.user(team.mia.uid).await.unwrap().disabled_at.is_none());
    let removed = team.post(&team.owner, &of(&team.mia, "/remove"), &[]).await;
    assert_eq!(removed.location, "/people");
    assert!(team.user(team.mia.uid).await.is_none());
    assert_eq!(team.get(&team.owner, &of(&team.mia, "")).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn tokens_go_with_their_maker_only_where_that_is_asked_for() {
    let team = Team::gather().await;
    let made = team
        .post(&team.member, "/tokens", &[("name", "ci"), ("scope", "read"), ("project", "default")])
        .await;
    let token = Secret::new(secret_of(&made));
    assert!(token_actor(&team.house.state, &token).await.is_ok());
    assert!(team.get(&team.owner, &of(&team.mia, "")).await.text.contains("Also revoke the 1 token"));
    team.post(&team.owner, &of(&team.mia, "/disable"), &[]).await;
    assert!(token_actor(&team.house.state, &token).await.is_ok());
    team.post(&team.owner, &of(&team.mia, "/remove"), &[("tokens", "1")]).await;
    assert!(token_actor(&team.house.state, &token).await.is_err());
    let actions: Vec<_> = team.audited(2).await.into_iter().map(|line| line.action).collect();
    assert_eq!(actions, ["token.revoke", "user.remove"]);
}

#[actix_web::test]
async fn a_token_ends_where_its_maker_may_no_more_what_it_does() {
    let team = Team::gather().await;
    let make = || async {
        let fields = [("name", "ci"), ("scope", "write"), ("project", "default")];
        let made = team.post(&team.member, "/tokens", &fields).await;
        Secret::new(secret_of(&made))
    };
    let token = make().await;
    let mia = team.mia.uid.to_string();
    team.post(&team.owner, "/projects/default/members", &[("remove", &mia)]).await;
    assert!(token_actor(&team.house.state, &token).await.is_err(), "taken out of the project");
    team.post(&team.owner, "/projects/default/members", &[("add", &mia)]).await;
    team.house.state.clock.advance(Duration::from_secs(6));
    let token = make().await;
    assert!(token_actor(&team.house.state, &token).await.is_ok());
    team.post(&team.owner, &of(&team.mia, "/role"), &[("role", "viewer")]).await;
    assert!(token_actor(&team.house.state, &token).await.is_err(), "only a viewer now");
}

#[actix_web::test]
async fn a_token_is_shown_once_works_and_ends() {
    let team = Team::gather().await;
    let fields = [("name", "ci"), ("scope", "read"), ("scope", "write"), ("project", "")];
    let made = team.post(&team.owner, "/tokens", &fields).await;
    assert_eq!(made.status, StatusCode::OK);
    let secret = Secret::new(secret_of(&made));
    assert_eq!(token_actor(&team.house.state, &secret).await.unwrap().to_string(), "token ci");
    let list = team.get(&team.owner, "/tokens").await.text;
    assert!(list.contains("by ada@shop.example") && list.contains("every project"));
    assert!(!list.contains(secret.expose()), "the list never shows a token");
    team.house.state.clock.advance(Duration::from_secs(6));
    let again = team.post(&team.owner, "/tokens", &fields).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "loading the answer again makes no second one");
    assert!(again.text.contains("You made a token ci already"));
    let none = team.post(&team.owner, "/tokens", &[("name", "none")]).await;
    assert!(none.text.contains("A token needs at least one scope") && none.text.contains("value=\"none\""));
    let id = team.tokens().await[0].uid;
    let revoke = format!("/tokens/{id}/revoke");
    assert_eq!(team.house.send(post(&team.owner, &revoke, &[])).await.status, StatusCode::FORBIDDEN);
    assert_eq!(team.post(&team.owner, &revoke, &[]).await.location, "/tokens");
    assert!(token_actor(&team.house.state, &secret).await.is_err(), "at once");
    assert_eq!(team.post(&team.owner, &revoke, &[]).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn nobody_gives_a_token_more_than_they_have() {
    let team = Team::gather().await;
    let other = team.project("Other").await;
    let (by, mia) = (By::tocsin(NOON), team.mia.id);
    let take_out = move |tx: &WriteTx<'_>| projects::remove_member(tx, &by, other, mia);
    team.house.state.store.write("member", take_out).await.unwrap();
    team.house.state.cache.sessions.forget_all();
    let table = [
        ("ingest", "default", StatusCode::OK, "shown this once"),
        ("admin", "default", StatusCode::FORBIDDEN, "needs the role owner"),
        ("metrics", "default", StatusCode::FORBIDDEN, "needs the role owner"),
        ("read", "other", StatusCode::NOT_FOUND, "no such project"),
        ("read", "", StatusCode::BAD_REQUEST, "choose one project"),
        ("root", "default", StatusCode::BAD_REQUEST, "is no scope"),
    ];
    for (scope, project, status, text) in table {
        let name = format!("{scope} of {project}");
        let fields = [("name", name.as_str()), ("scope", scope), ("project", project)];
        let answer = team.post(&team.member, "/tokens", &fields).await;
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.text.contains(text), "{name}: {}", answer.text);
    }
    team.post(&team.owner, "/tokens", &[("name", "all"), ("scope", "read"), ("project", "")]).await;
    team.post(&team.owner, "/tokens", &[("name", "deep"), ("scope", "admin"), ("project", "default")]).await;
    team.post(&team.owner, "/tokens", &[("name", "afar"), ("scope", "read"), ("project", "other")]).await;
    let page = team.get(&team.member, "/tokens").await.text;
    assert!(page.contains(">deep<") && !page.contains(">all<") && !page.contains(">afar<"));
    for token in team.tokens().await {
        let status = match token.name.as_str() {
            "deep" => StatusCode::FORBIDDEN,
            "all" | "afar" => StatusCode::NOT_FOUND,
            _ => StatusCode::SEE_OTHER,
        };
        let answer = team.post(&team.member, &format!("/tokens/{}/revoke", token.uid), &[]).await;
        assert_eq!(answer.status, status, "{}", token.name);
    }
}

#[actix_web::test]
async fn text_of_others_is_text() {
    let team = Team::gather().await;
    let evil = "<script>alert(1)</script>\"'><img src=x>";
    let made = team.post(&team.owner, "/tokens", &[("name", evil), ("scope", "read")]).await;
    let asked = "/audit?who=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&what=%22%3E%3Cimg";
    let odd = [("email", "\"><script>alert(1)</script>"), ("role", "\"><img")];
    let mut pages = vec![made.text, team.post(&team.owner, "/people", &odd).await.text];
    for place in ["/tokens", "/audit", asked] {
        pages.push(team.get(&team.owner, place).await.text);
    }
    for page in pages {
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{page}");
    }
}

#[actix_web::test]
async fn every_change_leaves_a_line_with_who_made_it() {
    let team = Team::gather().await;
    let owner = &team.owner;
    team.post(owner, "/people", &[("email", "eve@shop.example"), ("role", "viewer")]).await;
    team.post(owner, &of(&team.mia, "/role"), &[("role", "viewer")]).await;
    team.post(owner, &of(&team.mia, "/link"), &[]).await;
    team.post(owner, &of(&team.mia, "/sessions/end"), &[]).await;
    team.post(owner, &of(&team.mia, "/disable"), &[]).await;
    team.post(owner, &of(&team.mia, "/disable"), &[("enable", "1")]).await;
    team.post(owner, &of(&team.mia, "/remove"), &[]).await;
    team.post(owner, "/tokens", &[("name", "ci"), ("scope", "read")]).await;
    let token = team.tokens().await[0].uid;
    team.post(owner, &format!("/tokens/{token}/revoke"), &[]).await;
    let lines = team.audited(10).await;
    let actions: Vec<_> = lines.iter().rev().map(|line| line.action.as_str()).collect();
    let expected = [
        "user.create",
        "link.create",
        "user.set_role",
        "link.create",
        "session.close_all",
        "user.disable",
        "user.enable",
        "user.remove",
        "token.create",
        "token.revoke",
    ];
    assert_eq!(actions, expected);
    assert!(lines.iter().all(|line| line.actor == "ada@shop.example"));
    let page = team.get(owner, "/audit?who=ada%40shop%2Eexample&what=user").await.text;
    for told in ["user.set_role", "from member · to viewer", "user.remove"] {
        assert!(page.contains(told), "{told}");
    }
    assert!(!page.contains("<code>token.create</code>"));
    let nothing = team.get(owner, "/audit?who=nobody&what=").await.text;
    assert!(nothing.contains("Nothing of that kind"));
}

#[actix_web::test]
async fn pages_of_the_audit_log_show_every_line_once() {
    let team = Team::gather().await;
    let fill = |tx: &WriteTx<'_>| {
        for number in 0..120 {
            let subject = format!("n{number}");
            let change =
                Change { action: "rule.change", subject: &subject, project: None, detail: json!(null) };
            audit::append(tx, &By::command_line(NOON), &change)?;
        }
        Ok::<_, Error>(())
    };
    team.house.state.store.write("fill", fill).await.unwrap();
    let (mut seen, mut place, mut pages) = (BTreeSet::new(), "/audit?what=rule".to_owned(), 0);
    loop {
        let page = team.get(&team.owner, &place).await.text;
        for line in page.split("data-row=\"").skip(1) {
            assert!(seen.insert(line.split_once('"').unwrap().0.to_owned()), "twice");
        }
        pages += 1;
        let Some((before, _)) = page.split_once("\">Older</a>") else { break };
        place = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!((seen.len(), pages), (120, 3));
}

#[actix_web::test]
async fn a_project_leads_owners_to_its_people() {
    let team = Team::gather().await;
    let to = format!("href=\"{}\"", of(&team.mia, ""));
    assert!(team.get(&team.owner, "/projects/default").await.text.contains(&to));
    assert!(!team.get(&team.member, "/projects/default").await.text.contains(&to));
    assert!(team.get(&team.owner, &of(&team.mia, "")).await.text.contains("href=\"/projects/default\""));
}

/// A sign-in link of Mia's.
async fn link_of(team: &Team) -> String {
    let (by, entropy, id) = (By::tocsin(NOON), team.house.entropy.clone(), team.mia.id);
    let make = move |tx: &WriteTx<'_>| links::create(tx, &by, &entropy, id);
    links::path(&team.house.state.store.write("link", make).await.unwrap())
}

#[actix_web::test]
async fn whoever_comes_by_a_link_replaces_a_forgotten_password_once() {
    let team = Team::gather().await;
    let place = link_of(&team).await;
    let came = team.house.send(test::TestRequest::post().uri(&place).set_form([("x", "y")])).await;
    let set = came.cookie.unwrap();
    let token = between(&set, "tocsin_session=", ";").to_owned();
    let hash = TokenHash::of(&token);
    let find = move |tx: &ReadTx<'_>| sessions::find(tx, &hash, NOON);
    let session = team.house.state.store.read(find).await.unwrap().unwrap();
    let mia =
        Visitor { cookie: Cookie::new("tocsin_session", token), csrf: session.csrf().expose().to_owned() };
    assert!(!team.get(&mia, "/account").await.text.contains("name=\"current\""));
    let new = [("password", "another tin whistle")];
    let without = team.post(&team.member, "/account/password", &new).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST, "signed in by password, she shows it");
    assert_eq!(team.post(&mia, "/account/password", &new).await.status, StatusCode::SEE_OTHER);
    assert!(team.get(&mia, "/account").await.text.contains("name=\"current\""));
    assert_eq!(team.post(&mia, "/account/password", &new).await.status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn signing_out_everywhere_and_a_new_password_void_links() {
    let team = Team::gather().await;
    let new = [("current", PASSWORD), ("password", "another tin whistle")];
    for (act, fields) in [("/account/sessions/end-others", &[][..]), ("/account/password", &new)] {
        let link = link_of(&team).await;
        assert_eq!(team.post(&team.member, act, fields).await.status, StatusCode::SEE_OTHER, "{act}");
        let looked = team.house.send(test::TestRequest::get().uri(&link)).await;
        assert_eq!(looked.status, StatusCode::GONE, "{act}");
    }
}

#[actix_web::test]
async fn a_session_is_no_place_to_guess_its_password_at() {
    let team = Team::gather().await;
    let guess = [("current", "a wrong password"), ("password", "another tin whistle")];
    for _ in 0..10 {
        let answer = team.post(&team.member, "/account/password", &guess).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
    let answer = team.post(&team.member, "/account/password", &guess).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}
