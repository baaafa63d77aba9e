//! The pages of maintenance, services and the status page: what their forms take and refuse, and who may press what.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use tocsin::{
    accounts::By,
    base::{ProjectId, owned::Owner},
    health::services::{self, Needs},
    heartbeats::{self, Definition, HeartbeatId, Slug},
    incidents::maintenance,
    status_page,
    store::{self, ReadTx, WriteTx},
};

use crate::pages::{NOON, Visitor, post};
use crate::people::{Team, between};

/// NOON is 21 September 2026, 13:46 UTC.
const ONCE: [(&str, &str); 6] = [
    ("project", "default"),
    ("title", "Database upgrade"),
    ("kind", "once"),
    ("from", "2026-09-22T03:00"),
    ("to", "2026-09-22T05:00"),
    ("zone", "Europe/Berlin"),
];
const WEEKLY: [(&str, &str); 6] = [
    ("project", "default"),
    ("title", "Weekly backup"),
    ("kind", "repeat"),
    ("cron", "0 3 * * SUN"),
    ("duration", "2h"),
    ("zone", "Europe/Berlin"),
];
const PROVIDERS: [(&str, &str); 4] =
    [("project", "default"), ("name", "AI providers"), ("needs", "any"), ("critical", "1")];

/// A field of a form, and what stands in it.
type Field<'f> = (&'f str, &'f str);

fn with<'f>(form: &[(&'f str, &'f str)], changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let kept = form.iter().copied().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied()).collect()
}

async fn number(team: &Team, sql: &'static str) -> i64 {
    let read = move |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
    team.house.state.store.read(read).await.map_err(|error: store::Error| error).unwrap()
}

async fn refused(team: &Team, visitor: &Visitor, place: &str, fields: &[(&str, &str)]) -> String {
    let answer = team.post(visitor, place, fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{place} {fields:?}: {}", answer.text);
    assert!(answer.text.contains("role=\"alert\""), "{place}");
    answer.text
}

fn wrong<'p>(page: &'p str, field: &str) -> &'p str {
    assert!(page.contains(&format!("id=\"wrong-{field}\"")), "nothing stands at {field}: {page}");
    between(page, &format!("id=\"wrong-{field}\">"), "</span>")
}

/// A heartbeat, past the page.
async fn job(team: &Team, slug: &str) -> HeartbeatId {
    let incidents = Arc::clone(&team.house.state.incidents);
    let slug: Slug = slug.parse().unwrap();
    let (definition, owner) = (Definition::default(), heartbeats::Owner::Page);
    let draft = heartbeats::save::Draft { project: ProjectId(1), slug, name: None, definition, owner };
    let make = move |tx: &WriteTx<'_>| heartbeats::save::save(tx, &By::tocsin(NOON), &incidents, &draft);
    team.house.state.store.write("heartbeat", make).await.unwrap().0
}

/// A service, past the page.
async fn service(team: &Team, key: &str, owner: Owner) {
    let services = Arc::clone(&team.house.state.services);
    let draft = services::Draft {
        key: key.to_owned(),
        project: ProjectId(1),
        name: key.to_uppercase(),
        needs: Needs::All,
        critical: false,
        members: Vec::new(),
        settings: services::Settings::default(),
        position: None,
        owner,
    };
    let make = move |tx: &WriteTx<'_>| services.save(tx, &By::tocsin(NOON), &draft);
    team.house.state.store.write("service", make).await.unwrap();
}

#[actix_web::test]
async fn maintenance_is_planned_changed_called_off_and_deleted() {
    let team = Team::gather().await;
    let member = job(&team, "backup").await.signal_key();
    let planned = team
        .post(&team.member, "/maintenance", &with(&ONCE, &[("member", &member), ("is_public", "1")]))
        .await;
    assert_eq!(planned.status, StatusCode::SEE_OTHER, "{}", planned.text);
    let id = planned.location.trim_start_matches("/maintenance#").to_owned();
    let place = format!("/maintenance/{id}");
    let list = team.get(&team.viewer, "/maintenance").await.text;
    for shown in [
        "One maintenance is planned",
        "Database upgrade",
        "Tue 22 Sep, 03:00–05:00 CEST",
        "default · backup",
        "on the status page",
    ] {
        assert!(list.contains(shown), "{shown}: {list}");
    }
    let form = team.get(&team.member, &place).await.text;
    assert!(form.contains("value=\"2026-09-22T03:00\""), "{form}");
    assert!(between(&form, &format!("value=\"{member}\""), ">").contains("checked"), "{form}");
    let later = with(&ONCE, &[("to", "2026-09-22T06:30")]);
    assert_eq!(team.post(&team.member, &place, &later).await.location, place);
    assert!(team.get(&team.viewer, &place).await.text.contains("03:00–06:30 CEST"));
    assert_eq!(number(&team, "SELECT count(*) FROM maintenance_subjects").await, 0, "all of the project now");
    assert_eq!(team.post(&team.member, &format!("{place}/call-off"), &[]).await.location, "/maintenance");
    assert!(team.get(&team.viewer, "/maintenance").await.text.contains("Nothing is planned"));
    team.post(&team.member, &format!("{place}/remove"), &[]).await;
    assert_eq!(team.get(&team.member, &place).await.status, StatusCode::NOT_FOUND);
    assert_eq!(number(&team, "SELECT count(*) FROM audit_log WHERE action LIKE 'maintenance.%'").await, 4);
}

#[actix_web::test]
async fn whoever_saves_a_plan_later_than_somebody_else_is_told() {
    let team = Team::gather().await;
    let planned = team.post(&team.member, "/maintenance", &ONCE).await;
    let place = format!("/maintenance/{}", planned.location.trim_start_matches("/maintenance#"));
    let form = team.get(&team.member, &place).await.text;
    let seen = between(&form, "name=\"seen\" value=\"", "\"").to_owned();
    let mine = with(&ONCE, &[("title", "Mine"), ("seen", &seen)]);
    assert_eq!(team.post(&team.member, &place, &mine).await.location, place);
    let late = with(&ONCE, &[("title", "Too late"), ("seen", &seen)]);
    let told = team.post(&team.owner, &place, &late).await;
    assert_eq!(told.status, StatusCode::CONFLICT, "{}", told.text);
    assert!(told.text.contains("Somebody changed this maintenance meanwhile") && told.text.contains("Mine"));
    let seen = between(&told.text, "name=\"seen\" value=\"", "\"").to_owned();
    let after = with(&ONCE, &[("title", "After"), ("seen", &seen)]);
    assert_eq!(team.post(&team.owner, &place, &after).await.location, place);
    // Called off meanwhile, it does not come to life again by a form that was open before.
    let seen = between(&team.get(&team.member, &place).await.text, "name=\"seen\" value=\"", "\"").to_owned();
    team.post(&team.owner, &format!("{place}/call-off"), &[]).await;
    let revived = team.post(&team.member, &place, &with(&ONCE, &[("seen", &seen)])).await;
    assert_eq!(revived.status, StatusCode::CONFLICT);
}

#[actix_web::test]
async fn what_a_plan_covers_must_be_there() {
    let team = Team::gather().await;
    let backup = job(&team, "backup").await;
    service(&team, "payment", Owner::Page).await;
    let odd = format!("{}:odd", backup.signal_key());
    for name in ["default/backup", &odd, "service:payment", "rate:1", "probe:*", "issue:1:*", "heartbeat:1"] {
        let taken = team.post(&team.member, "/maintenance", &with(&ONCE, &[("more", name)])).await;
        assert_eq!(taken.status, StatusCode::SEE_OTHER, "{name}: {}", taken.text);
    }
    for (name, says) in [
        ("api", "There is no probe “api” here"),
        ("probe:9", "There is no probe “probe:9” here"),
        ("heartbeat:1x", "There is no heartbeat “heartbeat:1x” here"),
        ("default/nightly", "There is no heartbeat “default/nightly” here"),
        ("service:db", "There is no service “db” here"),
        ("issue:1:4", "There is no issue"),
        ("rate:9", "There is no project"),
        ("prob:1", "“prob:1” names nothing"),
        ("prob:*", "“prob:*” names nothing"),
    ] {
        let page = refused(&team, &team.member, "/maintenance", &with(&ONCE, &[("more", name)])).await;
        assert!(wrong(&page, "members").starts_with(says), "{name}: {}", wrong(&page, "members"));
        assert!(page.contains(&format!(">{name}</textarea>")), "what was typed stays");
    }
}

#[actix_web::test]
async fn what_takes_place_is_ended_early() {
    let team = Team::gather().await;
    let now = with(&ONCE, &[("from", "2026-09-21T13:00"), ("to", "2026-09-21T15:00"), ("zone", "UTC")]);
    assert_eq!(team.post(&team.member, "/maintenance", &now).await.status, StatusCode::SEE_OTHER);
    let list = team.get(&team.member, "/maintenance").await.text;
    assert!(list.contains("One maintenance is in progress") && list.contains("End it now"), "{list}");
    let end = between(&list, "action=\"/maintenance/", "/end\"");
    let ended = team.post(&team.member, &format!("/maintenance/{end}/end"), &[]).await;
    assert_eq!(ended.location, "/maintenance", "{}", ended.text);
    team.house.state.clock.advance(Duration::from_secs(1));
    assert!(!team.get(&team.member, "/maintenance").await.text.contains("in progress</h2>"));
}

#[actix_web::test]
async fn a_weekly_maintenance_shows_its_next_five_times() {
    let team = Team::gather().await;
    let planned = team.post(&team.member, "/maintenance", &WEEKLY).await;
    assert_eq!(planned.status, StatusCode::SEE_OTHER, "{}", planned.text);
    let query = "kind=repeat&cron=0+3+*+*+SUN&duration=2h&zone=Europe/Berlin";
    let preview = team.get(&team.viewer, &format!("/maintenance/preview?{query}")).await.text;
    assert_eq!(preview.matches("<li>").count(), 5, "{preview}");
    assert!(preview.contains("Sun 27 Sep, 03:00–05:00 CEST") && preview.contains("for 2 h"), "{preview}");
    let bad =
        team.get(&team.viewer, "/maintenance/preview?kind=repeat&cron=0+25+*+*+*&duration=2h").await.text;
    assert!(bad.contains("hour “25”"), "{bad}");
}

#[actix_web::test]
async fn each_mistake_of_a_plan_stands_beside_its_field() {
    let team = Team::gather().await;
    let table: [(Vec<Field<'_>>, &str, &str); 9] = [
        (with(&ONCE, &[("title", " ")]), "title", "is empty"),
        (with(&ONCE, &[("from", "soon")]), "from", "A day and a time"),
        (with(&ONCE, &[("to", "2026-09-22T02:00")]), "to", "after it begins"),
        (with(&ONCE, &[("to", "2027-09-22T02:00")]), "to", "31 days"),
        (with(&ONCE, &[("zone", "Mars")]), "zone", "Mars"),
        (with(&WEEKLY, &[("cron", "0 3 * *")]), "cron", "five fields"),
        (with(&WEEKLY, &[("duration", "9d")]), "duration", "7 days"),
        (with(&WEEKLY, &[("cron", "0 * * * *")]), "duration", "begin again before it is over"),
        (with(&WEEKLY, &[("last", "2020-01-01")]), "last", "after it starts"),
    ];
    for (fields, at, says) in table {
        let page = refused(&team, &team.member, "/maintenance", &fields).await;
        assert!(wrong(&page, at).contains(says), "{fields:?}: {}", wrong(&page, at));
        assert!(page.contains("value=\"Europe/Berlin\"") || at == "zone", "what was typed stays");
    }
    let all = refused(&team, &team.member, "/maintenance", &with(&ONCE, &[("project", "")])).await;
    assert!(wrong(&all, "project").contains("Choose a project"));
    assert_eq!(
        team.post(&team.owner, "/maintenance", &with(&ONCE, &[("project", "")])).await.status,
        StatusCode::SEE_OTHER
    );
}

#[actix_web::test]
async fn a_plan_of_a_file_is_read_only_and_viewers_change_nothing() {
    let team = Team::gather().await;
    let incidents = Arc::clone(&team.house.state.incidents);
    let draft = maintenance::Draft {
        key: "filed".to_owned(),
        project: Some(ProjectId(1)),
        subjects: Vec::new(),
        title: "Filed".to_owned(),
        message: String::new(),
        is_public: false,
        starts_at: NOON + Duration::from_hours(1),
        ends_at: None,
        duration_s: 3600,
        schedule: None,
        time_zone: "UTC".to_owned(),
        owner: Owner::File,
    };
    let save = move |tx: &WriteTx<'_>| incidents.save_maintenance(tx, NOON, &draft, "a file");
    let (uid, _) = team.house.state.store.write("maintenance", save).await.unwrap();
    let place = format!("/maintenance/{uid}");
    let page = team.get(&team.owner, &place).await.text;
    assert!(page.contains("tocsin apply") && !page.contains("name=\"title\""), "{page}");
    assert_eq!(team.post(&team.owner, &place, &ONCE).await.status, StatusCode::CONFLICT);
    assert_eq!(team.post(&team.owner, &format!("{place}/remove"), &[]).await.status, StatusCode::CONFLICT);
    for (place, fields) in [("/maintenance".to_owned(), ONCE.to_vec()), (format!("{place}/end"), vec![])] {
        assert_eq!(team.post(&team.viewer, &place, &fields).await.status, StatusCode::FORBIDDEN, "{place}");
        let without = team.house.send(post(&team.owner, &place, &fields)).await;
        assert_eq!(without.status, StatusCode::FORBIDDEN, "{place} without the token of the session");
    }
    assert_eq!(team.get(&team.viewer, "/maintenance/new").await.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn a_service_is_made_of_chosen_members_changed_and_deleted() {
    let team = Team::gather().await;
    let (one, two) = (job(&team, "openai").await.signal_key(), job(&team, "claude").await.signal_key());
    let fields = with(&PROVIDERS, &[("member", &two)]);
    let made = team.post(&team.member, "/services", &fields).await;
    assert_eq!(
        (made.status, made.location.as_str()),
        (StatusCode::SEE_OTHER, "/services/ai_providers"),
        "{}",
        made.text
    );
    let page = team.get(&team.viewer, "/services/ai_providers").await.text;
    for shown in ["AI providers", "claude", "needs any of 1", "critical", "It rings for its members"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    team.house.state.engine.run_now("health.services").await.unwrap().unwrap();
    let judged = team.get(&team.viewer, "/services/ai_providers").await.text;
    assert!(judged.contains("&#34;providers&#34;"), "what /api/health says: {judged}");
    let form = team.get(&team.member, "/services/ai_providers/edit").await.text;
    assert!(between(&form, &format!("value=\"{two}\""), ">").contains("checked"), "{form}");
    assert!(!between(&form, &format!("value=\"{one}\""), ">").contains("checked"), "{form}");
    let mut both = with(&PROVIDERS, &[("needs", "quorum"), ("quorum", "2")]);
    both.extend([("member", one.as_str()), ("member", two.as_str())]);
    let saved = team.post(&team.member, "/services/ai_providers/edit", &both).await;
    assert_eq!(saved.location, "/services/ai_providers", "{}", saved.text);
    let list = team.get(&team.viewer, "/services").await.text;
    assert!(list.contains("needs 2 of 2") && list.contains("openai"), "{list}");
    let query = format!("project=default&needs=any&member={one}&name=AI");
    let preview = team.get(&team.member, &format!("/services/preview?{query}")).await.text;
    assert!(preview.contains("unknown") && preview.contains("&#34;ai&#34;"), "{preview}");
    let found = team.get(&team.member, &format!("/choose?project=default&find=clau&member={one}")).await.text;
    assert!(found.contains("openai") && found.contains("claude"), "what is chosen stays: {found}");
    assert_eq!(team.post(&team.member, "/services/ai_providers/delete", &[]).await.location, "/services");
    assert_eq!(team.get(&team.member, "/services/ai_providers").await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn each_mistake_of_a_service_stands_beside_its_field() {
    let team = Team::gather().await;
    let member = job(&team, "openai").await.signal_key();
    let table: [(&[Field<'_>], &str, &str); 6] = [
        (&[("name", " ")], "name", "is empty"),
        (&[("key", "Not A Key")], "key", "is no key"),
        (&[("key", "detailed")], "key", "choose another"),
        (&[("needs", "quorum"), ("quorum", "")], "quorum", "whole number"),
        (&[("needs", "quorum"), ("quorum", "3"), ("member", &member)], "quorum", "which is 1"),
        (&[("runbook", "javascript:alert(1)")], "runbook", "https://"),
    ];
    for (changes, at, says) in table {
        let page = refused(&team, &team.member, "/services", &with(&PROVIDERS, changes)).await;
        assert!(wrong(&page, at).contains(says), "{changes:?}: {}", wrong(&page, at));
    }
    let gone =
        refused(&team, &team.member, "/services", &with(&PROVIDERS, &[("member", "heartbeat:99")])).await;
    assert!(wrong(&gone, "members").contains("no heartbeat"));
    service(&team, "ai_providers", Owner::Page).await;
    let taken = refused(&team, &team.member, "/services", &PROVIDERS).await;
    assert!(wrong(&taken, "key").contains("is taken"));
}

#[actix_web::test]
async fn services_change_places_and_those_of_a_file_are_read_only() {
    let team = Team::gather().await;
    for (key, owner) in [("db", Owner::Page), ("mail", Owner::File), ("web", Owner::Page)] {
        service(&team, key, owner).await;
    }
    let order = || async {
        let page = team.get(&team.viewer, "/services").await.text;
        page.split("data-row=\"")
            .skip(1)
            .map(|part| part.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order().await, ["db", "mail", "web"]);
    assert_eq!(team.post(&team.member, "/services/web/up", &[]).await.location, "/services");
    assert_eq!(order().await, ["db", "web", "mail"]);
    team.post(&team.member, "/services/db/up", &[]).await;
    team.post(&team.member, "/services/db/down", &[]).await;
    assert_eq!(order().await, ["web", "db", "mail"]);
    for place in ["/services/web/down", "/services/web/delete", "/services/web/edit", "/services"] {
        let answer = team.post(&team.viewer, place, &PROVIDERS).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{place}");
    }
    for place in ["/services/mail", "/services/mail/edit"] {
        let page = team.get(&team.owner, place).await.text;
        assert!(page.contains("tocsin apply") && !page.contains("Save</button>"), "{place}: {page}");
    }
    for place in ["/services/mail/edit", "/services/mail/delete"] {
        assert_eq!(team.post(&team.owner, place, &PROVIDERS).await.status, StatusCode::CONFLICT, "{place}");
    }
    let click = || team.post(&team.member, "/services", &PROVIDERS);
    let (first, second) = tokio::join!(click(), click());
    assert_eq!((first.status, &first.location), (StatusCode::SEE_OTHER, &second.location));
}

#[actix_web::test]
async fn the_status_page_is_put_together_by_owners() {
    let team = Team::gather().await;
    service(&team, "web", Owner::Page).await;
    service(&team, "db", Owner::Page).await;
    let page = team.get(&team.owner, "/status-page").await.text;
    assert!(page.contains("The status page is off") && page.contains("section:web"), "{page}");
    let form = [
        ("enabled", "1"),
        ("title", "Shop status"),
        ("publish", "automatically"),
        ("service", "web"),
        ("service", "db"),
        ("section:web", "Shop"),
        ("title:web", "Online shop"),
        ("latency:web", "1"),
        ("section:db", "Inside"),
    ];
    let saved = team.post(&team.owner, "/status-page", &form).await;
    assert_eq!(saved.location, "/status-page?saved=1", "{}", saved.text);
    let page = team.get(&team.owner, "/status-page").await.text;
    for shown in ["Everybody can see", "Online shop", "/badge/", "[![Online shop]", "value=\"Inside\""] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    team.post(&team.owner, "/status-page", &with(&form[..1], &[&form[1..], &[("move", "up:db")]].concat()))
        .await;
    let stored = team.house.state.store.read(|tx: &ReadTx<'_>| status_page::find(tx)).await.unwrap().unwrap();
    assert_eq!(stored.sections[0].title, "Inside");
    assert!(stored.sections[1].entries[0].latency);
    let bad = refused(&team, &team.owner, "/status-page", &[("title", ""), ("support_url", "x")]).await;
    assert!(wrong(&bad, "title").contains("empty"));
    let bad =
        refused(&team, &team.owner, "/status-page", &[("title", "Shop"), ("support_url", "javascript:x")])
            .await;
    assert!(wrong(&bad, "support_url").contains("https://") && bad.contains("javascript:x"));
    for visitor in [&team.member, &team.viewer] {
        assert_eq!(team.post(visitor, "/status-page", &form).await.status, StatusCode::FORBIDDEN);
        let page = team.get(visitor, "/status-page").await;
        assert!(page.status == StatusCode::OK && page.text.contains("An owner can change it"));
    }
}

#[actix_web::test]
async fn a_post_is_written_continued_resolved_and_deleted() {
    let team = Team::gather().await;
    service(&team, "web", Owner::Page).await;
    let fields = [
        ("title", "Payments are delayed"),
        ("impact", "major"),
        ("stage", "investigating"),
        ("text", "<b>Some</b> payments take longer."),
        ("published", "1"),
        ("service", "web"),
    ];
    let made = team.post(&team.owner, "/status-page/posts", &fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    let place = made.location.clone();
    let page = team.get(&team.owner, &place).await.text;
    assert!(page.contains("&#60;b&#62;Some") && page.contains("public"), "{page}");
    let more = [("form", "update"), ("stage", "resolved"), ("text", "It is mended.")];
    assert_eq!(team.post(&team.owner, &place, &more).await.location, place);
    let resolved = team.get(&team.owner, &place).await.text;
    assert!(resolved.contains("It is mended.") && resolved.contains("Open it again"), "{resolved}");
    let changed = [("form", "post"), ("title", "Payments were delayed"), ("impact", "minor")];
    team.post(&team.owner, &place, &changed).await;
    let list = team.get(&team.viewer, "/status-page").await.text;
    assert!(list.contains("Payments were delayed") && list.contains("draft"), "{list}");
    let empty =
        refused(&team, &team.owner, &place, &[("form", "update"), ("stage", "monitoring"), ("text", " ")])
            .await;
    assert!(wrong(&empty, "text").contains("Say something"));
    let none = refused(&team, &team.owner, "/status-page/posts", &with(&fields, &[("title", "")])).await;
    assert!(wrong(&none, "title").contains("empty") && none.contains("payments take longer"));
    for (place, fields) in
        [(place.clone(), more.to_vec()), ("/status-page/posts".to_owned(), fields.to_vec())]
    {
        assert_eq!(team.post(&team.member, &place, &fields).await.status, StatusCode::FORBIDDEN, "{place}");
    }
    assert_eq!(team.post(&team.owner, &format!("{place}/delete"), &[]).await.location, "/status-page");
    assert_eq!(team.get(&team.owner, &place).await.status, StatusCode::NOT_FOUND);
}
