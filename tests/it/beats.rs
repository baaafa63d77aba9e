//! The pages of heartbeats: what they show, what their forms take and refuse, and who may press which button.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{http::StatusCode, test};
use tocsin::{
    accounts::By,
    base::{ProjectId, Uid},
    heartbeats::{Definition, HeartbeatId, Owner, Slug, queries, save},
    store::{self, ReadTx, WriteTx, params},
};

use crate::pages::{NOON, Visitor};
use crate::people::{Team, between};

/// A form as a browser sends it, with everything in it that the page offers.
const FORM: [(&str, &str); 8] = [
    ("project", "default"),
    ("name", "Nightly backup"),
    ("kind", "cron"),
    ("cron", "30 3 * * *"),
    ("zone", "Europe/Berlin"),
    ("grace", "30m"),
    ("severity", "critical"),
    ("runbook", "https://wiki.example/backup"),
];

/// Fields that are sent instead.
type Changes<'f> = &'f [(&'f str, &'f str)];

fn with<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let kept = FORM.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes.iter().copied()).collect()
}

/// Makes a heartbeat past the page.
async fn made(team: &Team, slug: &str, owner: Owner) -> (HeartbeatId, Uid) {
    let incidents = Arc::clone(&team.house.state.incidents);
    let slug: Slug = slug.parse().unwrap();
    let draft =
        save::Draft { project: ProjectId(1), slug, name: None, definition: Definition::default(), owner };
    let make = move |tx: &WriteTx<'_>| {
        let (id, _) = save::save(tx, &By::tocsin(NOON), &incidents, &draft)?;
        Ok::<_, save::Error>((id, queries::find(tx, id)?.unwrap().uid))
    };
    team.house.state.store.write("heartbeat", make).await.unwrap()
}

/// A run as a ping leaves it behind.
async fn ran(team: &Team, id: HeartbeatId, kind: &'static str, took: Option<Duration>, body: &'static [u8]) {
    let write = move |tx: &WriteTx<'_>| {
        tx.insert(
            "INSERT INTO heartbeat_runs (heartbeat_id, kind, at, duration_us, exit_status, source, agent, body_bytes, body)
             VALUES (?1, ?2, ?3, ?4, ?5, 'http', 'curl/8', ?6, ?7)",
            params![
                id.0,
                kind,
                NOON.as_micros(),
                took.map(|took| i64::try_from(took.as_micros()).unwrap()),
                (kind == "fail").then_some(2),
                i64::try_from(body.len()).unwrap(),
                (!body.is_empty()).then_some(body),
            ],
        )?;
        Ok::<_, store::Error>(())
    };
    team.house.state.store.write("run", write).await.unwrap();
}

async fn number(team: &Team, sql: &'static str) -> i64 {
    let read = move |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
    team.house.state.store.read(read).await.map_err(|error: store::Error| error).unwrap()
}

async fn refused(team: &Team, visitor: &Visitor, place: &str, fields: &[(&str, &str)]) -> String {
    let answer = team.post(visitor, place, fields).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{place}: {}", answer.text);
    answer.text
}

#[actix_web::test]
async fn an_empty_list_offers_the_three_lines_that_matter() {
    let team = Team::gather().await;
    let page = team.get(&team.member, "/heartbeats").await.text;
    for line in ["curl -fsS", "tocsin run", "0 3 * * *", "PING_KEY", "?create=1"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let made = team.post(&team.member, "/heartbeats/ping-key", &[("project", "default")]).await;
    assert_eq!((made.status, made.location.as_str()), (StatusCode::SEE_OTHER, "/heartbeats"));
    let page = team.get(&team.member, "/heartbeats").await.text;
    assert!(!page.contains("PING_KEY"), "the lines carry the key itself");
    let viewers = team.get(&team.viewer, "/heartbeats").await.text;
    assert!(viewers.contains("PING_KEY"), "who may not change anything sees no key");
}

#[actix_web::test]
async fn a_heartbeat_is_made_changed_paused_resumed_and_deleted_from_the_page() {
    let team = Team::gather().await;
    let made = team.post(&team.member, "/heartbeats", &FORM).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text);
    let place = made.location.trim_end_matches("#ping").to_owned();
    let page = team.get(&team.member, &place).await.text;
    for shown in [
        "Nightly backup",
        "at 03:30, Europe/Berlin",
        "/ping/",
        "tocsin run",
        "ExecStopPost",
        "CRON_TZ=Europe/Berlin",
        "CEST",
        "critical",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let form = team.get(&team.member, &format!("{place}/edit")).await.text;
    let seen = between(&form, "name=\"seen\" value=\"", "\"");
    assert!(form.contains("value=\"30 3 * * *\"") && form.contains("value=\"30m\""), "{form}");
    let changed = with(&[("kind", "every"), ("every", "2h"), ("seen", seen)]);
    let saved = team.post(&team.member, &format!("{place}/edit"), &changed).await;
    assert_eq!(saved.location, place, "{}", saved.text);
    assert!(team.get(&team.member, &place).await.text.contains("every 2 h"));
    let second = team.post(&team.member, &format!("{place}/edit"), &changed).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.text.contains("changed this heartbeat meanwhile"));
    for (act, shown) in [("pause", "Paused by mia@shop.example"), ("resume", "Never heard from")] {
        let answer = team.post(&team.member, &format!("{place}/{act}"), &[]).await;
        assert_eq!(answer.location, place);
        assert!(team.get(&team.member, &place).await.text.contains(shown), "{act}");
    }
    assert_eq!(team.post(&team.member, &format!("{place}/delete"), &[]).await.location, "/heartbeats");
    assert_eq!(team.get(&team.member, &place).await.status, StatusCode::NOT_FOUND);
    let audited = number(&team, "SELECT count(*) FROM audit_log WHERE action LIKE 'heartbeat.%'").await;
    assert_eq!(audited, 5);
}

#[actix_web::test]
async fn each_mistake_stands_beside_its_field_and_what_was_typed_stays() {
    let team = Team::gather().await;
    let table: [(Changes<'_>, &str, &str); 9] = [
        (&[("name", " ")], "wrong-name", "is empty"),
        (&[("cron", "0 25 * * *")], "wrong-cron", "hour “25”"),
        (&[("cron", "0 3 * *")], "wrong-cron", "five fields"),
        (&[("cron", "0 0 30 2 *")], "wrong-cron", "never comes"),
        (&[("zone", "Mars/Olympus")], "wrong-zone", "Mars/Olympus"),
        (&[("kind", "every"), ("every", "soon")], "wrong-every", "no length of time"),
        (&[("kind", "every"), ("every", "1s")], "wrong-every", "10 seconds"),
        (&[("grace", "1s")], "wrong-grace", "60 seconds"),
        (&[("runbook", "javascript:alert(1)")], "wrong-runbook", "http"),
    ];
    for (changes, at, says) in table {
        let page = refused(&team, &team.member, "/heartbeats", &with(changes)).await;
        let told = between(&page, &format!("id=\"{at}\">"), "</span>");
        assert!(told.contains(says), "{changes:?}: {told}");
        assert!(page.contains("https://wiki.example/backup") || at == "wrong-runbook", "{changes:?}");
        assert!(page.contains("role=\"alert\""), "{changes:?}");
    }
    let two = refused(&team, &team.member, "/heartbeats", &with(&[("grace", "1s"), ("zone", "Mars")])).await;
    assert!(two.contains("2 fields need you"));
    team.post(&team.member, "/heartbeats", &FORM).await;
    team.house.state.clock.advance(Duration::from_secs(6));
    let taken = refused(&team, &team.member, "/heartbeats", &FORM).await;
    assert!(between(&taken, "id=\"wrong-slug\">", "</span>").contains("nightly-backup already"));
    assert_eq!(number(&team, "SELECT count(*) FROM heartbeats").await, 1);
}

#[actix_web::test]
async fn a_double_click_makes_one_heartbeat() {
    let team = Team::gather().await;
    let click = || team.post(&team.member, "/heartbeats", &FORM);
    let (first, second) = tokio::join!(click(), click());
    assert_eq!((first.status, &first.location), (StatusCode::SEE_OTHER, &second.location));
    assert_eq!(number(&team, "SELECT count(*) FROM heartbeats").await, 1);
}

#[actix_web::test]
async fn a_schedule_is_explained_while_it_is_typed() {
    let team = Team::gather().await;
    let ask = |query: &str| format!("/heartbeats/preview?{query}");
    let good = team.get(&team.viewer, &ask("kind=cron&cron=30+3+*+*+*&zone=Europe/Berlin")).await.text;
    assert!(good.contains("at 03:30, Europe/Berlin"), "{good}");
    assert_eq!(good.matches("<li>").count(), 5, "{good}");
    let bad = team.get(&team.viewer, &ask("kind=cron&cron=61+*+*+*+*&zone=")).await.text;
    assert!(bad.contains("minute “61”") && bad.contains("0 to 59"), "{bad}");
    let every = team.get(&team.viewer, &ask("kind=every&every=90s")).await.text;
    assert!(every.contains("every 1m30s"), "{every}");
}

#[actix_web::test]
async fn viewers_look_and_change_nothing_and_strangers_see_nothing() {
    let team = Team::gather().await;
    let (_, uid) = made(&team, "backup", Owner::Page).await;
    let place = format!("/heartbeats/{uid}");
    let page = team.get(&team.viewer, &place).await.text;
    assert!(
        page.contains("backup") && !page.contains("/pause") && !page.contains("Where it is pinged"),
        "{page}"
    );
    assert_eq!(team.get(&team.viewer, "/heartbeats/new").await.status, StatusCode::FORBIDDEN);
    let id = uid.to_string();
    let changes = [
        ("/heartbeats".to_owned(), FORM.to_vec()),
        (format!("{place}/edit"), FORM.to_vec()),
        (format!("{place}/pause"), vec![]),
        (format!("{place}/delete"), vec![]),
        (format!("{place}/renew-address"), vec![]),
        ("/heartbeats/act".to_owned(), vec![("act", "pause"), ("id", id.as_str())]),
        ("/heartbeats/ping-key".to_owned(), vec![("project", "default")]),
    ];
    for (place, fields) in &changes {
        assert_eq!(team.post(&team.viewer, place, fields).await.status, StatusCode::FORBIDDEN, "{place}");
        let without = team.house.send(crate::pages::post(&team.member, place, fields)).await;
        assert_eq!(without.status, StatusCode::FORBIDDEN, "{place} without the token of the session");
    }
    let stranger = team.house.send(test::TestRequest::get().uri(&place)).await;
    assert!(stranger.location.starts_with("/sign-in"));
    assert_eq!(number(&team, "SELECT count(*) FROM heartbeats WHERE paused_at IS NOT NULL").await, 0);
}

#[actix_web::test]
async fn what_a_file_says_is_read_only_and_says_where_to_change_it() {
    let team = Team::gather().await;
    let (_, uid) = made(&team, "backup", Owner::File).await;
    let place = format!("/heartbeats/{uid}");
    let page = team.get(&team.owner, &place).await.text;
    assert!(page.contains("tocsin apply") && !page.contains("Edit</a>"), "{page}");
    let form = team.get(&team.owner, &format!("{place}/edit")).await.text;
    assert!(form.contains("<fieldset disabled>") && !form.contains("Save</button>"), "{form}");
    assert!(form.contains("tocsin apply"), "{form}");
    for (to, fields) in [("edit", FORM.to_vec()), ("delete", vec![])] {
        let answer = team.post(&team.owner, &format!("{place}/{to}"), &fields).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{to}");
        assert!(answer.text.contains("comes from a file"), "{}", answer.text);
    }
    assert_eq!(team.post(&team.owner, &format!("{place}/pause"), &[]).await.location, place);
    let address = |page: &str| between(page, "id=\"ping-id\" tabindex=\"0\">", "</pre>").to_owned();
    assert!(page.contains("New address…"), "{page}");
    let renewed = team.post(&team.owner, &format!("{place}/renew-address"), &[]).await;
    assert_eq!(renewed.location, format!("{place}#ping"));
    assert_ne!(address(&team.get(&team.owner, &place).await.text), address(&page), "no file names it");
}

#[actix_web::test]
async fn runs_are_bars_and_lines_and_their_output_is_escaped() {
    let team = Team::gather().await;
    let (id, uid) = made(&team, "backup", Owner::Page).await;
    ran(&team, id, "success", Some(Duration::from_mins(1)), b"").await;
    ran(&team, id, "success", Some(Duration::from_mins(2)), b"").await;
    ran(&team, id, "missed", None, b"").await;
    ran(&team, id, "fail", Some(Duration::from_secs(30)), b"<script>alert(1)</script> disk full").await;
    let list = team.get(&team.viewer, "/heartbeats").await.text;
    assert!(list.contains("4 runs, 2 good, 1 failed, 1 missed"), "{list}");
    let place = format!("/heartbeats/{uid}");
    let page = team.get(&team.viewer, &place).await.text;
    for shown in ["exit status 2", "Output, 35 B", "2 min", "data-secs=\"120.000\"", "class=\"missed\""] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let run = between(&page, &format!("hx-get=\"{place}/runs/"), "\"");
    let output = team.get(&team.viewer, &format!("{place}/runs/{run}")).await.text;
    assert!(output.contains("&#60;script&#62;alert(1)") && output.contains("disk full"), "{output}");
    assert!(!output.contains("<script>alert"));
    assert_eq!(team.get(&team.viewer, &format!("{place}/runs/999")).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn selected_heartbeats_are_paused_and_resumed_together() {
    let team = Team::gather().await;
    let (first, second) =
        (made(&team, "one", Owner::Page).await.1, made(&team, "two", Owner::Sentry).await.1);
    let (first, second) = (first.to_string(), second.to_string());
    let selected = [("act", "pause"), ("id", first.as_str()), ("id", second.as_str())];
    assert_eq!(team.post(&team.member, "/heartbeats/act", &selected).await.location, "/heartbeats");
    let paused = || number(&team, "SELECT count(*) FROM heartbeat_states WHERE status = 'paused'");
    assert_eq!(paused().await, 2);
    let tab = team.get(&team.member, "/heartbeats?status=paused&query=on").await.text;
    assert!(tab.contains(&first) && !tab.contains(&second), "{tab}");
    let fields = [("csrf", team.member.csrf.as_str()), ("act", "resume"), ("id", first.as_str())];
    let script =
        crate::pages::post(&team.member, "/heartbeats/act", &fields).insert_header(("hx-request", "true"));
    assert_eq!(team.house.send(script).await.status, StatusCode::NO_CONTENT);
    assert_eq!(paused().await, 1);
    let none = team.post(&team.member, "/heartbeats/act", &[("act", "pause")]).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn a_long_list_comes_in_pages_and_stays_small() {
    let team = Team::gather().await;
    let incidents = Arc::clone(&team.house.state.incidents);
    let fill = move |tx: &WriteTx<'_>| {
        for number in 0..120 {
            let slug: Slug = format!("job-{number:03}").parse().unwrap();
            let definition = Definition::default();
            let draft =
                save::Draft { project: ProjectId(1), slug, name: None, definition, owner: Owner::Page };
            let (id, _) = save::save(tx, &By::tocsin(NOON), &incidents, &draft)?;
            for run in 0..40_i32 {
                let at = NOON + Duration::from_secs(run.unsigned_abs().into());
                tx.insert(
                    "INSERT INTO heartbeat_runs (heartbeat_id, kind, at, duration_us) VALUES (?1, 'success', ?2, ?3)",
                    params![id.0, at.as_micros(), 1_000_000 + run * 7],
                )?;
            }
        }
        Ok::<_, save::Error>(())
    };
    team.house.state.store.write("fill", fill).await.unwrap();
    let first = team.get(&team.member, "/heartbeats").await.text;
    assert_eq!(first.matches("data-row=").count(), 50);
    assert!(first.len() < 200_000, "{} bytes", first.len());
    let next = first.rsplit_once("href=\"").unwrap().1.split_once('"').unwrap().0.replace("&#38;", "&");
    assert!(next.starts_with("/heartbeats?after="), "{next}");
    let second = team.get(&team.member, &next).await.text;
    assert!(second.contains("job-050") && !second.contains("job-049") && second.contains("First page"));
}
