//! The overview and the welcome page: what needs somebody, what is loud, and what could not be heard. And that pages wear styles that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tocsin::accounts::{
    By, Role, TokenHash, projects,
    sessions::{self, Browser},
    users::{self, NewUser},
};
use tocsin::base::ProjectId;
use tocsin::outbound::Response;
use tocsin::store::{ReadTx, WriteTx};

use crate::support::{House, Peer, ring_at};

/// Somebody who looks at pages: the value of their cookie.
async fn sign_in(house: &House, email: &str, role: Role) -> (users::User, String) {
    let (by, now, entropy) = (By::tocsin(house.clock.now()), house.clock.now(), house.state.entropy.clone());
    let new = NewUser { email: email.parse().unwrap(), role, password: None };
    let open = move |tx: &WriteTx<'_>| {
        let user = users::create(tx, &by, &entropy, &new)?;
        let token = sessions::open(tx, now, &entropy, user.id, &Browser::default())?;
        Ok::<_, tocsin::accounts::Error>((user, token))
    };
    let (user, token) = house.state.store.write("sign in", open).await.unwrap();
    let hash = TokenHash::of(token.expose());
    let found = move |tx: &ReadTx<'_>| sessions::find(tx, &hash, now);
    assert!(house.state.store.read(found).await.unwrap().is_some());
    (user, format!("tocsin_session={}", token.expose()))
}

async fn look(house: &House, cookie: &str) -> String {
    let page: Response = house.get_page("/", cookie).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page.text()
}

async fn report(house: &House, key: &str, name: &str, severity: &str) {
    let body = json!({"error_type": name, "message": format!("{name} broke"), "severity": severity});
    let answer = house.post(&format!("/api/v1/errors?sentry_key={key}"), &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[actix_web::test]
async fn an_empty_house_says_what_is_missing_and_how_to_mend_it() {
    let house = House::open().await;
    let (_, ada) = sign_in(&house, "ada@shop.example", Role::Owner).await;
    let page = look(&house, &ada).await;
    assert!(page.contains("<h1>Nothing was heard yet</h1>"), "{page}");
    assert!(page.contains("href=\"/projects/default/welcome\">Connect an app"), "{page}");
    assert!(page.contains("Nobody can be rung") && page.contains("href=\"/channels\""), "{page}");
    let (_, viewer) = sign_in(&house, "viewer@shop.example", Role::Viewer).await;
    let page = look(&house, &viewer).await;
    assert!(page.contains("Nobody can be rung") && !page.contains("href=\"/channels\""), "{page}");
    house.stop().await;
}

#[actix_web::test]
async fn the_welcome_page_waits_for_the_first_event_and_shows_what_was_heard() {
    let house = House::open().await;
    let key = house.text("SELECT lower(hex(public_key)) FROM dsn_keys LIMIT 1").await;
    let (_, ada) = sign_in(&house, "ada@shop.example", Role::Owner).await;
    let welcome = async || house.get_page("/projects/default/welcome", &ada).await.text();
    let page = welcome().await;
    assert!(page.contains("Waiting for the first event…") && page.contains(&key), "{page}");
    // The page asks for this part again whenever its stream says that issues changed.
    assert!(page.contains("id=\"heard\" data-live=\"issues\""), "{page}");
    report(&house, &key, "PaymentError", "high").await;
    let page = welcome().await;
    assert!(page.contains("<h2>Heard</h2>") && page.contains("PaymentError"), "{page}");
    assert!(!page.contains("Waiting for the first event…"), "{page}");
    house.stop().await;
}

#[actix_web::test]
async fn trouble_stands_on_top_and_a_quiet_house_says_since_when() {
    let hook = Peer::answering(200);
    let house = House::with(|config| ring_at(config, &hook.url)).await;
    let key = house.text("SELECT lower(hex(public_key)) FROM dsn_keys LIMIT 1").await;
    let (_, ada) = sign_in(&house, "ada@shop.example", Role::Owner).await;
    for _ in 0..3 {
        report(&house, &key, "PaymentError", "critical").await;
    }
    report(&house, &key, "QuietError", "low").await;
    let page = look(&house, &ada).await;
    assert!(page.contains("<h1>One thing needs you</h1>"), "{page}");
    assert!(page.contains("PaymentError") && page.contains(">Acknowledge</button>"), "{page}");
    assert!(page.contains(">3 events</td>") && page.contains("of one incident in 30 days"), "{page}");
    let incident = page.split("href=\"/incidents/").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let incident = house.get_page(&format!("/incidents/{incident}"), &ada).await.text();
    assert!(incident.contains("3 events"), "what is hit is counted now, not when it began: {incident}");
    let (loud, quiet) = (page.rfind("PaymentError"), page.rfind("QuietError"));
    assert!(loud < quiet, "the loudest issue comes first");
    assert!(!page.contains("Nobody can be rung"), "{page}");

    // Half an hour without it, and the incident is over.
    house.clock.advance(Duration::from_hours(1));
    house.run("incidents.expire").await;
    house.clock.advance(Duration::from_hours(24 * 3));
    let page = look(&house, &ada).await;
    assert!(page.contains("<h1>All quiet for 3 d</h1>"), "{page}");
    assert!(page.contains("No error in this hour"), "{page}");
    house.stop().await;
}

#[actix_web::test]
async fn nobody_sees_the_trouble_of_others() {
    let house = House::open().await;
    let key = house.text("SELECT lower(hex(public_key)) FROM dsn_keys LIMIT 1").await;
    let (outsider, cookie) = sign_in(&house, "outsider@shop.example", Role::Member).await;
    let by = By::tocsin(house.clock.now());
    let take_out = move |tx: &WriteTx<'_>| projects::remove_member(tx, &by, ProjectId(1), outsider.id);
    house.state.store.write("member", take_out).await.unwrap();
    report(&house, &key, "PaymentError", "critical").await;
    let page = look(&house, &cookie).await;
    assert!(!page.contains("PaymentError"), "{page}");
    assert!(page.contains("No project that you may see"), "{page}");
    house.stop().await;
}

#[test]
fn every_class_of_the_pages_has_a_style() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let styles = fs::read_to_string(root.join("static/app.css")).unwrap();
    let known: BTreeSet<&str> = styles
        .split('.')
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next())
        .collect();
    for entry in fs::read_dir(root.join("src/http/admin/templates")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for class in classes(&text) {
            assert!(known.contains(class.as_str()), "{}: no style for .{class}", path.display());
        }
    }
}

/// The classes that stand literally in a template, also those between its conditions.
fn classes(template: &str) -> BTreeSet<String> {
    let plain = outside(&outside(template, "{%", "%}"), "{{", "}}");
    let values = plain.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next());
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// A text without what stands between two marks.
fn outside(text: &str, open: &str, close: &str) -> String {
    let mut parts = text.split(open);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + " " + part.split_once(close).map_or("", |(_, rest)| rest))
}
