use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::accounts::{By, Visible};
use crate::base::owned::Change;
use crate::base::seal::Sealer;
use crate::base::{Entropy, Timestamp};
use crate::incidents::maintenance::{self, Draft as Planned};
use crate::incidents::{Policy, queries as incidents};
use crate::probes;
use crate::store::{Options, Store, WriteTx, params};

const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
const SHOP: ProjectId = ProjectId(1);

fn minutes(n: u64) -> Timestamp {
    T0 + Duration::from_mins(n)
}

/// Runs `work` on a store with two projects, three probes and a heartbeat of the first, a probe of the second.
fn with_store(work: impl FnOnce(&WriteTx<'_>, &Services) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    store
        .write_now("test", move |tx| {
            for (id, slug) in [(1, "shop"), (2, "blog")] {
                tx.execute(
                    "INSERT INTO projects (id, slug, name, created_at) VALUES (?1, ?2, ?2, 0)",
                    params![id, slug],
                )?;
            }
            for (id, key, project) in [(1, "openai", 1), (2, "anthropic", 1), (3, "gemini", 1), (4, "blog", 2)] {
                add_probe(tx, id, key, project)?;
            }
            tx.execute(
                "INSERT INTO heartbeats (id, uid, ping_id, project_id, slug, name, definition, owner, created_at,
                     updated_at)
                 VALUES (1, randomblob(16), randomblob(16), 1, 'nightly', 'Nightly', '{}', 'page', 0, 0)",
                [],
            )?;
            tx.execute(
                "INSERT INTO heartbeat_states (heartbeat_id, project_id, status, rank, since) VALUES (1, 1, 'up', 3, 0)",
                [],
            )?;
            let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: Entropy::seeded(1) });
            let probes = Probes { incidents: Arc::clone(&incidents), sealer: Sealer::new(&[7; 32]) };
            work(tx, &Services { incidents, probes });
            Ok::<_, store::Error>(())
        })
        .unwrap();
    store.stop();
}

fn add_probe(tx: &WriteTx<'_>, id: i64, key: &str, project: i64) -> Result<(), store::Error> {
    let definition = r#"{"target":{"kind":"tcp","host":"example.org","port":1}}"#;
    tx.execute(
        "INSERT INTO probes (id, uid, project_id, key, name, kind, definition, owner, created_at, updated_at)
         VALUES (?1, randomblob(16), ?3, ?2, ?2, 'tcp', ?4, 'page', 0, 0)",
        params![id, key, project, definition],
    )?;
    tx.execute(
        "INSERT INTO probe_states (probe_id, project_id, status, rank, since) VALUES (?1, ?2, 'healthy', 5, 0)",
        params![id, project],
    )?;
    Ok(())
}

fn is(tx: &WriteTx<'_>, now: Timestamp, probe: i64, status: &str) {
    tx.execute(
        "UPDATE probe_states SET status = ?2, since = ?3 WHERE probe_id = ?1",
        params![probe, status, now.as_micros()],
    )
    .unwrap();
}

fn providers(needs: Needs) -> Draft {
    Draft {
        key: "ai_providers".to_owned(),
        project: SHOP,
        name: "AI providers".to_owned(),
        needs,
        critical: true,
        members: ["openai", "anthropic", "gemini"].map(str::to_owned).to_vec(),
        settings: Settings::default(),
        position: None,
        owner: Owner::Page,
    }
}

fn by(now: Timestamp) -> By {
    By::command_line(now)
}

fn save(tx: &WriteTx<'_>, services: &Services, draft: &Draft) -> Change {
    services.save(tx, &by(T0), draft).unwrap().1
}

fn keep(tx: &WriteTx<'_>, services: &Services, now: Timestamp) -> Kept {
    let covers = maintenance::covers(tx, now).unwrap();
    let due = services.is_due(tx, &covers).unwrap();
    let kept = services.keep(tx, now, &covers).unwrap();
    assert!(due || kept == Kept::default(), "the cheap question missed {kept:?}");
    assert!(!services.is_due(tx, &covers).unwrap(), "done is done");
    kept
}

fn status(tx: &WriteTx<'_>, key: &str) -> (ServiceStatus, String) {
    let service = queries::find(tx, &Visible::All, key).unwrap().unwrap();
    (service.status, service.reason)
}

fn fires(tx: &WriteTx<'_>) -> bool {
    !incidents::firing_keys(tx, crate::incidents::Source::Service, "").unwrap().is_empty()
}

fn grouped(tx: &WriteTx<'_>) -> Vec<bool> {
    let mut all =
        tx.all("SELECT grouped FROM probes WHERE project_id = 1 ORDER BY id", [], |row| row.get(0)).unwrap();
    all.push(tx.one("SELECT grouped FROM heartbeats", [], |row| row.get(0)).unwrap());
    all
}

#[test]
fn what_is_saved_is_found_and_saved_again_changes_nothing() {
    with_store(|tx, services| {
        let mut draft = providers(Needs::Quorum(2));
        draft.members.push("shop/nightly".to_owned());
        assert_eq!(save(tx, services, &draft), Change::Created);
        assert_eq!(save(tx, services, &draft), Change::Unchanged);
        let found = queries::find(tx, &Visible::All, "ai_providers").unwrap().unwrap();
        let keys: Vec<_> = found.members.iter().map(|member| member.key.as_str()).collect();
        assert_eq!(keys, ["openai", "anthropic", "gemini", "shop/nightly"]);
        assert_eq!((found.needs, found.position, found.project_slug.as_str()), (Needs::Quorum(2), 1, "shop"));
        assert!(queries::find(tx, &Visible::Only(vec![ProjectId(2)]), "ai_providers").unwrap().is_none());
        draft.members.swap(0, 1);
        assert_eq!(save(tx, services, &draft), Change::Updated);
        assert_eq!(queries::list(tx, &Visible::All).unwrap().len(), 1);
    });
}

#[test]
fn mistakes_are_refused_with_their_field() {
    with_store(|tx, services| {
        let with = |members: &[&str]| Draft {
            members: members.iter().map(|name| (*name).to_owned()).collect(),
            ..providers(Needs::Any)
        };
        for (draft, says) in [
            (Draft { key: "detailed".to_owned(), ..providers(Needs::Any) }, "key"),
            (Draft { key: "A".to_owned(), ..providers(Needs::Any) }, "key"),
            (Draft { name: String::new(), ..providers(Needs::Any) }, "name"),
            (with(&["nobody"]), "no probe “nobody”"),
            (with(&["shop/weekly"]), "no heartbeat “shop/weekly”"),
            (with(&["blog"]), "“blog” belongs to another project"),
            (providers(Needs::Quorum(4)), "quorum is 1 to the number of members, which is 3"),
            (providers(Needs::Quorum(0)), "quorum"),
            (Draft { project: ProjectId(9), ..providers(Needs::Any) }, "no such project"),
        ] {
            let error = services.save(tx, &by(T0), &draft).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    });
}

#[test]
fn what_a_file_says_is_read_only_on_the_page() {
    with_store(|tx, services| {
        save(tx, services, &Draft { owner: Owner::File, ..providers(Needs::Any) });
        let page = services.save(tx, &by(T0), &providers(Needs::All));
        assert!(matches!(page, Err(Error::OwnedByFile(_))));
        let removed = services.remove(tx, &by(T0), "ai_providers", Owner::Page);
        assert!(matches!(removed, Err(Error::OwnedByFile(_))));
        services.remove(tx, &by(T0), "ai_providers", Owner::File).unwrap();
    });
}

#[test]
fn members_ring_for_themselves_unless_only_some_of_them_are_needed() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::Any));
        assert_eq!(grouped(tx), [true, true, true, false]);
        let mut fewer = providers(Needs::Any);
        fewer.members = vec!["openai".to_owned(), "shop/nightly".to_owned()];
        save(tx, services, &fewer);
        assert_eq!(grouped(tx), [true, false, false, true]);
        let all =
            Draft { key: "core".to_owned(), members: vec!["openai".to_owned()], ..providers(Needs::All) };
        save(tx, services, &all);
        assert_eq!(grouped(tx), [false, false, false, true], "core needs it");
        services.remove(tx, &by(T0), "core", Owner::Page).unwrap();
        assert_eq!(grouped(tx), [true, false, false, true]);
        services.remove(tx, &by(T0), "ai_providers", Owner::Page).unwrap();
        assert_eq!(grouped(tx), [false, false, false, false]);
    });
}

#[test]
fn a_probe_that_moves_to_another_project_leaves_the_services_of_the_first() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::Any));
        let known = probes::queries::find(tx, &Visible::All, "openai").unwrap().unwrap();
        let moved = probes::Draft {
            key: known.key,
            name: known.name,
            project: ProjectId(2),
            definition: known.definition,
            secrets: probes::Secrets::default(),
            parents: Vec::new(),
            owner: Owner::Page,
        };
        services.probes.save(tx, &by(T0), &moved).unwrap();
        let service = queries::find(tx, &Visible::All, "ai_providers").unwrap().unwrap();
        let keys: Vec<&str> = service.members.iter().map(|member| member.key.as_str()).collect();
        assert_eq!(keys, ["anthropic", "gemini"], "nobody of the first project reads of it");
        let grouped = "SELECT grouped FROM probes WHERE id = 1";
        assert!(!tx.one(grouped, [], |row| row.get::<_, bool>(0)).unwrap(), "it rings for itself there");
        keep(tx, services, minutes(1));
        // When it comes back it is a member only if somebody says so.
        services.probes.save(tx, &by(T0), &probes::Draft { project: SHOP, ..moved }).unwrap();
        let service = queries::find(tx, &Visible::All, "ai_providers").unwrap().unwrap();
        assert_eq!(service.members.len(), 2);
    });
}

#[test]
fn one_provider_is_enough_and_when_the_last_is_lost_it_rings_once_and_ends() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::Any));
        assert_eq!(keep(tx, services, T0).changed, 1);
        is(tx, minutes(1), 1, "unhealthy");
        is(tx, minutes(2), 2, "unhealthy");
        assert_eq!(keep(tx, services, minutes(2)), Kept::default());
        let note = "1 of 3 well: openai is down; anthropic is down";
        assert_eq!(status(tx, "ai_providers"), (ServiceStatus::Healthy, note.to_owned()));
        is(tx, minutes(3), 3, "unhealthy");
        assert_eq!(keep(tx, services, minutes(4)), Kept { changed: 1, rung: 1 });
        let incident = incidents::find_live(tx, "service:1").unwrap().unwrap();
        let view = incidents::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.severity, Severity::Critical);
        assert_eq!(view.impact_started_at, minutes(3), "when the last one was lost");
        assert!(view.summary.starts_with("AI providers is down: 0 of 3 well, 1 needed"), "{}", view.summary);
        assert_eq!(keep(tx, services, minutes(5)), Kept::default(), "once");
        is(tx, minutes(6), 2, "healthy");
        assert_eq!(keep(tx, services, minutes(6)), Kept { changed: 1, rung: 1 });
        services.incidents.expire(tx, minutes(60), 100).unwrap();
        assert_eq!(incidents::find_live(tx, "service:1").unwrap(), None);
        let changes = queries::changes(tx, ServiceId(1), T0).unwrap();
        let statuses: Vec<_> = changes.iter().map(|change| change.status.as_str()).collect();
        assert_eq!(statuses, ["healthy", "unhealthy", "healthy"]);
    });
}

#[test]
fn a_service_that_needs_all_rings_through_its_members_and_one_that_is_gone_not_at_all() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::Any));
        for probe in 1..=3 {
            is(tx, T0, probe, "unhealthy");
        }
        assert_eq!(keep(tx, services, T0).rung, 1);
        save(tx, services, &providers(Needs::All));
        assert_eq!(keep(tx, services, minutes(1)).rung, 1);
        assert!(!fires(tx));
        assert_eq!(status(tx, "ai_providers").0, ServiceStatus::Unhealthy);
        save(tx, services, &providers(Needs::Any));
        assert_eq!(keep(tx, services, minutes(2)).rung, 1);
        services.remove(tx, &by(minutes(3)), "ai_providers", Owner::Page).unwrap();
        assert!(!fires(tx));
        assert_eq!(keep(tx, services, minutes(3)), Kept::default());
    });
}

#[test]
fn planned_work_covers_members_and_services_and_nothing_rings() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::Any));
        let core = Draft {
            key: "jobs".to_owned(),
            members: vec!["shop/nightly".to_owned()],
            ..providers(Needs::All)
        };
        save(tx, services, &core);
        let planned = Planned {
            key: "move".to_owned(),
            project: Some(SHOP),
            subjects: vec!["probe:*".to_owned(), "service:2".to_owned()],
            title: "Moving house".to_owned(),
            message: String::new(),
            is_public: true,
            starts_at: minutes(10),
            ends_at: None,
            duration_s: 600,
            schedule: None,
            time_zone: "UTC".to_owned(),
            owner: Owner::Page,
        };
        services.incidents.save_maintenance(tx, minutes(10), &planned, "ann").unwrap();
        for probe in 1..=3 {
            is(tx, minutes(10), probe, "unhealthy");
        }
        assert_eq!(keep(tx, services, minutes(10)), Kept { changed: 2, rung: 0 });
        assert_eq!(status(tx, "ai_providers").0, ServiceStatus::Maintenance);
        assert_eq!(status(tx, "jobs"), (ServiceStatus::Maintenance, "Moving house".to_owned()));
        assert_eq!(keep(tx, services, minutes(20)), Kept { changed: 2, rung: 1 }, "over, and still down");
        let changes = queries::changes(tx, ServiceId(1), minutes(20)).unwrap();
        assert_eq!(changes[0].at, minutes(20), "planned work is over when it is");
    });
}

/// When a service of these needs became how, its probes having changed and been looked at in these minutes.
fn history(needs: Needs, steps: &'static [(u64, i64, &'static str, u64)]) -> Vec<(&'static str, Timestamp)> {
    let (told, came) = std::sync::mpsc::channel();
    with_store(move |tx, services| {
        save(tx, services, &providers(needs));
        keep(tx, services, T0);
        for (since, probe, status, seen) in steps {
            is(tx, minutes(*since), *probe, status);
            keep(tx, services, minutes(*seen));
        }
        let changes = queries::changes(tx, ServiceId(1), T0).unwrap();
        told.send(changes.into_iter().map(|one| (one.status.as_str(), one.at)).collect()).unwrap();
    });
    came.recv().unwrap()
}

#[test]
fn a_service_is_dated_as_its_members_are() {
    let all = history(
        Needs::All,
        &[(3, 1, "unhealthy", 5), (4, 2, "unhealthy", 5), (7, 1, "healthy", 8), (9, 2, "healthy", 10)],
    );
    assert_eq!(all, [("healthy", T0), ("unhealthy", minutes(3)), ("healthy", minutes(9))]);
    let any =
        history(Needs::Quorum(2), &[(3, 1, "unhealthy", 5), (4, 2, "unhealthy", 6), (7, 1, "healthy", 8)]);
    assert_eq!(any, [("healthy", T0), ("unhealthy", minutes(4)), ("healthy", minutes(7))]);
    let back = history(Needs::All, &[(3, 1, "unhealthy", 5), (6, 1, "healthy", 7), (4, 1, "unhealthy", 9)]);
    assert_eq!(back[3], ("unhealthy", minutes(6)), "not before the last change");
}

#[test]
fn what_a_service_is_made_of_does_not_change_its_past() {
    with_store(|tx, services| {
        let mut core = Draft { members: vec!["openai".to_owned()], ..providers(Needs::All) };
        save(tx, services, &core);
        keep(tx, services, T0);
        is(tx, minutes(1), 2, "unhealthy");
        core.members.push("anthropic".to_owned());
        services.save(tx, &by(minutes(30)), &core).unwrap();
        keep(tx, services, minutes(31));
        let last = queries::changes(tx, ServiceId(1), T0).unwrap().pop().unwrap();
        assert_eq!((last.status, last.at), (ServiceStatus::Unhealthy, minutes(30)));
    });
}

#[test]
fn a_heartbeat_counts_as_a_probe_does() {
    let counts =
        crate::heartbeats::Status::ALL.map(|status| (status.as_str(), probes::Status::from(status).as_str()));
    let expected = [
        ("down", "unhealthy"),
        ("late", "healthy"),
        ("new", "unknown"),
        ("up", "healthy"),
        ("paused", "paused"),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn a_probe_that_is_removed_leaves_its_services() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::All));
        is(tx, T0, 1, "unhealthy");
        keep(tx, services, T0);
        tx.execute("DELETE FROM probes WHERE id = 1", []).unwrap();
        assert_eq!(keep(tx, services, minutes(1)).changed, 1);
        assert_eq!(status(tx, "ai_providers").0, ServiceStatus::Healthy);
    });
}

#[test]
fn history_goes_with_its_age_but_how_it_is_stays() {
    with_store(|tx, services| {
        save(tx, services, &providers(Needs::All));
        for (minute, word) in (0..10).zip(["healthy", "unhealthy"].into_iter().cycle()) {
            is(tx, minutes(minute), 1, word);
            keep(tx, services, minutes(minute));
        }
        assert_eq!(purge(tx, minutes(100), 1_000).unwrap(), 9);
        assert_eq!(queries::changes(tx, ServiceId(1), minutes(100)).unwrap().len(), 1);
    });
}

#[test]
fn only_what_somebody_measures_has_a_latency() {
    with_store(|tx, services| {
        save(tx, services, &Draft { members: vec!["openai".to_owned()], ..providers(Needs::All) });
        tx.execute("UPDATE probe_states SET latency_us = 1500", []).unwrap();
        let latency = |tx: &WriteTx<'_>| {
            let covers = maintenance::covers(tx, T0).unwrap();
            let snapshot = Snapshot::read(tx, T0, &covers, &probes::Board::default()).unwrap();
            snapshot.find("ai_providers").unwrap().latency_ms()
        };
        assert_eq!(latency(tx), Some(1.5));
        // Nobody waited for what was reported.
        tx.execute("UPDATE probes SET kind = 'push'", []).unwrap();
        assert_eq!(latency(tx), None);
    });
}

#[test]
fn what_is_named_by_a_number_is_named_by_all_of_it() {
    with_store(|tx, _| {
        let named = |name: &str, visible: &Visible| resolve(tx, visible, SHOP, name);
        assert_eq!(named("probe:1", &Visible::All).unwrap(), "probe:1");
        assert_eq!(named("heartbeat:1", &Visible::All).unwrap(), "heartbeat:1");
        for name in ["probe:1abc", "probe:+1", "probe: 1", "probe:1.0", "probe:", "probe:-1"] {
            assert!(matches!(named(name, &Visible::All), Err(Error::UnknownProbe(_))), "{name}");
        }
        assert!(matches!(named("heartbeat:1x", &Visible::All), Err(Error::UnknownHeartbeat(_))));
        assert!(matches!(named("blog", &Visible::All), Err(Error::OtherProject(_))));
        assert!(matches!(named("blog", &Visible::Only(vec![SHOP])), Err(Error::UnknownProbe(_))));
        assert!(matches!(named("probe:4", &Visible::Only(vec![SHOP])), Err(Error::UnknownProbe(_))));
    });
}
