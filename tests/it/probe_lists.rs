//! The list of probes and the plot of one: what they show and find, that they stay small and quick, and what stands in
//! the list that is not understood.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use tocsin::accounts::By;
use tocsin::probes::judge::Reading;
use tocsin::probes::points::{self, Point};
use tocsin::probes::seen::Phases;
use tocsin::probes::{Definition, Draft, Error, Status};
use tocsin::store::WriteTx;
use tocsin::vigil::{self, Blindness, Spell};

use crate::pages::{NOON, get};
use crate::people::{Team, between};
use crate::probe_pages::{becomes, draft, http, save};

#[actix_web::test]
async fn an_open_list_gets_only_the_lines_that_changed() {
    let team = Team::gather().await;
    let (one, _) = (save(&team, draft("one")).await, save(&team, draft("two")).await);
    let list = team.get(&team.viewer, "/probes").await.text;
    let shown: Vec<&str> =
        list.split("data-shown=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0).collect();
    let again = format!("/probes/new/rows?shown={}", shown.join(","));
    let unchanged = team.get(&team.viewer, &again).await.text;
    assert!(!unchanged.contains("<tr"), "{unchanged}");
    becomes(&team, one, Status::Unhealthy, "connection refused").await;
    let changed = team.get(&team.viewer, &again).await.text;
    assert!(changed.contains("connection refused") && !changed.contains("Probe two"), "{changed}");
    assert!(changed.contains("Unhealthy"), "the tabs count anew");
}

#[actix_web::test]
async fn the_list_draws_the_latency_of_the_last_hours() {
    let team = Team::gather().await;
    let (seen, unseen) = (save(&team, draft("seen")).await, save(&team, draft("unseen")).await);
    let point = |minutes: u64, reading: Reading, millis: u64| Point {
        at: NOON - Duration::from_mins(minutes),
        reading,
        phases: Phases { total: Duration::from_millis(millis), ..Phases::default() },
    };
    let of_now = [point(90, Reading::Good, 100), point(60, Reading::Bad, 1), point(1, Reading::Slow, 400)];
    let of_old = [point(60 * 5, Reading::Good, 100)];
    let write = move |tx: &WriteTx<'_>| {
        points::append(tx, seen, &of_now)?;
        points::append(tx, unseen, &of_old)
    };
    team.house.state.store.write("points", write).await.unwrap();
    let list = team.get(&team.viewer, "/probes").await.text;
    assert_eq!(list.matches("class=\"spark curve\"").count(), 1, "{list}");
    assert!(list.contains(" in the last 3 hours, 1 answer bad"), "{list}");
}

#[actix_web::test]
async fn lists_are_filtered_by_tab_kind_text_and_label() {
    let team = Team::gather().await;
    let mut labelled = draft("paid");
    labelled.definition.labels.insert("team".to_owned(), "pay & ship".to_owned());
    save(&team, labelled).await;
    let redis = serde_json::json!({"kind": "redis", "url": "redis://cache.example"});
    let redis = Definition::of(serde_json::from_value(redis).unwrap());
    let cache = save(&team, Draft { definition: redis, ..draft("cache") }).await;
    becomes(&team, cache, Status::Degraded, "took 20ms, more than 10ms").await;
    let table = [
        ("/probes?kind=redis", "Probe cache", "Probe paid"),
        ("/probes?status=degraded", "Probe cache", "Probe paid"),
        ("/probes?status=unknown", "Probe paid", "Probe cache"),
        ("/probes?query=CACHE.example", "Probe cache", "Probe paid"),
        ("/probes?label=team%3Dpay+%26+ship", "Probe paid", "Probe cache"),
        ("/probes?query=nothing", "Nothing matches", "Probe paid"),
        ("/probes?status=healthy", "None", "Probe paid"),
    ];
    for (place, shown, hidden) in table {
        let list = team.get(&team.viewer, place).await;
        assert_eq!(list.status, StatusCode::OK, "{place}");
        assert!(list.text.contains(shown) && !list.text.contains(hidden), "{place}");
    }
    let nowhere = team.get(&team.viewer, "/probes?project=nowhere").await;
    assert_eq!(nowhere.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn five_thousand_probes_are_a_small_page_at_once() {
    let team = Team::gather().await;
    let probes = team.house.state.prober.probes.clone();
    for hundred in 0..50 {
        let probes = probes.clone();
        let fill = move |tx: &WriteTx<'_>| {
            for number in 0..100 {
                let url =
                    format!("https://shop-{hundred}.example/a/rather/long/path/{number}?with=a&query=too");
                let definition = Definition { conditions: vec!["status < 300".to_owned()], ..http(&url) };
                let draft = Draft { definition, ..draft(&format!("probe-{hundred}-{number}")) };
                probes.save(tx, &By::tocsin(NOON), &draft)?;
            }
            Ok::<_, Error>(())
        };
        team.house.state.store.write("fill", fill).await.unwrap();
    }
    // In a debug build with its routes set up anew; the bench measures the real one.
    let fastest = async |place: &str| {
        let (mut fastest, mut page) = (Duration::MAX, String::new());
        for _ in 0..5 {
            let began = Instant::now();
            page = team.house.send(get(&team.member, place)).await.text;
            fastest = fastest.min(began.elapsed());
        }
        println!("{place}: {} bytes in {fastest:?}", page.len());
        assert!(page.len() < 100_000 && fastest < Duration::from_millis(300), "{place}: {fastest:?}");
        page
    };
    let page = fastest("/probes").await;
    assert!(page.contains("5,000 probes") && page.contains("Next 50"));
    // Whatever is asked for, also where nothing is found: then every one was looked at.
    for (place, shown) in [
        ("/probes?status=unknown&kind=http&project=default", "5,000 probes"),
        ("/probes?query=path%2F99%3F", "50 probes"),
        ("/probes?query=nothing-like-it", "Nothing matches"),
        ("/probes?label=team%3Dnone", "Nothing matches"),
        ("/", "5,000"),
    ] {
        let page = fastest(place).await;
        assert!(page.contains(shown), "{place}: {page}");
    }
    let next = between(&page, "<a class=\"btn\" href=\"/probes?after=", "\"").to_owned();
    let second = team.get(&team.member, &format!("/probes?after={next}")).await.text;
    assert!(second.contains("First page") && second.matches("data-shown").count() == 50);
}

#[actix_web::test]
async fn what_a_newer_version_wrote_has_a_page_that_says_so_and_can_be_paused_and_deleted() {
    let team = Team::gather().await;
    for (key, kind) in [("later", "quantum"), ("fuller", "http")] {
        save(&team, draft(key)).await;
        let definition =
            format!(r#"{{"target":{{"kind":"{kind}","url":"https://a.example/","mood":"calm"}}}}"#);
        let write = move |tx: &WriteTx<'_>| {
            tx.execute(
                "UPDATE probes SET kind = ?2, definition = ?3 WHERE key = ?1",
                [key, kind, &definition],
            )
        };
        team.house.state.store.write("newer", write).await.unwrap();
        let place = format!("/probes/{key}");
        let page = team.get(&team.owner, &place).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        for said in [
            &format!("Probe {key}"),
            "A newer version of tocsin wrote this probe",
            "Upgrade",
            kind,
            "/remove",
        ] {
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        let viewed = team.get(&team.viewer, &place).await;
        assert!(viewed.status == StatusCode::OK && !viewed.text.contains("/pause"), "{}", viewed.text);
        for rest in ["edit", "plot"] {
            let refused = team.get(&team.owner, &format!("{place}/{rest}")).await;
            assert!(
                refused.status == StatusCode::CONFLICT && refused.text.contains("upgrade again"),
                "{}",
                refused.text
            );
        }
        assert_eq!(team.post(&team.member, &format!("{place}/pause"), &[]).await.location, place);
        assert!(team.get(&team.owner, &place).await.text.contains("Paused by"));
        assert_eq!(team.post(&team.member, &format!("{place}/resume"), &[]).await.location, place);
        // What it looks at is not known: it may be this machine.
        let by_member = team.post(&team.member, &format!("{place}/remove"), &[]).await;
        let strange = kind == "quantum";
        assert_eq!(by_member.status == StatusCode::FORBIDDEN, strange, "{}", by_member.text);
        if strange {
            assert_eq!(team.post(&team.owner, &format!("{place}/remove"), &[]).await.location, "/probes");
        }
        assert_eq!(team.get(&team.owner, &place).await.status, StatusCode::NOT_FOUND);
    }
}

#[actix_web::test]
async fn time_in_which_nobody_could_look_is_drawn_and_told_as_its_own() {
    let team = Team::gather().await;
    let id = save(&team, draft("api")).await;
    becomes(&team, id, Status::Healthy, "").await;
    let began = team.house.state.clock.now();
    let slept = Duration::from_mins(90);
    let write = move |tx: &WriteTx<'_>| {
        let (reason, detail) = (Blindness::Down, String::new());
        vigil::note(tx, &Spell { reason, began_at: began, ended_at: Some(began + slept), detail })
    };
    team.house.state.store.write("test", write).await.map_err(|error: tocsin::store::Error| error).unwrap();
    team.house.state.clock.advance(slept + Duration::from_mins(30));
    let plot = team.get(&team.viewer, "/probes/api/plot?span=day").await;
    let plot: serde_json::Value = serde_json::from_str(&plot.text).unwrap();
    let of = |name: &str| plot[name].as_array().unwrap().iter().filter(|mark| **mark == true).count();
    assert_eq!((of("blind"), of("bad")), (30, 0), "90 minutes of three each: {plot}");
    let page = team.get(&team.viewer, "/probes/api").await.text;
    assert!(page.contains("not seen, and not counted as down"), "{page}");
    assert!(page.contains(", not seen for 1 h 30 min</title>"), "{page}");
    assert!(page.contains("<th class=\"num\">Not seen</th>"), "{page}");
}

#[actix_web::test]
async fn a_list_says_what_there_is_before_it_asks_what_is_looked_for() {
    let team = Team::gather().await;
    save(&team, draft("api")).await;
    for place in ["/probes", "/heartbeats", "/issues", "/audit", "/probes/new"] {
        let page = team.get(&team.owner, place).await.text;
        let (heading, search) = (page.find("<h1"), page.find("class=\"search\""));
        assert!(heading.is_some() && heading < search, "{place}: {page}");
    }
}
