use std::time::Duration;

use serde_json::json;

use super::*;
use crate::accounts::Visible;
use crate::probes::judge::Reading;
use crate::probes::points::Point;

#[test]
fn a_draft_makes_a_probe_changes_it_and_then_changes_nothing() {
    let bed = Bed::new();
    let mut wanted = draft("api");
    let created = bed.save(&wanted).unwrap();
    assert!(matches!(created, Change::Created(_)));
    assert_eq!(bed.save(&wanted).unwrap(), Change::Unchanged(created.id()));
    wanted.name = "API".to_owned();
    wanted.definition.runbook = Some("https://wiki.example/api".to_owned());
    assert_eq!(bed.save(&wanted).unwrap(), Change::Updated(created.id()));
    let probe = bed.read(|tx| queries::find(tx, &Visible::All, "api")).unwrap();
    assert_eq!((probe.name.as_str(), probe.version, probe.project_slug.as_str()), ("API", 2, "shop"));
    assert_eq!(probe.definition, wanted.definition);
    assert_eq!(bed.number("SELECT count(*) FROM audit_log WHERE action LIKE 'probe.%'"), 2);
    let state = bed.read(|tx| queries::state(tx, probe.id)).unwrap();
    assert_eq!((state.status, state.reason.as_str()), (Status::Unknown, "not asked yet"));
    assert_eq!(bed.read(|tx| queries::find(tx, &Visible::Only(vec![BLOG]), "api")), None);
}

#[test]
fn what_is_wrong_is_named() {
    let bed = Bed::new();
    let refused = |change: &dyn Fn(&mut Draft)| {
        let mut wanted = draft("api");
        change(&mut wanted);
        bed.save(&wanted).unwrap_err().to_string()
    };
    for key in ["", "-a", "A", "a b", "ä", &"a".repeat(61)] {
        let told = refused(&|draft| key.clone_into(&mut draft.key));
        assert!(told.contains("is no key"), "{key}: {told}");
    }
    assert!(refused(&|draft| draft.name = " ".to_owned()).contains("name is empty"));
    assert!(refused(&|draft| draft.project = ProjectId(9)).contains("no such project"));
    assert!(refused(&|draft| draft.parents = vec!["none".to_owned()]).contains("there is no probe none"));
    let told = refused(&|draft| draft.definition.conditions = vec!["stauts < 300".to_owned()]);
    assert!(told.contains("stauts") && told.contains("at character 1"), "{told}");
    let told = refused(&|draft| draft.definition.runbook = Some("javascript:alert(1)".to_owned()));
    assert!(told.contains("https://"), "{told}");
    assert_eq!(bed.number("SELECT count(*) FROM probes"), 0);
}

#[test]
fn secrets_are_sealed_kept_and_go_nowhere_else() {
    let bed = Bed::new();
    let mut wanted = draft("pay");
    let with = |url: &str| {
        target(json!({"kind": "http", "url": url, "headers": {"authorization": "Bearer {{key}}"}}))
    };
    wanted.definition.target = with("https://pay.example/v1");
    assert!(bed.save(&wanted).unwrap_err().to_string().contains("{{key}}"));
    wanted.secrets = secret("key", "sk_live_very_secret");
    let id = bed.save(&wanted).unwrap().id();
    let probe = bed.read(|tx| queries::find_by_id(tx, &Visible::All, id)).unwrap();
    assert_eq!(bed.probes.open(&probe).unwrap().0["key"].expose(), "sk_live_very_secret");
    let stored = bed
        .number("SELECT count(*) FROM probes WHERE instr(sealed, 'sk_live') OR instr(definition, 'sk_live')");
    assert_eq!(stored, 0);
    // Given again or not, it is the same.
    assert_eq!(bed.save(&wanted).unwrap(), Change::Unchanged(id));
    wanted.secrets = Secrets::default();
    assert_eq!(bed.save(&wanted).unwrap(), Change::Unchanged(id));
    wanted.definition.target = with("https://pay.example/v2");
    assert_eq!(bed.save(&wanted).unwrap(), Change::Updated(id));
    wanted.definition.target = with("https://elsewhere.example/v2");
    assert!(matches!(bed.save(&wanted).unwrap_err(), Error::SecretMoves(name) if name == "key"));
    wanted.secrets = secret("key", "other");
    assert_eq!(bed.save(&wanted).unwrap(), Change::Updated(id));
}

#[test]
fn a_file_owns_what_it_names_until_it_lets_go() {
    let bed = Bed::new();
    bed.save(&draft("api")).unwrap();
    let of_file = Draft { owner: Owner::File, ..draft("api") };
    let id = bed.save(&of_file).unwrap().id();
    assert!(matches!(bed.save(&draft("api")).unwrap_err(), Error::OwnedByFile(key) if key == "api"));
    let remove = |owner| bed.write(move |probes, tx| probes.remove(tx, &By::tocsin(T0), id, owner));
    assert!(matches!(remove(Owner::Page).unwrap_err(), Error::OwnedByFile(_)));
    bed.write(move |probes, tx| probes.pause(tx, &By::tocsin(T0), id, None)).unwrap();
    assert_eq!(bed.read(|tx| queries::state(tx, id)).unwrap().status, Status::Paused);
    bed.write(move |probes, tx| probes.resume(tx, &By::tocsin(T0), id)).unwrap();
    assert_eq!(bed.read(|tx| queries::state(tx, id)).unwrap().status, Status::Unknown);
    remove(Owner::File).unwrap();
    for table in ["probes", "probe_states"] {
        assert_eq!(bed.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn what_a_removed_probe_leaves_behind_goes_in_steps() {
    let bed = Bed::new();
    let (id, other) = (bed.save(&draft("api")).unwrap().id(), bed.save(&draft("other")).unwrap().id());
    let hour = Duration::from_hours(1);
    let reading = |at| Point { at, reading: Reading::Good, phases: seen::Phases::default() };
    bed.write(move |probes, tx| {
        for n in 0..25 {
            let status = if n % 2 == 0 { Status::Unhealthy } else { Status::Healthy };
            record::change_status(tx, id, T0 + n * hour, status, "why")?;
            points::append(tx, id, &[reading(T0 + n * hour)])?;
        }
        points::append(tx, other, &[reading(T0)])?;
        probes.remove(tx, &By::tocsin(T0), id, Owner::Page)
    })
    .unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes"), 25, "not in the write that all wait for");
    assert_eq!(bed.save(&draft("api")).unwrap(), Change::Created(ProbeId(3)), "its key is free");
    for rows in [30, 30, 15, 1, 0] {
        assert_eq!(bed.write(|_, tx| Ok(removed::purge(tx, 10)?)).unwrap(), rows);
    }
    let left = "SELECT (SELECT count(*) FROM probe_changes) + (SELECT count(*) FROM probe_points)
                     + (SELECT count(*) FROM probe_hours)";
    assert_eq!(bed.number(left), 2, "those of another stay");
}

#[test]
fn nobody_changes_what_they_may_not_see() {
    let bed = Bed::new();
    let id = bed.save(&draft("api")).unwrap().id();
    let stranger = |work: fn(&Probes, &WriteTx<'_>, &By, ProbeId) -> Result<(), Error>| {
        bed.write(move |probes, tx| work(probes, tx, &member_of(BLOG), id)).unwrap_err()
    };
    let told = stranger(|probes, tx, by, _| probes.save(tx, by, &draft("api")).map(drop));
    assert!(matches!(told, Error::KeyTaken(_)));
    let told = stranger(|probes, tx, by, _| {
        let wanted = Draft { project: BLOG, parents: vec!["api".to_owned()], ..draft("site") };
        probes.save(tx, by, &wanted).map(drop)
    });
    assert!(matches!(told, Error::UnknownParent(_)));
    assert!(matches!(stranger(|probes, tx, by, id| probes.pause(tx, by, id, None)), Error::NotFound));
    assert!(matches!(stranger(|probes, tx, by, id| probes.remove(tx, by, id, Owner::Page)), Error::NotFound));
}

#[test]
fn dependencies_form_no_circle_and_are_not_deep() {
    let bed = Bed::new();
    let depends = |key: &str, on: &[&str]| {
        bed.save(&Draft { parents: on.iter().map(|&key| key.to_owned()).collect(), ..draft(key) })
    };
    depends("a", &[]).unwrap();
    depends("b", &["a"]).unwrap();
    depends("c", &["a", "b"]).unwrap();
    assert_eq!(depends("c", &["b", "a"]).unwrap(), Change::Unchanged(ProbeId(3)));
    let Err(Error::Cycle(keys)) = depends("a", &["c"]) else { panic!("a circle was taken") };
    assert!(keys.first() == keys.last() && keys.contains(&"c".to_owned()), "{keys:?}");
    let told = depends("a", &["a"]).unwrap_err().to_string();
    assert!(told.contains("a → a leads back to itself"), "{told}");
    assert_eq!(bed.number("SELECT count(*) FROM probe_parents"), 3);
    let mut last = "c".to_owned();
    for depth in 3..=8 {
        let key = format!("d{depth}");
        depends(&key, &[&last]).unwrap();
        last = key;
    }
    assert!(matches!(depends("deep", &[&last]).unwrap_err(), Error::TooDeep));
}

#[test]
fn each_report_counts_where_nothing_else_is_said() {
    let read = |json| serde_json::from_value::<Definition>(json).unwrap().policy;
    let counts = |policy: judge::Policy| (policy.bad, policy.of, policy.good);
    assert_eq!(counts(read(json!({"target": {"kind": "push"}, "policy": {"interval": "24h"}}))), (1, 1, 1));
    assert_eq!(counts(read(json!({"target": {"kind": "push"}, "policy": {"bad": 2, "of": 3}}))), (2, 3, 1));
    assert_eq!(counts(read(json!({"target": {"kind": "machine"}}))), (2, 3, 2));
    let said = json!({"target": {"kind": "push"}, "policy": {"bad": 3}});
    assert_eq!(counts(read(said)), (3, 3, 1), "as many as must be bad");
    assert_eq!(Definition::of(target(json!({"kind": "push"}))).policy, judge::Policy::of_reports());
}

#[test]
fn a_token_is_shown_once_and_finds_its_probe() {
    let bed = Bed::new();
    let id = bed.save(&draft("api")).unwrap().id();
    let renew = |id| bed.write(move |probes, tx| probes.renew_token(tx, &By::tocsin(T0), id));
    assert!(matches!(renew(id).unwrap_err(), Error::NotPushed));
    let mut pushed = draft("job");
    pushed.definition = Definition::of(target(json!({"kind": "push"})));
    let id = bed.save(&pushed).unwrap().id();
    let (first, second) = (renew(id).unwrap(), renew(id).unwrap());
    let find = |token: &Secret| bed.read(|tx| find_by_token(tx, token.expose()));
    assert_eq!(find(&first), None);
    assert_eq!(find(&second).unwrap().key, "job");
}
