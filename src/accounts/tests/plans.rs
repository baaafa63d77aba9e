//! What is asked on every request, or grows with use, is found by an index at ten thousand rows.

use super::*;
use crate::accounts::audit::Filter;
use crate::accounts::names::NameKind;

const ROWS: i64 = 10_000;

/// Fills the growing tables. Runs as raw SQL: it is a fixture, not a use.
fn fill(fixture: &Fixture) {
    fixture.project("Shop");
    fixture.user("ada@example.com", Role::Owner);
    fixture
        .change(|tx, _, _| {
            for sql in [
                "INSERT INTO sessions
                   (uid, token_hash, user_id, csrf, created_at, last_seen_at, expires_at)
                 SELECT randomblob(16), randomblob(32), 1, '', 0, value, 9e15 FROM generated",
                "INSERT INTO api_tokens (uid, name, token_hash, hint, scopes, created_at, created_by)
                 SELECT randomblob(16), 'n', randomblob(32), '', 'read', 0, 'a' FROM generated",
                "INSERT INTO dsn_keys (project_id, public_key, kind, label, created_at)
                 SELECT 1, randomblob(16), 'server', 'n', 0 FROM generated",
                "INSERT INTO project_names (project_id, kind, name, first_seen_at)
                 SELECT 1, 'release', 'r' || value, 0 FROM generated",
                "INSERT INTO audit_log (at, actor, action, subject) SELECT value, 'a', 'b.b', 'c' FROM generated",
                "INSERT INTO audit_log (at, actor, action, subject) SELECT value, 'b', 'rare.b', 'c' FROM generated",
                "INSERT INTO sign_in_links (token_hash, user_id, created_at, expires_at)
                 SELECT randomblob(32), 1, 0, value FROM generated",
            ] {
                let with = "WITH RECURSIVE generated (value) AS
                    (SELECT 1 UNION ALL SELECT value + 1 FROM generated WHERE value < 10000) ";
                let sql = format!("{with}{}", sql.replace("9e15", "9000000000000000"));
                let rows = tx.connection().execute(&sql, []).map_err(crate::store::Error::from)?;
                assert_eq!(i64::try_from(rows).unwrap(), ROWS);
            }
            Ok(())
        })
        .unwrap();
}

type Question<'q> = (&'static str, Box<dyn FnOnce(&ReadTx<'_>) -> Result<(), Error> + 'q>);

/// The steps of SQLite's virtual machine tell a scan from a search without a clock.
fn steps(tx: &ReadTx<'_>, work: impl FnOnce(&ReadTx<'_>) -> Result<(), Error>) -> i32 {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering};
    let count = Arc::new(AtomicI32::new(0));
    let seen = Arc::clone(&count);
    tx.connection()
        .progress_handler(
            1,
            Some(move || {
                seen.fetch_add(1, Ordering::Relaxed);
                false
            }),
        )
        .unwrap();
    work(tx).unwrap();
    tx.connection().progress_handler(0, None::<fn() -> bool>).unwrap();
    count.load(Ordering::Relaxed)
}

#[test]
fn no_question_reads_a_growing_table_from_end_to_end() {
    let fixture = Fixture::new();
    fill(&fixture);
    let hash = TokenHash::of("x");
    let email: Email = "ada@example.com".parse().unwrap();
    let project = crate::base::ProjectId(1);
    let of = |actor: Option<&str>, area: Option<&str>| Filter {
        actor: actor.map(str::to_owned),
        area: area.map(str::to_owned),
    };
    let questions: Vec<Question<'_>> = vec![
        ("session", Box::new(|tx| sessions::find(tx, &hash, NOON).map(drop))),
        ("token", Box::new(|tx| tokens::find_active(tx, &hash).map(drop))),
        ("link", Box::new(|tx| links::find(tx, &hash, NOON).map(drop))),
        ("grant", Box::new(|tx| keys::find_grant(tx, PublicKey([1; 16])).map(drop))),
        ("credentials", Box::new(|tx| users::find_credentials(tx, &email).map(drop))),
        ("name", Box::new(|tx| names::find(tx, project, NameKind::Release, "r77").map(drop))),
        ("audit page", Box::new(|tx| audit::list(tx, &Filter::default(), Some(500), 5).map(drop))),
        ("audit of somebody", Box::new(|tx| audit::list(tx, &of(Some("a"), None), Some(500), 5).map(drop))),
        ("audit of users", Box::new(|tx| audit::list(tx, &of(None, Some("rare")), None, 5).map(drop))),
        ("audit of both", Box::new(|tx| audit::list(tx, &of(Some("a"), Some("rare")), None, 5).map(drop))),
        ("audit of nobody", Box::new(|tx| audit::list(tx, &of(Some("x"), Some("b")), None, 5).map(drop))),
        ("who is in the audit log", Box::new(|tx| audit::actors(tx).map(drop))),
        ("what is in the audit log", Box::new(|tx| audit::areas(tx).map(drop))),
    ];
    for (name, question) in questions {
        let taken = fixture.read(|tx| Ok(steps(tx, question)));
        assert!((1..500).contains(&taken), "{name} took {taken} steps");
    }
}

#[test]
fn the_step_counter_would_see_a_scan() {
    let fixture = Fixture::new();
    fill(&fixture);
    let taken = fixture.read(|tx| {
        Ok(steps(tx, |tx| {
            Ok(tx.one("SELECT max(csrf) FROM sessions", [], |row| row.get::<_, String>(0)).map(drop)?)
        }))
    });
    assert!(taken > 10_000, "{taken}");
}
