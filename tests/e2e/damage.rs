//! A damaged database is told to everybody who can hear it, with its cure; nothing panics and nothing runs hot.

use std::{fs, fs::File, os::unix::fs::FileExt as _, time::Duration};

use crate::support::{
    events::{accept, event, event_id, send},
    holds_for,
    manager::Manager,
    peer::Peer,
    server::{Server, Setup},
    wait_until,
};

/// The task that looks at tocsin itself runs every ten seconds.
const TOLD_WITHIN: Duration = Duration::from_secs(40);
const PAGE_BYTES: usize = 8192;
const CURE: &str = "stop tocsin and restore a backup";
/// Of one processor: far more than the tasks need, far less than a loop takes.
const BUSY_MAX: Duration = Duration::from_millis(750);

#[test]
fn a_file_that_is_no_database_any_more_is_told_at_the_start() {
    let mut manager = Manager::listen();
    let mut server = Server::start(Setup::with(&manager.settings()));
    manager.hears("READY=1");
    assert!(server.stop(), "{}", server.log_tail());
    overwrite(&server, 1);
    let said = server.refuse_to_start();
    assert!(said.contains("error: the database is damaged") && said.contains(CURE), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    manager.hears("STATUS=not started: the database is damaged");
}

#[test]
fn damage_that_is_met_while_it_runs_is_told_rings_and_stops_nothing_else() {
    let (mut manager, receiver) = (Manager::listen(), Peer::start(&[]));
    let url = receiver.url("/alarm");
    let mut settings = manager.settings().to_vec();
    settings.push(("TOCSIN_ALERTS__WEBHOOK_URL", &url));
    let mut server = Server::start(Setup::with(&settings));
    let project = server.project("shop");
    accept(&server.stranger(), &project, &event(&event_id(), "Payment", "error"));
    assert!(server.stop(), "{}", server.log_tail());
    let root = root_page_of(&server, "issue_stats");
    server.launch();
    overwrite(&server, root);
    let (api, stranger) = (server.api(), server.stranger());

    let refused = wait_until("an event finds the damage", TOLD_WITHIN, || {
        let status = send(&stranger, &project, &event(&event_id(), "Payment", "error")).unwrap().status;
        (status != 200).then_some(status)
    });
    assert!(refused >= 500, "{refused}");
    let health = api.try_get("/health").unwrap();
    assert_eq!(health.status, 503, "{}", health.text());
    assert!(health.text().contains("the database is damaged") && health.text().contains(CURE));
    let hidden = stranger.try_get("/health").unwrap();
    assert_eq!((hidden.status, hidden.text().contains("damaged")), (503, false), "{}", hidden.text());
    wait_until("the alarm about it", TOLD_WITHIN, || {
        let texts = receiver.requests().into_iter().map(|request| request.json().to_string());
        texts.into_iter().find(|text| text.contains("the database is damaged"))
    });
    manager.hears("STATUS=unhealthy · the database is damaged");

    let before = busy(&server);
    holds_for("the server rests", Duration::from_secs(3), || busy(&server) < before + BUSY_MAX);
    assert!(!server.log_tail().contains("panicked"), "{}", server.log_tail());
    assert!(server.stop(), "{}", server.log_tail());
}

fn root_page_of(server: &Server, table: &str) -> u64 {
    let database = rusqlite::Connection::open(server.folder().join("tocsin.db")).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    database.query_row(sql, [table], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// Writes random bytes over a page of the database's file, counted from 1.
fn overwrite(server: &Server, page: u64) {
    let file = File::options().write(true).open(server.folder().join("tocsin.db")).unwrap();
    let mut noise = vec![0; PAGE_BYTES];
    getrandom::fill(&mut noise).expect("the system gives random bytes");
    file.write_all_at(&noise, (page - 1) * PAGE_BYTES as u64).unwrap();
}

/// Time of a processor that the server has used, in the hundredths of a second that Linux counts.
fn busy(server: &Server) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
