//! The admin page over the real parts: who gets in, who may change what, and what strangers' text does to a page.

use std::collections::BTreeSet;

use actix_web::{
    App,
    cookie::{Cookie, SameSite},
    http::{StatusCode, header},
    middleware::from_fn,
    test, web,
};
use tempfile::TempDir;
use tocsin::{
    accounts::{
        By, Email, Role, Slug, TokenHash,
        cache::Lookup,
        keys::{self, KeySettings},
        links,
        passwords::{self, NewPassword},
        projects::{self, NewProject},
        sessions::{self, Browser},
        users::{self, NewUser},
        {Error, KeyKind, OriginDecision},
    },
    app::{App as Tocsin, Surroundings},
    base::{Clock, Entropy, EventId, ProjectId, Secret, Severity, Timestamp, Uid},
    config::Config,
    http::{
        AppState,
        admin::{for_people, live::Stopping, routes},
    },
    incidents::{Signal, SignalKind, Source, queries},
    issues::{
        incoming::{Incoming, Origin},
        record::Recorded,
    },
    store::{ReadTx, WriteTx},
};

pub(crate) const NOON: Timestamp = Timestamp::from_secs(1_790_000_000);
pub(crate) const PASSWORD: &str = "tin whistle parade";

/// A running tocsin without its socket: the parts, and a folder that goes with it.
pub(crate) struct House {
    pub(crate) state: web::Data<AppState>,
    pub(crate) entropy: Entropy,
    _folder: TempDir,
}

/// Somebody signed in: what their browser sends.
pub(crate) struct Visitor {
    pub(crate) cookie: Cookie<'static>,
    pub(crate) csrf: String,
}

impl House {
    pub(crate) async fn build() -> House {
        Self::with(|_| ()).await
    }

    /// With a configuration of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> House {
        let folder = TempDir::new().unwrap();
        let entropy = Entropy::seeded(7);
        let mut config = Config::defaults().unwrap();
        change(&mut config);
        let around = Surroundings {
            folder: folder.path(),
            config,
            clock: Clock::manual(NOON),
            entropy: entropy.clone(),
            sealing_key: [7; 32],
        };
        let app = Tocsin::build(around).await.unwrap();
        House { state: app.state, entropy, _folder: folder }
    }

    pub(crate) async fn send(&self, request: test::TestRequest) -> Answer {
        let stopping = web::Data::new(Stopping(tokio_util::sync::CancellationToken::new()));
        let service = test::init_service(
            App::new()
                .app_data(self.state.clone())
                .app_data(stopping)
                .wrap(from_fn(for_people))
                .configure(routes::routes),
        )
        .await;
        let request = request.insert_header((header::ACCEPT, "text/html"));
        let response = test::call_service(&service, request.to_request()).await;
        let text_of = |name| {
            response.headers().get(name).map(|value: &header::HeaderValue| value.to_str().unwrap().to_owned())
        };
        let (location, cookie) = (text_of(header::LOCATION).unwrap_or_default(), text_of(header::SET_COOKIE));
        let set = response.headers().get_all(header::SET_COOKIE);
        let cookies = set.map(|value| value.to_str().unwrap().to_owned()).collect();
        let cache = text_of(header::CACHE_CONTROL).unwrap_or_default();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = String::from_utf8(test::read_body(response).await.to_vec()).unwrap();
        Answer { status, location, cookie, cookies, cache, headers, text }
    }

    pub(crate) async fn user(&self, email: &str, role: Role) -> users::User {
        let (by, entropy) = (By::tocsin(NOON), self.entropy.clone());
        let email: Email = email.parse().unwrap();
        let password = NewPassword::parse(Secret::new(PASSWORD), &email).unwrap();
        let password = Some(passwords::hash(&password, &entropy).unwrap());
        let new = NewUser { email, role, password };
        self.state.store.write("user", move |tx| users::create(tx, &by, &entropy, &new)).await.unwrap()
    }

    pub(crate) async fn visitor(&self, user: &users::User) -> Visitor {
        let (id, entropy) = (user.id, self.entropy.clone());
        let open = move |tx: &WriteTx<'_>| sessions::open(tx, NOON, &entropy, id, &Browser::default());
        let token = self.state.store.write("session", open).await.unwrap();
        let hash = TokenHash::of(token.expose());
        let found = self.state.store.read(move |tx| sessions::find(tx, &hash, NOON)).await.unwrap().unwrap();
        let cookie = Cookie::new("tocsin_session", token.expose().to_owned());
        Visitor { cookie, csrf: found.csrf().expose().to_owned() }
    }

    /// One event of its own issue.
    async fn event(&self, number: u32, title: &str) -> Uid {
        let json = serde_json::json!({
            "platform": "python", "message": format!("{title} {}", "x".repeat(usize::try_from(number).unwrap())),
        });
        let origin = Origin {
            project: ProjectId(1),
            received_at: NOON,
            event: None,
            fallback_event: EventId(self.entropy.bytes()),
            severity_max: Severity::Critical,
        };
        let event = Incoming::prepare(&origin, &self.state.tools, json.to_string().as_bytes()).unwrap();
        match self.state.events.submit(event).await.unwrap() {
            Recorded::Stored(issue) | Recorded::Sampled(issue) => issue,
            Recorded::Duplicate => panic!("every event has an id of its own"),
        }
    }

    async fn status(&self, issue: Uid) -> String {
        let find = move |tx: &ReadTx<'_>| {
            tocsin::issues::queries::find_issue(tx, &tocsin::accounts::Visible::All, issue)
        };
        self.state.store.read(find).await.unwrap().unwrap().status
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: String,
    pub(crate) cookie: Option<String>,
    pub(crate) cookies: Vec<String>,
    pub(crate) cache: String,
    pub(crate) headers: header::HeaderMap,
    pub(crate) text: String,
}

pub(crate) fn get(visitor: &Visitor, uri: &str) -> test::TestRequest {
    test::TestRequest::get().uri(uri).cookie(visitor.cookie.clone())
}

pub(crate) fn post(visitor: &Visitor, uri: &str, fields: &[(&str, &str)]) -> test::TestRequest {
    test::TestRequest::post().uri(uri).cookie(visitor.cookie.clone()).set_form(fields)
}

#[actix_web::test]
async fn looking_at_the_first_link_changes_nothing_and_its_button_works_once() {
    let house = House::build().await;
    let (by, entropy) = (By::tocsin(NOON), house.entropy.clone());
    let make = move |tx: &WriteTx<'_>| links::create_for_first_owner(tx, &by, &entropy);
    let token = house.state.store.write("link", make).await.unwrap();
    let place = format!("/sign-in/{}", token.expose());
    let look = || test::TestRequest::get().uri(&place);
    let submit = |password: &str| {
        test::TestRequest::post()
            .uri(&place)
            .set_form([("email", "ada@shop.example"), ("password", password)])
    };
    for _ in 0..3 {
        assert_eq!(house.send(look()).await.status, StatusCode::OK);
    }
    let weak = house.send(submit("password123")).await;
    assert_eq!(weak.status, StatusCode::BAD_REQUEST);
    assert!(weak.text.contains("ada@shop.example"), "what was typed stays");
    let first = house.send(submit(PASSWORD)).await;
    assert_eq!((first.status, first.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    assert!(first.cookie.unwrap().contains("HttpOnly; SameSite=Lax"));
    assert_eq!(house.send(submit(PASSWORD)).await.status, StatusCode::GONE);
    assert_eq!(house.send(look()).await.status, StatusCode::GONE);
    assert!(house.state.store.read(users::exist).await.unwrap());
}

#[actix_web::test]
async fn a_password_signs_in_and_guessing_is_stopped() {
    let house = House::build().await;
    house.user("ada@shop.example", Role::Owner).await;
    let sign_in = |password: &str| {
        let fields = [("email", "ada@shop.example"), ("password", password), ("next", "//evil.example")];
        test::TestRequest::post().uri("/sign-in").set_form(fields)
    };
    let right = house.send(sign_in(PASSWORD)).await;
    assert_eq!((right.status, right.location.as_str()), (StatusCode::SEE_OTHER, "/"));
    let device = Cookie::parse(right.cookies[1].clone()).unwrap();
    assert_eq!((device.name(), device.path()), ("tocsin_device", Some("/sign-in")));
    assert!(device.http_only() == Some(true) && device.same_site() == Some(SameSite::Lax));
    for _ in 0..10 {
        assert_eq!(house.send(sign_in("a wrong password")).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(house.send(sign_in(PASSWORD)).await.status, StatusCode::TOO_MANY_REQUESTS);
    let forged = Cookie::new("tocsin_device", "bm90IG91cnM");
    assert_eq!(house.send(sign_in(PASSWORD).cookie(forged)).await.status, StatusCode::TOO_MANY_REQUESTS);
    let known = house.send(sign_in(PASSWORD).cookie(device.clone())).await;
    assert_eq!(known.status, StatusCode::SEE_OTHER, "a browser that signed in before is not kept out");
    let other = [("email", "bob@shop.example"), ("password", PASSWORD)];
    let other = || test::TestRequest::post().uri("/sign-in").set_form(other).cookie(device.clone());
    for _ in 0..10 {
        assert_eq!(house.send(other()).await.status, StatusCode::UNAUTHORIZED);
    }
    let strange = house.send(other()).await;
    assert_eq!(strange.status, StatusCode::TOO_MANY_REQUESTS, "it is known to its own account alone");
    let foreign = sign_in(PASSWORD).insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(house.send(foreign).await.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn a_change_needs_the_sessions_own_token() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
    let issue = house.event(1, "broken").await;
    let place = format!("/issues/{issue}/status");
    for fields in [vec![("status", "resolved")], vec![("status", "resolved"), ("csrf", "guessed")]] {
        assert_eq!(house.send(post(&ada, &place, &fields)).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(house.status(issue).await, "unresolved");
    let done = house.send(post(&ada, &place, &[("status", "resolved"), ("csrf", &ada.csrf)])).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    assert_eq!(house.status(issue).await, "resolved");
}

#[actix_web::test]
async fn a_decision_about_many_issues_can_be_taken_back() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Member).await).await;
    let issues = [house.event(1, "a").await, house.event(1, "b").await];
    let ids = issues.map(|issue| issue.to_string());
    let fields = [("csrf", ada.csrf.as_str()), ("status", "ignored"), ("id", &ids[0]), ("id", &ids[1])];
    house.send(post(&ada, "/issues/status", &fields)).await;
    assert_eq!(house.status(issues[0]).await, "ignored");
    let restore = ids.each_ref().map(|id| format!("{id}:unresolved"));
    let fields = [("csrf", ada.csrf.as_str()), ("restore", &restore[0]), ("restore", &restore[1])];
    house.send(post(&ada, "/issues/status", &fields)).await;
    for issue in issues {
        assert_eq!(house.status(issue).await, "unresolved");
    }
}

#[actix_web::test]
async fn nobody_sees_or_changes_what_is_not_theirs() {
    let house = House::build().await;
    let issue = house.event(1, "secret trouble").await;
    let viewer = house.user("viewer@shop.example", Role::Viewer).await;
    let outsider = house.user("outsider@shop.example", Role::Member).await;
    let (by, id) = (By::tocsin(NOON), outsider.id);
    let take_out = move |tx: &WriteTx<'_>| projects::remove_member(tx, &by, ProjectId(1), id);
    house.state.store.write("member", take_out).await.unwrap();
    let (viewer, outsider) = (house.visitor(&viewer).await, house.visitor(&outsider).await);
    let place = format!("/issues/{issue}");
    assert_eq!(house.send(get(&viewer, &place)).await.status, StatusCode::OK);
    assert_eq!(house.send(get(&outsider, &place)).await.status, StatusCode::NOT_FOUND);
    assert!(!house.send(get(&outsider, "/issues")).await.text.contains("secret trouble"));
    for (visitor, status) in [(&viewer, StatusCode::FORBIDDEN), (&outsider, StatusCode::NOT_FOUND)] {
        let fields = [("csrf", visitor.csrf.as_str()), ("status", "resolved")];
        assert_eq!(house.send(post(visitor, &format!("{place}/status"), &fields)).await.status, status);
        let fields = [("csrf", visitor.csrf.as_str()), ("kind", "server"), ("label", "mine")];
        assert_eq!(house.send(post(visitor, "/projects/default/keys", &fields)).await.status, status);
        let fields = [("csrf", visitor.csrf.as_str()), ("name", "mine")];
        assert_eq!(house.send(post(visitor, "/projects", &fields)).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(house.status(issue).await, "unresolved");
    let stranger = house.send(test::TestRequest::get().uri(&place)).await;
    assert!(stranger.location.starts_with("/sign-in?next="), "{}", stranger.location);
}

#[actix_web::test]
async fn text_of_strangers_is_text() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
    let issue = house.event(1, "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>").await;
    for place in ["/issues".to_owned(), format!("/issues/{issue}"), "/projects/default/welcome".to_owned()] {
        let text = house.send(get(&ada, &place)).await.text;
        assert!(text.contains("alert(1)"), "{place} shows it");
        assert!(!text.contains("<script>alert") && !text.contains("<img"), "{place} escapes it");
    }
    let search = house.send(get(&ada, "/issues?query=%22%3E%3Cscript%3Ealert(3)%3C/script%3E")).await.text;
    assert!(!search.contains("<script>alert"));
}

#[actix_web::test]
async fn pages_of_a_list_show_every_issue_once() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
    for number in 1..=120 {
        house.event(number, "broken").await;
    }
    let (mut seen, mut place, mut pages) = (BTreeSet::new(), "/issues".to_owned(), 0);
    loop {
        let text = house.send(get(&ada, &place)).await.text;
        for line in text.split("data-row=\"").skip(1) {
            assert!(seen.insert(line[..36].to_owned()), "{} twice", &line[..36]);
        }
        pages += 1;
        let Some((before, _)) = text.split_once("\">Next 50") else { break };
        place = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&").replace("&amp;", "&");
    }
    assert_eq!((seen.len(), pages), (120, 3));
}

#[actix_web::test]
async fn signing_out_everywhere_else_leaves_this_browser() {
    let house = House::build().await;
    let user = house.user("ada@shop.example", Role::Owner).await;
    let (here, there) = (house.visitor(&user).await, house.visitor(&user).await);
    let page = house.send(get(&there, "/account")).await;
    assert_eq!(
        (page.status, page.cache.as_str()),
        (StatusCode::OK, "no-store"),
        "Back shows nothing after signing out"
    );
    let fields = [("csrf", here.csrf.as_str())];
    house.send(post(&here, "/account/sessions/end-others", &fields)).await;
    assert_eq!(house.send(get(&there, "/account")).await.status, StatusCode::SEE_OTHER);
    assert_eq!(house.send(get(&here, "/account")).await.status, StatusCode::OK);
    house.send(post(&here, "/sign-out", &fields)).await;
    assert_eq!(house.send(get(&here, "/account")).await.status, StatusCode::SEE_OTHER);
}

#[actix_web::test]
async fn a_key_made_on_the_page_works_and_a_revoked_one_is_gone() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
    let fields = [
        ("csrf", ada.csrf.as_str()),
        ("kind", "browser"),
        ("label", "Storefront"),
        ("origins", "shop.example"),
    ];
    let made = house.send(post(&ada, "/projects/default/keys", &fields)).await;
    let key: keys::PublicKey = made.location.rsplit_once("#key-").unwrap().1.parse().unwrap();
    let grant = move |tx: &ReadTx<'_>| keys::find_grant(tx, key);
    assert!(
        house.state.store.read(grant).await.unwrap().unwrap().origin(Some("https://evil"))
            != OriginDecision::Allowed
    );
    // Another project's page cannot revoke it.
    let by = By::tocsin(NOON);
    let other = NewProject { name: "other".to_owned(), slug: Some("other".parse::<Slug>().unwrap()) };
    let entropy = house.entropy.clone();
    let make = move |tx: &WriteTx<'_>| {
        let project = projects::create(tx, &by, &other)?;
        keys::create(tx, &by, &entropy, project.id, &KeySettings::new(KeyKind::Server, "x"))?;
        Ok::<_, Error>(())
    };
    house.state.store.write("project", make).await.unwrap();
    let fields = [("csrf", ada.csrf.as_str())];
    let elsewhere = house.send(post(&ada, &format!("/projects/other/keys/{key}/revoke"), &fields)).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    let revoked = house.send(post(&ada, &format!("/projects/default/keys/{key}/revoke"), &fields)).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER);
    assert!(house.state.store.read(grant).await.unwrap().is_none());
}

#[actix_web::test]
async fn a_key_changed_on_the_page_lets_in_by_its_new_settings_from_the_next_event_on() {
    let house = House::build().await;
    let ada = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
    let viewer = house.visitor(&house.user("viewer@shop.example", Role::Viewer).await).await;
    let fields = [("csrf", ada.csrf.as_str()), ("kind", "browser"), ("label", "Storefront")];
    let made = house.send(post(&ada, "/projects/default/keys", &fields)).await;
    let place = made.location.replace("#key-", "/keys/");
    let key: keys::PublicKey = place.rsplit_once('/').unwrap().1.parse().unwrap();
    let grant = move |tx: &ReadTx<'_>| keys::find_grant(tx, key);
    // Intake remembers what the key was.
    let Lookup::Unknown(ticket) = house.state.cache.keys.look_up(&key, NOON) else { panic!("never asked") };
    let before = house.state.store.read(grant).await.unwrap();
    house.state.cache.keys.remember(ticket, &key, before, NOON);
    let change = |visitor: &Visitor, place: &str, quota: &str| {
        let fields = [
            ("csrf", visitor.csrf.as_str()),
            ("kind", "browser"),
            ("label", "Storefront, production"),
            ("origins", "https://shop.example"),
            ("events_per_minute", quota),
            ("allow_critical", "1"),
        ];
        post(visitor, place, &fields)
    };
    let elsewhere = place.replace("default", "other");
    for (request, status) in [
        (change(&ada, &place, "0"), StatusCode::BAD_REQUEST),
        (change(&viewer, &place, "60"), StatusCode::FORBIDDEN),
        (change(&ada, &elsewhere, "60"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(house.send(request).await.status, status);
    }
    assert_eq!(house.state.store.read(grant).await.unwrap().unwrap().events_per_minute, None);
    let changed = house.send(change(&ada, &place, "60")).await;
    assert_eq!((changed.status, changed.location), (StatusCode::SEE_OTHER, made.location));
    let after = house.state.store.read(grant).await.unwrap().unwrap();
    assert_eq!((after.events_per_minute, after.allow_critical), (Some(60), true));
    assert_eq!(after.origin(Some("https://evil.example")), OriginDecision::NotListed);
    assert!(matches!(house.state.cache.keys.look_up(&key, NOON), Lookup::Unknown(_)));
    let page = house.send(get(&ada, "/projects/default")).await.text;
    assert!(page.contains("value=\"60\"") && page.contains(">https://shop.example</textarea>"), "{page}");
    assert!(!house.send(get(&viewer, "/projects/default")).await.text.contains(&place));
    assert!(house.send(get(&ada, "/audit")).await.text.contains("key.update"));
}

#[actix_web::test]
async fn the_silence_of_an_incident_is_named_on_its_page_and_among_the_silences() {
    let house = House::build().await;
    let member = house.user("member@shop.example", Role::Member).await;
    let visitor = house.visitor(&member).await;
    let signal = Signal {
        project: Some(ProjectId(1)),
        service: None,
        key: "rate:1".to_owned(),
        source: Source::ErrorRate,
        severity: Severity::High,
        summary: "12 errors in 5 minutes".to_owned(),
        detail: serde_json::json!({}),
        first_bad_at: NOON,
        observed_at: NOON,
        kind: SignalKind::Firing,
    };
    let incidents = house.state.incidents.clone();
    let raise = move |tx: &WriteTx<'_>| incidents.raise(tx, NOON, &signal);
    let number = house.state.store.write("raise", raise).await.unwrap().incident.unwrap();
    let find = move |tx: &ReadTx<'_>| queries::find_by_number(tx, number);
    let place = format!("/incidents/{}", house.state.store.read(find).await.unwrap().unwrap().id);
    assert!(!house.send(get(&visitor, &place)).await.text.contains("Silenced by"));
    let fields = [("csrf", visitor.csrf.as_str()), ("hours", "4"), ("reason", "known, a fix is on its way")];
    let done = house.send(post(&visitor, &format!("{place}/silence"), &fields)).await;
    assert_eq!(done.location, place);
    let page = house.send(get(&visitor, &place)).await.text;
    assert!(page.contains("Silenced by member@shop.example until"), "{page}");
    assert!(page.contains("known, a fix is on its way"));
    let silences = house.send(get(&visitor, "/silences")).await.text;
    assert!(silences.contains(&format!("<a href=\"{place}\">incident #1</a>, while it lasts")), "{silences}");
    house.state.store.stop();
}
