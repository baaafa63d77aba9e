use std::time::Duration;

use super::posts::{Impact, NewPost, PostChange, Stage};
use super::*;
use crate::accounts::By;
use crate::base::owned::Change;
use crate::base::{Entropy, ProjectId, Severity, Timestamp};
use crate::incidents::{Incidents, Policy, Signal, SignalKind, Source, queries};
use crate::store::{Options, Store, WriteTx};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

fn with_store(work: impl FnOnce(&WriteTx<'_>, &Entropy) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    store
        .write_now("test", move |tx| {
            tx.execute(
                "INSERT INTO projects (id, slug, name, created_at) VALUES (1, 'shop', 'Shop', 0)",
                [],
            )?;
            work(tx, &Entropy::seeded(1));
            Ok::<_, store::Error>(())
        })
        .unwrap();
    store.stop();
}

fn draft() -> Draft {
    let entry = |service: &str| Entry { service: service.to_owned(), title: None, latency: true };
    let section = |title: &str, services: &[&str]| Section {
        title: title.to_owned(),
        entries: services.iter().map(|service| entry(service)).collect(),
    };
    Draft {
        enabled: true,
        title: "Shop status".to_owned(),
        sections: vec![section("Shop", &["website", "payment"]), section("Inside", &["database"])],
        ..Draft::empty()
    }
}

fn save_by(tx: &WriteTx<'_>, entropy: &Entropy, draft: &Draft, owner: Owner) -> Result<Change, Error> {
    save(tx, &By::command_line(T0), entropy, draft, owner)
}

#[test]
fn the_page_is_found_as_it_was_saved_and_services_keep_their_badges() {
    with_store(|tx, entropy| {
        assert_eq!(find(tx).unwrap(), None);
        assert_eq!(save_by(tx, entropy, &draft(), Owner::Page).unwrap(), Change::Created);
        assert_eq!(save_by(tx, entropy, &draft(), Owner::Page).unwrap(), Change::Unchanged);
        let before = find(tx).unwrap().unwrap();
        assert_eq!(before.draft(), draft());
        let mut other = draft();
        other.sections.reverse();
        assert_eq!(save_by(tx, entropy, &other, Owner::Page).unwrap(), Change::Updated);
        let after = find(tx).unwrap().unwrap();
        let badge =
            |page: &Page| page.entries().find(|entry| entry.service == "payment").unwrap().badge.clone();
        assert_eq!(badge(&before), badge(&after));
        assert_eq!(badge(&after).len(), 22);
    });
}

#[test]
fn mistakes_are_refused_and_what_a_file_says_is_read_only() {
    with_store(|tx, entropy| {
        let mut twice = draft();
        twice.sections[1].entries[0].service = "payment".to_owned();
        let mut script = draft();
        script.settings.support_url = Some("javascript:alert(1)".to_owned());
        for (wrong, says) in [
            (Draft { title: String::new(), ..draft() }, "title"),
            (twice, "payment is shown twice"),
            (script, "support_url"),
        ] {
            let error = save_by(tx, entropy, &wrong, Owner::Page).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        save_by(tx, entropy, &draft(), Owner::File).unwrap();
        let page = save_by(tx, entropy, &Draft::empty(), Owner::Page);
        assert!(matches!(page, Err(Error::OwnedByFile)));
    });
}

fn shown(impact: Impact) -> [Shown; 1] {
    [Shown {
        service: "payment".to_owned(),
        title: "Payments".to_owned(),
        keys: vec!["probe:1".to_owned(), "service:1".to_owned()],
        impact,
        is_well: impact == Impact::None,
    }]
}

#[test]
fn an_incident_of_a_service_that_is_shown_is_told_once_and_to_its_end() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        let summary = "db-7.internal is down".to_owned();
        let signal = Signal { summary, observed_at: minutes(1), ..firing("probe:1") };
        let incident = incidents.raise(tx, minutes(1), &signal).unwrap().incident.unwrap();
        let run = |now, shown: &[Shown], publish| follow(tx, now, entropy, shown, publish).unwrap();
        assert_eq!(run(minutes(1), &shown(Impact::None), Publish::Automatically), Followed::default());
        assert!(is_due(tx, minutes(1), &shown(Impact::Major)).unwrap());
        assert_eq!(run(minutes(1), &shown(Impact::Major), Publish::Automatically).begun, 1);
        assert!(!is_due(tx, minutes(1), &shown(Impact::Major)).unwrap(), "once");
        let post = posts::list(tx, T0).unwrap().remove(0);
        assert_eq!((post.title.as_str(), post.published), ("Payments is not available", true));
        assert_eq!((post.began_at, post.stage), (T0, Stage::Investigating));
        assert!(!serde_json::to_string(&post).unwrap().contains("internal"), "strangers learn no names");
        incidents.acknowledge(tx, minutes(2), incident, "ann@example.org").unwrap();
        assert_eq!(run(minutes(2), &shown(Impact::Major), Publish::Automatically).told, 1);
        assert_eq!(run(minutes(2), &shown(Impact::Major), Publish::Automatically), Followed::default());
        let ok = Signal { kind: SignalKind::Ok, observed_at: minutes(5), ..signal };
        incidents.raise(tx, minutes(5), &ok).unwrap();
        incidents.expire(tx, minutes(60), 100).unwrap();
        assert_eq!(queries::find_live(tx, "probe:1").unwrap(), None);
        assert_eq!(run(minutes(60), &[], Publish::Automatically).told, 1);
        let post = posts::find(tx, post.id).unwrap().unwrap();
        assert_eq!((post.stage, post.resolved_at), (Stage::Resolved, Some(minutes(60))));
        let stages: Vec<_> = post.updates.iter().map(|update| update.stage.as_str()).collect();
        assert_eq!(stages, ["resolved", "identified", "investigating"]);
    });
}

fn firing(key: &str) -> Signal {
    Signal {
        project: Some(ProjectId(1)),
        service: None,
        key: key.to_owned(),
        source: Source::Probe,
        severity: Severity::High,
        summary: format!("{key} is down"),
        detail: serde_json::json!({}),
        first_bad_at: T0,
        observed_at: T0,
        kind: SignalKind::Firing,
    }
}

#[test]
fn however_many_are_told_a_new_incident_is_told_and_each_is_ended() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        let keys: Vec<String> = (1..=60).map(|n| format!("probe:{n}")).collect();
        let shown = [Shown { keys: keys.clone(), ..shown(Impact::Major)[0].clone() }];
        let run = |shown: &[Shown]| follow(tx, minutes(1), entropy, shown, Publish::Automatically).unwrap();
        // Apart, so that none joins another.
        for (nth, key) in keys.iter().enumerate() {
            let at = T0 + Duration::from_hours(nth as u64);
            let signal = Signal { first_bad_at: at, observed_at: at, ..firing(key) };
            incidents.raise(tx, at, &signal).unwrap();
        }
        let open = tx.one("SELECT count(*) FROM incidents", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(open, 60);
        assert_eq!((run(&shown).begun, run(&shown).begun, run(&shown).begun), (50, 10, 0));
        let last = queries::find_live(tx, "probe:60").unwrap().unwrap();
        incidents.acknowledge(tx, minutes(2), last, "ann@example.org").unwrap();
        assert_eq!(run(&shown).told, 1, "behind fifty that have nothing new");
    });
}

#[test]
fn a_post_that_was_taken_away_is_not_begun_anew() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        let incident = incidents.raise(tx, T0, &firing("probe:1")).unwrap().incident.unwrap();
        let run = || follow(tx, minutes(1), entropy, &shown(Impact::Major), Publish::Automatically).unwrap();
        assert_eq!(run().begun, 1);
        let post = posts::list(tx, T0).unwrap().remove(0);
        posts::remove(tx, &By::command_line(minutes(1)), post.id).unwrap();
        assert_eq!((posts::find(tx, post.id).unwrap(), posts::list(tx, T0).unwrap()), (None, Vec::new()));
        assert_eq!(run(), Followed::default());
        incidents.acknowledge(tx, minutes(2), incident, "ann@example.org").unwrap();
        assert_eq!(run(), Followed::default());
        let ok = Signal { kind: SignalKind::Ok, observed_at: minutes(5), ..firing("probe:1") };
        incidents.raise(tx, minutes(5), &ok).unwrap();
        incidents.expire(tx, minutes(60), 100).unwrap();
        run();
        assert_eq!(posts::list(tx, T0).unwrap(), Vec::new());
        assert_eq!(posts::purge(tx, minutes(90), 10).unwrap(), 1, "retention takes what is left of it");
    });
}

#[test]
fn a_post_is_written_changed_and_removed_by_hand() {
    with_store(|tx, entropy| {
        let by = By::command_line(T0);
        let new = NewPost {
            incident: None,
            title: "Slow answers".to_owned(),
            impact: Impact::Minor,
            services: vec!["payment".to_owned()],
            began_at: T0,
            published: false,
            stage: Stage::Investigating,
            text: "We look into it.".to_owned(),
        };
        let nothing = NewPost { text: " ".to_owned(), ..new.clone() };
        assert!(matches!(posts::create(tx, &by, entropy, &nothing), Err(Error::Invalid(_))));
        let id = posts::create(tx, &by, entropy, &new).unwrap();
        let change = PostChange {
            published: Some(true),
            update: Some((Stage::Resolved, "Mended.".to_owned())),
            ..PostChange::default()
        };
        posts::change(tx, &by, id, &change).unwrap();
        let post = posts::find(tx, id).unwrap().unwrap();
        assert_eq!((post.published, post.stage, post.updates.len()), (true, Stage::Resolved, 2));
        posts::remove(tx, &by, id).unwrap();
        assert!(matches!(posts::remove(tx, &by, id), Err(Error::NotFound)));
    });
}

/// Search and Checkout, each with a probe of its own.
fn two(search: Impact, checkout: Impact) -> [Shown; 2] {
    let one = |key: &str, title: &str, probe: &str, impact| Shown {
        service: key.to_owned(),
        title: title.to_owned(),
        keys: vec![probe.to_owned()],
        impact,
        is_well: impact == Impact::None,
    };
    [one("search", "Search", "probe:1", search), one("checkout", "Checkout", "probe:2", checkout)]
}

#[test]
fn a_post_goes_with_the_services_that_it_names() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        let raise = |key: &str, at: Timestamp| {
            let signal = Signal { first_bad_at: at, observed_at: at, ..firing(key) };
            incidents.raise(tx, at, &signal).unwrap();
        };
        let run = |now, shown: &[Shown]| follow(tx, now, entropy, shown, Publish::Automatically).unwrap();
        let post = || posts::list(tx, T0).unwrap().remove(0);
        // Something that is not shown began it.
        raise("probe:9", T0);
        raise("probe:1", minutes(1));
        assert_eq!(run(minutes(1), &two(Impact::Major, Impact::None)).begun, 1);
        assert_eq!(post().began_at, minutes(1), "when the service was lost");
        raise("probe:2", minutes(2));
        let both = two(Impact::Major, Impact::Critical);
        assert!(is_due(tx, minutes(2), &both).unwrap());
        assert_eq!(run(minutes(2), &both), Followed { begun: 0, told: 1 });
        assert_eq!(run(minutes(2), &both), Followed::default(), "once");
        let wider = post();
        assert_eq!(wider.services, ["search", "checkout"]);
        assert_eq!(
            (wider.title.as_str(), wider.impact),
            ("Search and Checkout are not available", Impact::Critical)
        );
        assert_eq!(run(minutes(3), &two(Impact::None, Impact::Critical)), Followed::default());
        // The incident goes on for what is not shown.
        assert_eq!(run(minutes(4), &two(Impact::None, Impact::None)).told, 1);
        assert_eq!((post().stage, post().resolved_at), (Stage::Resolved, Some(minutes(4))));
        assert_eq!(run(minutes(5), &both).told, 1);
        assert_eq!((post().stage, post().resolved_at), (Stage::Investigating, None), "bad again");
        assert_eq!(run(minutes(5), &both), Followed::default());
    });
}

#[test]
fn what_is_merely_unseen_is_not_said_to_work_again() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        incidents.raise(tx, T0, &firing("probe:1")).unwrap();
        let run = |shown: &[Shown]| follow(tx, minutes(1), entropy, shown, Publish::Automatically).unwrap();
        assert_eq!(run(&shown(Impact::Major)).begun, 1);
        let unseen = [Shown { is_well: false, ..shown(Impact::None)[0].clone() }];
        assert_eq!(run(&unseen), Followed::default());
    });
}

#[test]
fn a_post_of_services_that_are_not_shown_any_more_is_taken_from_sight() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        incidents.raise(tx, T0, &firing("probe:1")).unwrap();
        let run = |shown: &[Shown]| follow(tx, minutes(1), entropy, shown, Publish::Automatically).unwrap();
        assert_eq!(run(&two(Impact::Major, Impact::None)).begun, 1);
        assert_eq!(run(&two(Impact::Major, Impact::None)[1..]).told, 1);
        let post = posts::list(tx, T0).unwrap().remove(0);
        assert_eq!((post.stage, post.published), (Stage::Resolved, false));
        assert_eq!(run(&two(Impact::Major, Impact::None)[1..]), Followed::default());
    });
}

#[test]
fn what_somebody_said_of_an_outage_stays() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        incidents.raise(tx, T0, &firing("probe:1")).unwrap();
        let run = |shown: &[Shown]| follow(tx, minutes(1), entropy, shown, Publish::Automatically).unwrap();
        assert_eq!(run(&two(Impact::Major, Impact::None)).begun, 1);
        let post = posts::list(tx, T0).unwrap().remove(0);
        let said = PostChange {
            title: Some("Search takes a while".to_owned()),
            update: Some((Stage::Resolved, "Search works in another way.".to_owned())),
            ..PostChange::default()
        };
        posts::change(tx, &By::command_line(minutes(1)), post.id, &said).unwrap();
        assert_eq!(run(&two(Impact::Major, Impact::None)), Followed::default());
        assert_eq!(posts::find(tx, post.id).unwrap().unwrap().title, "Search takes a while");
    });
}

#[test]
fn a_title_names_what_is_down_and_the_text_what_is_degraded() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        for key in ["probe:1", "probe:2"] {
            incidents.raise(tx, minutes(1), &Signal { observed_at: minutes(1), ..firing(key) }).unwrap();
        }
        let run = |now, shown: &[Shown]| follow(tx, now, entropy, shown, Publish::Automatically).unwrap();
        let post = || posts::list(tx, T0).unwrap().remove(0);
        run(minutes(1), &two(Impact::Minor, Impact::Critical));
        assert_eq!(post().title, "Checkout is not available");
        assert_eq!(
            post().updates[0].text,
            "Checkout is not available. Search is degraded. We are looking into it."
        );
    });
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        let raise = |key: &str, at: Timestamp| {
            incidents.raise(tx, at, &Signal { first_bad_at: at, observed_at: at, ..firing(key) }).unwrap();
        };
        let run = |now, shown: &[Shown]| follow(tx, now, entropy, shown, Publish::Automatically).unwrap();
        let post = || posts::list(tx, T0).unwrap().remove(0);
        raise("probe:2", minutes(1));
        run(minutes(1), &two(Impact::None, Impact::Critical));
        raise("probe:1", minutes(2));
        run(minutes(2), &two(Impact::Minor, Impact::Critical));
        assert_eq!(post().title, "Checkout is not available");
        assert_eq!(post().updates[0].text, "Search is degraded. We are looking into it.");
        assert_eq!(post().services, ["checkout", "search"]);
    });
}

#[test]
fn a_post_follows_what_is_bad_by_now_and_not_each_time_it_changes() {
    with_store(|tx, entropy| {
        let incidents = Incidents { policy: Policy::default(), entropy: entropy.clone() };
        for key in ["probe:1", "probe:2"] {
            incidents.raise(tx, minutes(1), &Signal { observed_at: minutes(1), ..firing(key) }).unwrap();
        }
        let run = |now, shown: &[Shown]| follow(tx, now, entropy, shown, Publish::Automatically).unwrap();
        let post = || posts::list(tx, T0).unwrap().remove(0);
        run(minutes(1), &two(Impact::Major, Impact::Critical));
        assert_eq!(post().title, "Search and Checkout are not available");
        assert_eq!(post().updates[0].text, "Search and Checkout are not available. We are looking into it.");
        let one = two(Impact::None, Impact::Critical);
        assert_eq!(run(minutes(5), &one), Followed::default(), "it may come and go");
        assert!(is_due(tx, minutes(6), &one).unwrap());
        assert_eq!(run(minutes(6), &one).told, 1);
        assert_eq!((post().title.as_str(), post().impact), ("Checkout is not available", Impact::Critical));
        assert_eq!(post().updates[0].text, "Checkout is not available. Search works.");
        assert_eq!(run(minutes(20), &one), Followed::default(), "once");
        run(minutes(21), &two(Impact::Minor, Impact::None));
        assert_eq!(post().title, "Search is degraded");
        assert_eq!(post().services, ["search", "checkout"]);
        // Nobody sees it any more: nothing is known that could be said.
        let mut unseen = two(Impact::None, Impact::None);
        unseen[0].is_well = false;
        assert_eq!(run(minutes(40), &unseen), Followed::default());
    });
}
