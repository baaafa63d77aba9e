use std::time::Duration;

use serde_json::json;

use super::queries::{
    Filter, all, changes_since, children, count, count_unreachable, counts, find, free_key, lines, list,
    parents, samples,
};
use super::*;
use crate::accounts::Visible;
use crate::store::plans::plans_of;

fn keys(bed: &Bed, filter: &Filter) -> Vec<String> {
    let (mut found, mut filter) = (Vec::new(), filter.clone());
    loop {
        let page = bed.read(|tx| list(tx, &filter));
        found.extend(page.items.into_iter().map(|line| line.key));
        let Some(next) = page.next else { return found };
        filter.after = Some(next);
    }
}

#[test]
fn a_list_puts_first_what_needs_somebody_and_goes_on_where_it_ended() {
    let bed = Bed::new();
    for (name, project) in [("delta", SHOP), ("Alpha", SHOP), ("charlie", BLOG), ("bravo", SHOP)] {
        let wanted = Draft { name: name.to_owned(), project, ..draft(&name.to_lowercase()) };
        bed.save(&wanted).unwrap();
    }
    bed.write(|_, tx| Ok(record::change_status(tx, ProbeId(3), T0, Status::Unhealthy, "status was 503")?))
        .unwrap();
    let all = Filter { limit: 1, ..Filter::all(Visible::All) };
    assert_eq!(keys(&bed, &all), ["charlie", "alpha", "bravo", "delta"]);
    let only = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::all(Visible::All);
        change(&mut filter);
        let found = keys(&bed, &filter);
        assert_eq!(bed.read(|tx| count(tx, &filter)), u32::try_from(found.len()).unwrap());
        found
    };
    assert_eq!(only(&|filter| filter.visible = Visible::Only(vec![BLOG])), ["charlie"]);
    assert_eq!(only(&|filter| filter.visible = Visible::Only(vec![])), Vec::<String>::new());
    assert_eq!(only(&|filter| filter.project = Some(SHOP)), ["alpha", "bravo", "delta"]);
    assert_eq!(only(&|filter| filter.status = vec![Status::Unhealthy, Status::Degraded]), ["charlie"]);
    assert_eq!(only(&|filter| filter.text = Some("BRAVO.example".to_owned())), ["bravo"]);
    assert_eq!(only(&|filter| filter.kind = Some(Kind::Tls)), Vec::<String>::new());
    let counted = bed.read(|tx| counts(tx, &Visible::All, None));
    assert_eq!((counted.unhealthy, counted.unknown, counted.total()), (1, 3, 4));
}

#[test]
fn what_a_newer_version_wrote_is_listed_by_name_and_hides_no_other() {
    let bed = Bed::new();
    for name in ["alpha", "bravo"] {
        bed.save(&draft(name)).unwrap();
    }
    let newer = r#"UPDATE probes SET definition = '{"target":{"kind":"quantum"}}' WHERE key = 'alpha'"#;
    bed.write(|_, tx| Ok(tx.execute(newer, []).map(drop)?)).unwrap();
    let found = bed.read(|tx| list(tx, &Filter::all(Visible::All))).items;
    let shown: Vec<_> = found.iter().map(|line| (line.name.as_str(), line.definition.is_some())).collect();
    assert_eq!(shown, [(found[0].name.as_str(), false), (found[1].name.as_str(), true)]);
    assert!(found[0].reason.contains("cannot read it") && found[0].reason.contains("Upgrade again"));
    let (probes, unreadable) = bed.read(|tx| all(tx, ProbeId(0), 10));
    let keys: Vec<_> = probes.iter().map(|probe| probe.key.as_str()).collect();
    assert_eq!((keys, unreadable.len(), unreadable[0].key.as_str()), (vec!["bravo"], 1, "alpha"));
}

#[test]
fn what_a_newer_version_wrote_is_told_apart_paused_and_removed() {
    let written = [
        (r#"{"target":{"kind":"quantum","qubits":3}}"#, "quantum"),
        (r#"{"target":{"kind":"tcp","host":"db","port":1},"mood":"calm"}"#, "tcp"),
    ];
    for (definition, kind) in written {
        let bed = Bed::new();
        let id = bed.save(&draft("api")).unwrap().id();
        bed.save(&Draft { parents: vec!["api".to_owned()], ..draft("child") }).unwrap();
        bed.write(move |probes, tx| {
            record::change_status(tx, id, T0, Status::Unhealthy, "status was 503")?;
            ring::level(tx, &probes.incidents, T0, id)?;
            tx.execute("UPDATE probes SET definition = ?1, kind = ?2 WHERE id = 1", [definition, kind])?;
            Ok(record::give_up(tx, id, T0, "a newer version wrote it")?)
        })
        .unwrap();
        let open = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";
        assert_eq!(bed.number(open), 1, "what rings stays until somebody says otherwise");
        let known = bed.read(|tx| outline::find(tx, &Visible::All, "api")).unwrap();
        assert_eq!((known.name.as_str(), known.kind_word.as_str()), ("The api", kind));
        assert_eq!(bed.read(|tx| outline::find(tx, &Visible::Only(vec![BLOG]), "api")), None);
        let child = bed.read(|tx| find(tx, &Visible::All, "child")).unwrap();
        assert_eq!(bed.read(|tx| queries::parent_keys(tx, &Visible::All, &child)), ["api"]);
        let told = bed.save(&draft("api")).unwrap_err();
        assert!(
            matches!(&told, Error::Newer(key) if key == "api") && told.to_string().contains("upgrade again")
        );
        let stranger = member_of(BLOG);
        let told = bed.write(move |probes, tx| probes.save(tx, &stranger, &draft("api"))).unwrap_err();
        assert!(matches!(told, Error::KeyTaken(_)), "{told}");
        let status = |expected: &str| {
            assert_eq!(
                bed.number(&format!("SELECT status = '{expected}' FROM probe_states WHERE probe_id = 1")),
                1
            );
        };
        bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(T0), id, None)).unwrap();
        bed.write(move |_, tx| Ok(record::give_up(tx, id, T0, "a newer version wrote it")?)).unwrap();
        status("paused");
        assert_eq!(bed.number(open), 0);
        bed.write(move |probes, tx| probes.resume(tx, &By::tocsin(T0), id)).unwrap();
        status("unknown");
        bed.write(move |probes, tx| probes.remove(tx, &By::tocsin(T0), id, Owner::Page)).unwrap();
        assert_eq!(bed.read(|tx| outline::find(tx, &Visible::All, "api")), None);
        assert_eq!(bed.number("SELECT count(*) FROM audit_log WHERE subject = 'api'"), 4);
    }
}

#[test]
fn a_search_finds_letters_of_every_script_however_they_are_written() {
    let bed = Bed::new();
    bed.save(&Draft { name: "Ünïcode Ärger".to_owned(), ..draft("one") }).unwrap();
    bed.save(&Draft { name: "İstanbul".to_owned(), ..draft("two") }).unwrap();
    let search =
        |text: &str| keys(&bed, &Filter { text: Some(text.to_owned()), ..Filter::all(Visible::All) });
    assert_eq!(search("ünÏCODE ärg"), ["one"]);
    assert_eq!(search("İST"), ["two"]);
    assert_eq!(search("%"), Vec::<String>::new(), "no letter stands for others");
}

#[test]
fn labels_are_found() {
    let bed = Bed::new();
    let mut wanted = draft("api");
    wanted.definition.labels.insert("team.name".to_owned(), "pay".to_owned());
    bed.save(&wanted).unwrap();
    bed.save(&draft("other")).unwrap();
    let label = |value: &str| Filter {
        label: Some(("team.name".to_owned(), value.to_owned())),
        ..Filter::all(Visible::All)
    };
    assert_eq!(keys(&bed, &label("pay")), ["api"]);
    assert!(keys(&bed, &label("shop")).is_empty());
}

#[test]
fn a_page_of_five_thousand_is_read_in_order_and_not_sorted() {
    let bed = Bed::new();
    bed.write(|_, tx| {
        let definition = json!({"target": {"kind": "disk"}, "policy": {}}).to_string();
        tx.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO probes (uid, project_id, key, name, kind, definition, owner, created_at, updated_at)
             SELECT randomblob(16), 1 + i % 2, 'p' || i, 'Probe ' || i, 'disk', ?1, 'page', 0, 0 FROM n",
            [definition],
        )?;
        tx.execute(
            "INSERT INTO probe_states (probe_id, project_id, status, rank, name, since)
             SELECT id, project_id, 'healthy', 5, name, 0 FROM probes",
            [],
        )?;
        Ok(())
    })
    .unwrap();
    for visible in [Visible::All, Visible::Only(vec![BLOG]), Visible::Only(vec![SHOP, BLOG])] {
        let filter = Filter { limit: 50, ..Filter::all(visible) };
        let plans = bed.read(|tx| Ok(plans_of(tx, || list(tx, &filter).unwrap())));
        assert!(plans[0].uses("probe_states_in_order") && !plans[0].sorts(), "{:?}", plans[0]);
    }
    let filter = Filter { limit: 100, ..Filter::all(Visible::All) };
    assert_eq!(keys(&bed, &filter).len(), 5000);
}

#[test]
fn what_a_page_of_one_probe_asks_goes_by_indexes() {
    let bed = Bed::new();
    bed.save(&draft("api")).unwrap();
    bed.save(&Draft { parents: vec!["api".to_owned()], ..draft("shop") }).unwrap();
    let id = bed.read(|tx| find(tx, &Visible::All, "api")).unwrap().id;
    let key = id.signal_key();
    let plans = bed.read(|tx| {
        Ok(plans_of(tx, || {
            let found = children(tx, &Visible::All, id).unwrap();
            assert_eq!(found.iter().map(|child| child.key.as_str()).collect::<Vec<_>>(), ["shop"]);
            assert!(children(tx, &Visible::Only(vec![BLOG]), id).unwrap().is_empty());
            parents(tx, &Visible::All, id).unwrap();
            lines(tx, &Visible::All, &[id]).unwrap();
            assert_eq!(count_unreachable(tx, &Visible::All, id).unwrap(), 0, "it is not known yet");
            points::points_of(tx, &[id, ProbeId(9)], T0, T0).unwrap();
            changes_since(tx, id, T0).unwrap();
            samples(tx, id).unwrap();
            let scope = crate::incidents::queries::Scope::All;
            crate::incidents::queries::list_of_key(tx, scope, &key, 10).unwrap();
            assert_eq!(free_key(tx, "api").unwrap(), "api-2");
            assert_eq!(free_key(tx, "new-one").unwrap(), "new-one");
        }))
    });
    for plan in &plans {
        for table in [
            "probes",
            "probe_states",
            "probe_parents",
            "probe_changes",
            "probe_samples",
            "probe_points",
            "witnesses",
        ] {
            assert!(!plan.scans(table), "{table}: {plan:?}");
        }
    }
    assert!(plans.iter().any(|plan| plan.uses("witnesses_past")));
    assert!(plans.iter().any(|plan| plan.uses("probe_parents_by_parent")));
}

#[test]
fn whatever_hangs_on_a_probe_is_found_and_counted_once() {
    let bed = Bed::new();
    for (key, parents) in
        [("router", vec![]), ("switch", vec!["router"]), ("shop", vec!["router", "switch"]), ("else", vec![])]
    {
        let parents = parents.into_iter().map(str::to_owned).collect();
        bed.save(&Draft { parents, ..draft(key) }).unwrap();
    }
    for id in [2, 3, 4] {
        bed.write(move |_, tx| {
            Ok(record::change_status(tx, ProbeId(id), T0, Status::Unreachable, "router is down")?)
        })
        .unwrap();
    }
    let behind = |id| Filter { behind: Some(ProbeId(id)), ..Filter::all(Visible::All) };
    assert_eq!(keys(&bed, &behind(1)), ["shop", "switch"]);
    assert_eq!((keys(&bed, &behind(2)), keys(&bed, &behind(3))), (vec!["shop".to_owned()], vec![]));
    let count = |visible: &Visible, id| bed.read(|tx| count_unreachable(tx, visible, ProbeId(id)));
    assert_eq!((count(&Visible::All, 1), count(&Visible::All, 2), count(&Visible::All, 4)), (2, 1, 0));
    assert_eq!(count(&Visible::Only(vec![BLOG]), 1), 0);
}

#[test]
fn changes_since_begin_with_how_it_was_then() {
    let bed = Bed::new();
    let id = bed.save(&draft("api")).unwrap().id();
    for (secs, status) in [(10, Status::Healthy), (20, Status::Unhealthy), (30, Status::Healthy)] {
        let at = Timestamp::from_secs(T0.as_secs() + secs);
        bed.write(move |_, tx| Ok(record::change_status(tx, id, at, status, "why")?)).unwrap();
    }
    let since = |secs: i64| {
        let from = Timestamp::from_secs(T0.as_secs() + secs);
        let found = bed.read(|tx| changes_since(tx, id, from));
        found.iter().map(|change| change.at.as_secs() - T0.as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(
        (since(0), since(15), since(20), since(99)),
        (vec![10, 20, 30], vec![10, 20, 30], vec![20, 30], vec![30])
    );
}

#[test]
fn how_a_probe_was_at_the_border_outlives_what_was_before() {
    let bed = Bed::new();
    bed.save(&draft("api")).unwrap();
    let day = Duration::from_hours(24);
    bed.write(move |_, tx| {
        record::change_status(tx, ProbeId(1), T0, Status::Unhealthy, "status was 500")?;
        record::change_status(tx, ProbeId(1), T0 + day, Status::Healthy, "")?;
        Ok(record::change_status(tx, ProbeId(1), T0 + 410 * day, Status::Unhealthy, "status was 503")?)
    })
    .unwrap();
    let border = T0 + 10 * day;
    let gone = bed.write(move |_, tx| Ok(points::purge_changes(tx, border, 10)?)).unwrap();
    assert_eq!(gone, 1, "what was before it was healthy");
    let left = bed.read(|tx| changes_since(tx, ProbeId(1), border));
    let left: Vec<_> = left.iter().map(|change| change.status).collect();
    assert_eq!(left, [Status::Healthy, Status::Unhealthy]);
}
