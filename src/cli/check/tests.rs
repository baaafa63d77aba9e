use super::*;
use crate::config::{Environment, Flags};

fn facts(folder: &std::path::Path) -> Arc<Facts> {
    let flags = Flags { data: Some(folder.to_owned()), ..Flags::default() };
    let loaded = config::load(&flags, &Environment::new()).unwrap();
    Arc::new(Facts { loaded, now: Clock::system().now() })
}

#[test]
fn a_part_that_is_late_or_panics_fails_and_the_others_keep_their_order() {
    const ODD: &[Part] = &[
        Part {
            name: "late",
            look: |_| {
                std::thread::park();
                Finding::pass("never")
            },
        },
        Part { name: "panics", look: |_| panic!("on purpose") },
        Part { name: "fine", look: |_| Finding::pass("fine") },
    ];
    let folder = tempfile::tempdir().unwrap();
    let found = look_at_all(ODD, &facts(folder.path()), Duration::from_millis(300));
    let verdicts: Vec<_> = found.iter().map(|(name, finding)| (*name, finding.verdict)).collect();
    assert_eq!(verdicts, [("late", Verdict::Fail), ("panics", Verdict::Fail), ("fine", Verdict::Pass)]);
}

#[test]
fn whatever_is_not_a_pass_names_a_cure() {
    let folder = tempfile::tempdir().unwrap();
    let found = look_at_all(PARTS, &facts(&folder.path().join("missing")), TIME_MAX);
    assert_eq!(found.len(), PARTS.len());
    for (name, finding) in &found {
        assert_eq!(finding.cure.is_some(), finding.verdict != Verdict::Pass, "{name}");
    }
    let verdict_of = |part: &str| found.iter().find(|(name, _)| *name == part).unwrap().1.verdict;
    assert_eq!(verdict_of("base URL"), Verdict::Warn);
    assert_eq!(verdict_of("channels"), Verdict::Warn);
    assert_eq!(verdict_of("configuration"), Verdict::Pass);
}

#[test]
fn a_sealing_key_that_does_not_open_the_channels_fails() {
    use crate::base::seal::Sealer;
    use crate::base::{Entropy, Secret, Uid};

    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::Store::open(folder.path(), &crate::store::Options::default()).unwrap();
    store.start().unwrap().stop();
    let (entropy, uid) = (Entropy::seeded(1), Uid::from_bytes([7; 16]));
    let context = crate::notify::outbox::seal_context(uid);
    let sealed = Sealer::new(&[7; 32]).seal(&entropy, &Secret::new("{}"), &context).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("tocsin.db")).unwrap();
    let sql = "INSERT INTO channels (uid, name, kind, settings, sealed, owner, position, state, created_at)
               VALUES (?1, 'Pager', 'webhook', '{}', ?2, 'page', 1, 'ready', 0)";
    let found = || {
        let found = look_at_all(PARTS, &facts(folder.path()), TIME_MAX);
        found.into_iter().find(|(name, _)| *name == "sealing key").unwrap().1
    };
    assert_eq!(found().verdict, Verdict::Fail, "tocsin does not start beside a database without its key");
    connection.execute(sql, rusqlite::params![uid.as_bytes(), sealed]).unwrap();
    assert_eq!(found().verdict, Verdict::Fail);
    std::fs::write(folder.path().join("sealing.key"), [8; 32]).unwrap();
    let other = found();
    assert!(other.verdict == Verdict::Fail && other.text.contains("Pager"), "{other:?}");
    assert!(other.cure.unwrap().contains("backup"));
    std::fs::write(folder.path().join("sealing.key"), [7; 32]).unwrap();
    assert_eq!(found().verdict, Verdict::Pass);
}

#[test]
fn a_file_that_is_no_database_is_told_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tocsin.db"), [0xa5; 8192]).unwrap();
    let found = look_at_all(PARTS, &facts(folder.path()), TIME_MAX);
    for (part, verdict) in [("database", Verdict::Fail), ("first owner", Verdict::Warn)] {
        let finding = &found.iter().find(|(name, _)| *name == part).unwrap().1;
        assert_eq!(finding.verdict, verdict, "{part}: {}", finding.text);
        assert!(finding.cure.as_ref().unwrap().contains("restore a backup"), "{part}: {}", finding.text);
    }
}

#[test]
fn webhooks_that_are_not_ready_are_told_with_their_cures() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::Store::open(folder.path(), &crate::store::Options::default()).unwrap();
    store.start().unwrap().stop();
    let found = |part: &str| {
        let found = look_at_all(PARTS, &facts(folder.path()), TIME_MAX);
        found.into_iter().find(|(name, _)| *name == part).unwrap().1
    };
    for part in ["webhook sources", "webhook destinations", "dead letters"] {
        let finding = found(part);
        assert_eq!((finding.verdict, finding.text.as_str()), (Verdict::Pass, "none"), "{part}");
    }
    let connection = rusqlite::Connection::open(folder.path().join("tocsin.db")).unwrap();
    let laid = "
        INSERT INTO projects (id, slug, name, created_at) VALUES (1, 'shop', 'Shop', 0);
        INSERT INTO webhook_sources (id, uid, project_id, key, name, provider, definition, owner, created_at, updated_at)
            VALUES (1, x'01', 1, 'stripe', 'Stripe', 'stripe', '{\"provider\":\"stripe\"}', 'page', 0, 0);
        INSERT INTO webhook_destinations (id, uid, source_id, project_id, key, name, definition, owner, held_at,
                                          created_at, updated_at)
            VALUES (1, x'01', 1, 1, 'app', 'App', '{\"url\":\"https://a.example\"}', 'page', 5, 0, 0);
        INSERT INTO webhook_deliveries (uid, request_id, destination_id, source_id, project_id, status, began_at)
            VALUES (x'01', 1, 1, 1, 1, 'dead_letter', 0);";
    connection.execute_batch(laid).unwrap();
    for (part, text) in [
        ("webhook sources", "stripe: without a secret, so that every call is refused"),
        ("webhook destinations", "app: held: nothing is sent, everything waits"),
        ("dead letters", "1 dead letter waits for somebody"),
    ] {
        let finding = found(part);
        assert_eq!((finding.verdict, finding.text.as_str()), (Verdict::Warn, text));
        assert!(finding.cure.is_some_and(|cure| !cure.is_empty()), "{part}");
    }
}
