//! The pages of probes over the real parts: list, form, presets, one probe, and every mistake that a form can hold.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use actix_web::http::StatusCode;
use tocsin::accounts::By;
use tocsin::base::{ProjectId, Secret};
use tocsin::health::services;
use tocsin::probes::{Definition, Draft, Owner, ProbeId, Secrets, Status, queries, record};
use tocsin::store::{ReadTx, WriteTx};

use crate::pages::{Answer, NOON};
use crate::people::{Team, between};

/// An ordinary HTTP probe as its form sends it.
const FORM: [(&str, &str); 12] = [
    ("kind", "http"),
    ("target.url", "https://shop.example/health"),
    ("target.method", "GET"),
    ("target.verify", "on"),
    ("condition", "status < 300"),
    ("condition", ""),
    ("interval", "30s"),
    ("timeout", "5s"),
    ("name", "Shop API"),
    ("project", "default"),
    ("severity", "critical"),
    ("act", "save"),
];

/// `FORM` with other texts; a field that is not there yet is added.
fn form_with<'f>(changes: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let mut fields: Vec<(&str, &str)> =
        FORM.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name)).collect();
    fields.extend_from_slice(changes);
    fields
}

pub(crate) fn http(url: &str) -> Definition {
    let target = serde_json::json!({"kind": "http", "url": url});
    Definition::of(serde_json::from_value(target).unwrap())
}

pub(crate) fn draft(key: &str) -> Draft {
    Draft {
        key: key.to_owned(),
        name: format!("Probe {key}"),
        project: ProjectId(1),
        definition: http("https://shop.example/"),
        secrets: Secrets::default(),
        parents: Vec::new(),
        owner: Owner::Page,
    }
}

pub(crate) async fn save(team: &Team, draft: Draft) -> ProbeId {
    let probes = team.house.state.prober.probes.clone();
    let save = move |tx: &WriteTx<'_>| probes.save(tx, &By::tocsin(NOON), &draft);
    team.house.state.store.write("probe", save).await.unwrap().id()
}

/// Makes `status` what the probe is, as its loop would.
pub(crate) async fn becomes(team: &Team, id: ProbeId, status: Status, reason: &str) {
    let (incidents, reason) = (team.house.state.incidents.clone(), reason.to_owned());
    let now = team.house.state.clock.now();
    let sampled = |body: &str, code: u16| {
        record::Sampled {
        at: now,
        json: serde_json::json!({
            "reason": "", "phases_us": {"dns": 2_000, "connect": 8_000, "answer": 90_000, "total": 100_000},
            "facts": {"status": code.to_string()},
            "sample": {"address": null, "head": format!("HTTP/1.1 {code}"), "lines": [["server", "nginx"]], "body": body},
        })
        .to_string(),
    }
    };
    let (flapping, memory) = (false, tocsin::probes::Memory::default());
    let latency = Some(Duration::from_millis(100));
    let recording = record::Recording {
        id,
        forgotten: 0,
        earlier: Vec::new(),
        now: record::Turn { at: now, status, since: now, reason, flapping, memory, latency },
        good: Some(sampled("<b>all well</b>", 200)),
        bad: Some(sampled("<script>alert(1)</script>", 503)),
    };
    let write = move |tx: &WriteTx<'_>| record::record(tx, &incidents, now, &recording);
    team.house.state.store.write("record", write).await.unwrap();
}

/// Makes a service of these probes.
async fn serve(team: &Team, key: &str, members: &[&str]) {
    let services = std::sync::Arc::clone(&team.house.state.services);
    let draft = services::Draft {
        key: key.to_owned(),
        project: ProjectId(1),
        name: key.to_uppercase(),
        needs: services::Needs::All,
        critical: false,
        members: members.iter().map(|&member| member.to_owned()).collect(),
        settings: services::Settings::default(),
        position: None,
        owner: Owner::Page,
    };
    let make = move |tx: &WriteTx<'_>| services.save(tx, &By::tocsin(NOON), &draft);
    team.house.state.store.write("service", make).await.unwrap();
}

async fn find(team: &Team, key: &'static str) -> Option<tocsin::probes::Probe> {
    let find = move |tx: &ReadTx<'_>| queries::find(tx, &tocsin::accounts::Visible::All, key);
    team.house.state.store.read(find).await.unwrap()
}

#[actix_web::test]
async fn an_empty_list_offers_a_beginning_and_a_viewer_no_buttons() {
    let team = Team::gather().await;
    let empty = team.get(&team.member, "/probes").await;
    assert!(empty.text.contains("Nothing is watched yet") && empty.text.contains("/probes/new?kind=http"));
    assert!(!team.get(&team.viewer, "/probes").await.text.contains("/probes/new"));
    let chosen = team.get(&team.member, "/probes/new").await.text;
    for card in ["/probes/new?preset=stripe", "/probes/new?kind=postgres", "Only owners make these."] {
        assert!(chosen.contains(card), "{card}");
    }
    assert!(!team.get(&team.owner, "/probes/new").await.text.contains("Only owners make these."));
}

#[actix_web::test]
async fn a_probe_is_made_with_a_key_of_its_name_and_once_however_often_it_is_sent() {
    let team = Team::gather().await;
    let form = form_with(&[("condition", "status < 300"), ("slow_after", "500ms"), ("labels", "team=shop")]);
    let click = || team.post(&team.member, "/probes/new", &form);
    let (first, second) = tokio::join!(click(), click());
    assert_eq!((first.status, first.location.as_str()), (StatusCode::SEE_OTHER, "/probes/shop-api"));
    assert_eq!(second.location, first.location);
    let probe = find(&team, "shop-api").await.unwrap();
    assert_eq!(probe.definition.slow_after, Some(Duration::from_millis(500)));
    assert_eq!(probe.definition.policy.interval, Duration::from_secs(30));
    assert!(probe.definition.conditions.is_empty(), "what its kind asks by itself is not written down");
    assert!(find(&team, "shop-api-2").await.is_none());
    team.house.state.clock.advance(Duration::from_secs(6));
    assert_eq!(click().await.location, "/probes/shop-api-2", "an equal form later is one of its own");
    let page = team.get(&team.viewer, "/probes/shop-api").await.text;
    for said in
        ["Trouble that stays is known within at most 50 s.", "GET https://shop.example/health", "unknown"]
    {
        assert!(page.contains(said), "{said}");
    }
    for act in ["/probes/shop-api/edit", "/probes/shop-api/pause", "Delete the probe"] {
        assert!(!page.contains(act), "a viewer sees no {act}");
    }
    assert!(team.get(&team.member, "/probes/shop-api").await.text.contains("/probes/shop-api/edit"));
}

/// What is changed in the form, the field that is told of, and a part of what is told.
type Mistake<'m> = (&'m [(&'m str, &'m str)], &'m str, &'m str);

#[actix_web::test]
async fn every_mistake_is_told_beside_its_field_and_what_was_typed_stays() {
    let team = Team::gather().await;
    save(&team, draft("taken")).await;
    let table: &[Mistake<'_>] = &[
        (&[("target.url", "")], "target.url", "needed"),
        (&[("target.url", "ftp://x")], "target.url", "http"),
        (&[("target.headers", "no colon")], "target.headers", "Name: value"),
        (&[("target.redirects", "many")], "target.redirects", "no number"),
        (&[("condition", "statsu < 300")], "conditions", "status"),
        (&[("interval", "1s")], "interval", "5 seconds"),
        (&[("interval", "soon")], "interval", "30s"),
        (&[("timeout", "10m")], "timeout", "60 seconds"),
        (&[("retry_interval", "5m")], "retry_interval", "interval"),
        (&[("bad", "5"), ("of", "3")], "bad", "readings"),
        (&[("bad", "x")], "bad", "whole number"),
        (&[("good", "0")], "good", "1 to 64"),
        (&[("slow_after", "fast")], "slow_after", "500ms"),
        (&[("key", "Not A Key")], "key", "a-z"),
        (&[("key", "new")], "key", "another"),
        (&[("key", "taken")], "key", "is taken: choose another"),
        (&[("project", "nowhere")], "project", "Choose"),
        (&[("depends_on", "nobody")], "depends_on", "no probe nobody"),
        (&[("runbook", "see wiki")], "runbook", "https://"),
        (&[("labels", "team")], "labels", "name=value"),
        (&[("target.headers", "Authorization: Bearer {{token}}")], "secrets", "token"),
    ];
    for (changes, field, part) in table {
        let answer = team.post(&team.member, "/probes/new", &form_with(changes)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{changes:?}: {}", answer.text);
        let told = answer.text.split_once(&format!("id=\"wrong-{field}\">")).map(|(_, rest)| rest);
        let told = told.and_then(|rest| rest.split_once("</span>")).map_or("", |(told, _)| told);
        assert!(told.contains(part), "{changes:?}: “{told}”");
        assert!(answer.text.contains("value=\"Shop API\""), "{changes:?}: what was typed stays");
    }
    assert!(find(&team, "shop-api").await.is_none());
}

#[actix_web::test]
async fn what_is_typed_is_judged_while_it_is_typed() {
    let team = Team::gather().await;
    let check = |condition: &'static str| {
        let team = &team;
        async move {
            let fields = [("kind", "http"), ("condition", condition)];
            team.post(&team.member, "/probes/new/check", &fields).await.text
        }
    };
    assert!(check("status < 300").await.contains("It can be asked."));
    assert_eq!(check(" ").await.trim(), "");
    let wrong = check("status < 5m").await;
    assert!(wrong.contains("<mark>") && wrong.contains("at character"), "{wrong}");
    let words = team.post(&team.member, "/probes/new/words", &form_with(&[("bad", "3"), ("of", "5")])).await;
    assert_eq!(words.text, "Trouble that stays is known within at most 1 min 5 s.");
    let words = team.post(&team.member, "/probes/new/words", &form_with(&[("bad", "9"), ("of", "3")])).await;
    assert!(words.text.contains("no more bad ones than readings"), "{}", words.text);
    let typed = form_with(&[("target.headers", "X-Key: {{key}}\nX-Other: {{other}}"), ("secret.other", "")]);
    let asked = team.post(&team.member, "/probes/new/secrets", &typed).await.text;
    assert!(asked.contains("name=\"secret.key\"") && !asked.contains("secret.other"), "{asked}");
}

#[actix_web::test]
async fn secrets_are_kept_where_they_are_left_empty_and_never_shown_nor_sent_elsewhere() {
    let team = Team::gather().await;
    let header = ("target.headers", "Authorization: Bearer {{token}}");
    let made = form_with(&[header, ("secret.token", "s3cr3t-t0k3n")]);
    assert_eq!(team.post(&team.member, "/probes/new", &made).await.location, "/probes/shop-api");
    let secrets = || async {
        let probe = find(&team, "shop-api").await.unwrap();
        team.house.state.prober.probes.open(&probe).unwrap().0["token"].expose().to_owned()
    };
    assert_eq!(secrets().await, "s3cr3t-t0k3n");
    let form = team.get(&team.member, "/probes/shop-api/edit").await.text;
    assert!(form.contains("set; leave empty to keep it") && !form.contains("s3cr3t"), "{form}");
    let kept = form_with(&[header, ("name", "Shop"), ("secret.token", ""), ("probe", "shop-api")]);
    let edited = team.post(&team.member, "/probes/shop-api/edit", &kept).await;
    assert_eq!((edited.status, secrets().await.as_str()), (StatusCode::SEE_OTHER, "s3cr3t-t0k3n"));
    for act in ["save", "try"] {
        let elsewhere = form_with(&[
            header,
            ("target.url", "https://evil.example/"),
            ("secret.token", ""),
            ("probe", "shop-api"),
            ("act", act),
        ]);
        let refused = team.post(&team.member, "/probes/shop-api/edit", &elsewhere).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{act}");
        assert!(refused.text.contains("goes to another place now"), "{act}");
    }
    let database = [
        ("kind", "postgres"),
        ("target.url", "postgres://shop:hunter2secret@db.example/shop"),
        ("project", "default"),
        ("name", "Database"),
    ];
    assert_eq!(team.post(&team.member, "/probes/new", &database).await.location, "/probes/database");
    let probe = find(&team, "database").await.unwrap();
    assert!(!serde_json::to_string(&probe.definition).unwrap().contains("hunter2"));
    assert_eq!(team.house.state.prober.probes.open(&probe).unwrap().0["password"].expose(), "hunter2secret");
}

#[actix_web::test]
async fn whoever_saves_later_than_somebody_else_is_told() {
    let team = Team::gather().await;
    save(&team, draft("api")).await;
    let form = team.get(&team.member, "/probes/api/edit").await.text;
    let seen = between(&form, "name=\"seen\" value=\"", "\"").to_owned();
    let fields = form_with(&[("name", "Mine"), ("seen", &seen), ("probe", "api")]);
    assert_eq!(team.post(&team.member, "/probes/api/edit", &fields).await.status, StatusCode::SEE_OTHER);
    let late = form_with(&[("name", "Too late"), ("seen", &seen), ("probe", "api")]);
    let answer = team.post(&team.owner, "/probes/api/edit", &late).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("Somebody changed this probe meanwhile"));
    assert!(answer.text.contains("value=\"Too late\""), "what was typed stays");
    assert_eq!(find(&team, "api").await.unwrap().name, "Mine");
}

#[actix_web::test]
async fn roles_projects_files_and_this_machine_are_minded() {
    let team = Team::gather().await;
    save(&team, draft("api")).await;
    save(&team, Draft { owner: Owner::File, ..draft("filed") }).await;
    let disk = serde_json::json!({"kind": "disk"});
    let disk = Definition::of(serde_json::from_value(disk).unwrap());
    save(&team, Draft { definition: disk, ..draft("disk") }).await;
    let (no, ok, gone) = (StatusCode::FORBIDDEN, StatusCode::SEE_OTHER, StatusCode::NOT_FOUND);
    let table = [
        (&team.viewer, "/probes/api/pause", no),
        (&team.viewer, "/probes/api/edit", no),
        (&team.viewer, "/probes/new", no),
        (&team.viewer, "/probes/api/try", no),
        (&team.viewer, "/probes/api/remove", no),
        (&team.member, "/probes/nothing/pause", gone),
        (&team.member, "/probes/disk/remove", no),
        (&team.member, "/probes/disk/try", no),
        (&team.member, "/probes/disk/edit", no),
        (&team.member, "/probes/filed/edit", StatusCode::CONFLICT),
        (&team.member, "/probes/filed/remove", StatusCode::CONFLICT),
        (&team.member, "/probes/filed/pause", ok),
        (&team.member, "/probes/api/pause", ok),
        (&team.member, "/probes/api/remove", ok),
        (&team.owner, "/probes/disk/remove", ok),
    ];
    for (visitor, place, status) in table {
        let answer = team.post(visitor, place, &FORM).await;
        assert_eq!(answer.status, status, "{place}");
    }
    let own = [("kind", "disk"), ("project", "default"), ("name", "Root disk")];
    assert_eq!(team.post(&team.member, "/probes/new", &own).await.status, no);
    assert_eq!(
        team.post(&team.member, "/probes/new", &[own.as_slice(), &[("act", "try")]].concat()).await.status,
        no
    );
    let preset = [("preset", "slack"), ("project", "default"), ("name", "Slack"), ("token", "xoxb-1")];
    for act in ["save", "try"] {
        let fields = [preset.as_slice(), &[("act", act), ("sure", "1")]].concat();
        let refused = team.post(&team.viewer, "/probes/new", &fields).await;
        assert_eq!(refused.status, no, "{act}: {}", refused.text);
    }
    assert_eq!(team.post(&team.owner, "/probes/new", &own).await.location, "/probes/root-disk");
    let page = team.get(&team.member, "/probes/filed").await.text;
    assert!(page.contains("tocsin apply") && !page.contains("Edit</a>"), "{page}");
    let form = team.get(&team.member, "/probes/filed/edit").await.text;
    assert!(form.contains("<fieldset disabled>") && form.contains("tocsin apply"), "{form}");
    assert!(!form.contains("value=\"save\"") && !form.contains("value=\"try\""), "{form}");
    let hidden = team.project("Hidden").await;
    save(&team, Draft { project: hidden, ..draft("hidden") }).await;
    let outsider = team.house.user("out@shop.example", tocsin::accounts::Role::Member).await;
    let outsider = team.house.visitor(&outsider).await;
    let may = team.get(&outsider, "/probes/hidden").await.status;
    assert!(may == StatusCode::OK || may == gone);
    let unsigned = [("act", "pause"), ("id", "filed")];
    let forged = team.house.send(crate::pages::post(&team.member, "/probes", &unsigned)).await;
    assert_eq!(forged.status, no, "a form without its proof");
}

#[actix_web::test]
async fn a_pause_holds_until_its_end_and_many_are_paused_at_once() {
    let team = Team::gather().await;
    for key in ["one", "two", "three"] {
        save(&team, draft(key)).await;
    }
    let paused = team.post(&team.member, "/probes/one/pause", &[("lasts", "4h")]).await;
    assert_eq!(paused.location, "/probes/one");
    let until = find(&team, "one").await.unwrap().paused.unwrap().until;
    assert_eq!(until, Some(NOON + Duration::from_hours(4)));
    assert!(team.get(&team.viewer, "/probes/one").await.text.contains("Paused by"));
    for wrong in ["10", "999w", "0s"] {
        let refused = team.post(&team.member, "/probes/two/pause", &[("lasts", wrong)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let many = [("act", "pause"), ("id", "one"), ("id", "two")];
    assert_eq!(team.post(&team.member, "/probes", &many).await.location, "/probes");
    assert_eq!(find(&team, "one").await.unwrap().paused.unwrap().until, until, "its end stays");
    assert!(find(&team, "two").await.unwrap().paused.is_some());
    assert!(find(&team, "three").await.unwrap().paused.is_none());
    team.post(&team.member, "/probes", &[("act", "resume"), ("id", "one"), ("id", "two")]).await;
    assert!(find(&team, "two").await.unwrap().paused.is_none());
    for fields in [vec![("act", "pause")], vec![("act", "burn"), ("id", "one")]] {
        assert_eq!(team.post(&team.member, "/probes", &fields).await.status, StatusCode::BAD_REQUEST);
    }
}

#[actix_web::test]
async fn a_probe_in_trouble_stands_on_its_page_the_overview_and_its_incident() {
    let team = Team::gather().await;
    let api = save(&team, draft("api")).await;
    let child = save(&team, Draft { parents: vec!["api".to_owned()], ..draft("child") }).await;
    let grandchild = save(&team, Draft { parents: vec!["child".to_owned()], ..draft("grandchild") }).await;
    save(&team, draft("elsewhere")).await;
    serve(&team, "payment", &["api"]).await;
    becomes(&team, api, Status::Healthy, "").await;
    team.house.state.clock.advance(Duration::from_hours(2));
    becomes(&team, api, Status::Unhealthy, "status was 503, wanted < 300").await;
    for behind in [child, grandchild] {
        becomes(&team, behind, Status::Unreachable, "Probe api is down").await;
    }
    team.house.state.clock.advance(Duration::from_mins(30));
    let page = team.get(&team.viewer, "/probes/api").await.text;
    for said in [
        "status was 503, wanted &#60; 300",
        "80.00%",
        "30 min down",
        "<mark>HTTP/1.1 503</mark>",
        "&#60;script&#62;alert(1)",
        "Probe child",
        "Probe api is down",
        "href=\"/services/payment\">PAYMENT</a>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    assert!(!page.contains("<script>alert"));
    let asked_to_remove = team.get(&team.member, "/probes/api").await.text;
    assert!(asked_to_remove.contains("1 depend"), "removing says what depends on it");
    let overview = team.get(&team.viewer, "/").await.text;
    assert!(overview.contains("1 of 4 probes down") && overview.contains("/probes/api"), "{overview}");
    let service = between(&overview, "href=\"/services/payment\">", "</li>");
    assert!(service.starts_with("PAYMENT</a> <span class=\"state unknown\">unknown"), "{service}");
    let place = between(&page, "href=\"/incidents/", "\"");
    let incident = team.get(&team.viewer, &format!("/incidents/{place}")).await.text;
    for said in [
        "href=\"/probes/api\"",
        "GET https://shop.example/",
        "its last bad answer",
        "name lookup",
        "2 probes behind it are unreachable",
    ] {
        assert!(incident.contains(said), "{said}");
    }
    let behind = between(&incident, "href=\"/probes?status=unreachable", "\"").replace("&#38;", "&");
    let behind = team.get(&team.viewer, &format!("/probes?status=unreachable{behind}")).await.text;
    assert!(
        behind.contains("Only what depends on") && behind.contains("2 probes are unreachable"),
        "{behind}"
    );
    assert!(behind.contains("/probes/grandchild\"") && !behind.contains("/probes/elsewhere\""), "{behind}");
    let nothing = team.get(&team.viewer, "/probes?behind=nothing").await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    let list = team.get(&team.viewer, "/probes").await.text;
    let (first, second) = (list.find("/probes/api\"").unwrap(), list.find("/probes/child\"").unwrap());
    assert!(first < second, "the worst stands first");
}

#[actix_web::test]
async fn trying_shows_phases_conditions_and_the_answer_and_stores_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            let body = if request[..read].windows(5).any(|part| part == b"k3y-x") {
                r#"{"queue":{"depth":7},"echo":"k3y-x"}"#
            } else {
                "who are you"
            };
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let team =
        Team::with(|config| config.probes.private_targets = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let fields = form_with(&[
        ("target.url", &url),
        ("target.headers", "X-Key: {{key}}"),
        ("secret.key", "k3y-x"),
        ("condition", "status == 200"),
        ("condition", "body.queue.depth < 5"),
        ("act", "try"),
    ]);
    let page = team.post(&team.member, "/probes/new", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for said in [
        "connection",
        "holds",
        "body.queue.depth was 7, wanted &#60; 5",
        "HTTP/1.1 200",
        "[secret]",
        "Shop API",
    ] {
        assert!(page.text.contains(said), "{said}\n{}", page.text);
    }
    assert!(!page.text.contains("k3y-x"), "neither the field nor the answer shows it");
    assert!(find(&team, "shop-api").await.is_none(), "nothing is stored");
    let part = team.part(&team.member, "/probes/new", &fields).await;
    assert!(!part.text.contains("<html") && part.text.contains("body.queue.depth"), "{}", part.text);
    let made = form_with(&[("target.url", url.as_str())]);
    assert_eq!(team.post(&team.member, "/probes/new", &made).await.location, "/probes/shop-api");
    let again = team.part(&team.member, "/probes/shop-api/try", &[]).await;
    assert!(
        again.text.contains("who are you") && again.text.contains("Every condition holds"),
        "{}",
        again.text
    );
    assert_eq!(team.post(&team.member, "/probes/shop-api/try", &[]).await.location, "/probes/shop-api");
}

#[actix_web::test]
async fn trying_is_bounded_for_the_page_and_everybody_else_together() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let team =
        Team::with(|config| config.probes.private_targets = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let url = format!("http://{gone}/");
    let fields = form_with(&[("target.url", url.as_str()), ("act", "try")]);
    let first = team.part(&team.member, "/probes/new", &fields).await;
    assert!(first.text.contains("connection refused"), "{}", first.text);
    // Others ask through the API, which has no limit of its own.
    let target = serde_json::from_value(serde_json::json!({"kind": "http", "url": url})).unwrap();
    let checked = Definition::of(target).check(&Secrets::default()).unwrap();
    let prober = team.house.state.prober.clone();
    let mut tried = 1;
    while prober.try_now(&checked, Secrets::default(), Owner::File).await.is_ok() {
        tried += 1;
    }
    assert_eq!(tried, 60);
    let refused = team.part(&team.member, "/probes/new", &fields).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{}", refused.text);
    team.house.state.clock.advance(Duration::from_mins(1));
    assert_eq!(team.part(&team.member, "/probes/new", &fields).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn the_page_reaches_no_private_target() {
    let team = Team::gather().await;
    let private = form_with(&[("target.url", "http://10.0.0.7/health")]);
    let refused = team.post(&team.owner, "/probes/new", &private).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    let said = between(&refused.text, "id=\"wrong-target.url\">", "</span>");
    assert!(
        said.contains("`probes.private_targets`"),
        "an owner, too, opens it in the configuration: {said}"
    );
    for url in ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/"] {
        let fields = form_with(&[("target.url", url), ("act", "try")]);
        let tried = team.part(&team.member, "/probes/new", &fields).await;
        assert!(
            tried.text.contains("class=\"state bad\"") || tried.text.contains("mend"),
            "{url}: {}",
            tried.text
        );
        assert!(!tried.text.contains("connection refused"), "{url}");
    }
}

#[actix_web::test]
async fn a_preset_needs_a_key_and_asks_twice_about_one_that_looks_wrong() {
    let team = Team::gather().await;
    let form = team.get(&team.member, "/probes/new?preset=stripe").await.text;
    assert!(form.contains("Secret key") && !form.contains("base_url"), "{form}");
    let send = |fields: &'static [(&'static str, &'static str)]| {
        let team = &team;
        async move {
            let mut all = vec![("preset", "stripe"), ("project", "default"), ("name", "Stripe")];
            all.extend_from_slice(fields);
            team.post(&team.member, "/probes/new", &all).await
        }
    };
    let missing = send(&[("key", "")]).await;
    assert_eq!(missing.status, StatusCode::BAD_REQUEST);
    assert!(missing.text.contains("id=\"wrong-key\""), "{}", missing.text);
    let doubted = send(&[("key", "pk_live_wrong")]).await;
    assert!(doubted.text.contains("usually begins with") && !doubted.text.contains("pk_live_wrong"));
    assert!(find(&team, "stripe").await.is_none());
    assert_eq!(send(&[("key", "pk_live_wrong"), ("sure", "yes")]).await.location, "/probes/stripe");
    assert_eq!(send(&[("key", "sk_live_right")]).await.location, "/probes/stripe-2");
    let probe = find(&team, "stripe-2").await.unwrap();
    assert_eq!(team.house.state.prober.probes.open(&probe).unwrap().0["key"].expose(), "sk_live_right");
}

#[actix_web::test]
async fn a_pushed_probe_shows_its_address_once() {
    let team = Team::gather().await;
    let fields = [
        ("kind", "push"),
        ("project", "default"),
        ("name", "Nightly"),
        ("interval", "1d"),
        ("timeout", "1m"),
    ];
    let made = team.post(&team.member, "/probes/new", &fields).await;
    assert_eq!((made.status, made.cache.as_str()), (StatusCode::OK, "no-store"), "{}", made.text);
    let address = between(&made.text, "id=\"secret\">", "</code>").to_owned();
    assert!(address.contains("/api/push/") && made.text.contains("curl -fsS"));
    let page = team.get(&team.member, "/probes/nightly").await.text;
    let token = address.rsplit('/').next().unwrap();
    assert!(!page.contains(token) && page.contains("New address") && !page.contains("Try it now"));
    let renewed = team.post(&team.member, "/probes/nightly/token", &[]).await;
    assert_ne!(between(&renewed.text, "id=\"secret\">", "</code>"), address);
    let by_token = Secret::new(token);
    let found = move |tx: &ReadTx<'_>| tocsin::probes::find_by_token(tx, by_token.expose());
    assert!(team.house.state.store.read(found).await.unwrap().is_none(), "the old one is over");
}

#[actix_web::test]
async fn a_copy_begins_with_the_settings_of_another() {
    let team = Team::gather().await;
    save(&team, draft("api")).await;
    let form = team.get(&team.member, "/probes/new?copy=api").await;
    assert!(form.text.contains("value=\"Probe api (copy)\"") && form.text.contains("https://shop.example/"));
    let plot = team.get(&team.viewer, "/probes/api/plot?span=week").await;
    assert_eq!((plot.status, plot.text.starts_with('{')), (StatusCode::OK, true));
    for place in ["/probes/api/pause", "/probes/api/remove", "/probes/api/try"] {
        let by_hand: Answer = team.get(&team.member, place).await;
        assert_eq!(by_hand.location, "/probes/api", "{place}");
    }
}
