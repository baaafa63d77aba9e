//! Show-it 3: kill -9 at random moments under load. Whatever was acknowledged is there, once; whatever must ring has
//! rung. The page cache survives a kill, so `strace` shows apart that the disk was told before the client.

mod fsync;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::support::{
    events::{event, event_id, send},
    peer::Peer,
    server::{Project, Server, Setup},
    wait_until,
};

const ROUNDS: usize = 50;
/// As many requests are open at once.
const SENDERS: usize = 8;
/// A round's events: enough that no kill meets an idle server, few enough to look up each afterwards.
const EVENTS_PER_ROUND: usize = 600;
/// The kill comes this long after the load began, at the latest.
const KILL_WITHIN_MS: u64 = 500;
/// After the last restart every outstanding alarm gets its try.
const RUNG_WITHIN: Duration = Duration::from_secs(90);

/// An event that must count in the end; sent again until it is acknowledged.
struct Due {
    project: usize,
    value: Value,
}

/// What the rounds did.
#[derive(Default)]
struct Tally {
    /// Event ids acknowledged with a 200, by project.
    acknowledged: BTreeMap<usize, Vec<String>>,
    /// Events without an answer, to be sent again.
    unanswered: Vec<Due>,
    kills_under_load: usize,
    resent: usize,
}

#[test]
fn fifty_kills_lose_nothing_acknowledged_and_count_nothing_twice() {
    let receiver = Peer::start(&[]);
    let webhook = receiver.url("/alarm");
    let settings =
        [("TOCSIN_ISSUES__SAMPLE_FLOOR", "1000000"), ("TOCSIN_ALERTS__WEBHOOK_URL", webhook.as_str())];
    let mut server = Server::start(Setup::with(&settings));
    let projects: Vec<Project> = (0..ROUNDS).map(|round| server.project(&format!("round {round}"))).collect();
    let mut tally = Tally::default();
    for round in 0..ROUNDS {
        run_round(&mut server, &projects, round, &mut tally);
        server.launch();
    }
    // The last round's events without an answer, now that nobody kills.
    let rest = std::mem::take(&mut tally.unanswered);
    send_all(&server, &projects, rest, &AtomicBool::new(false), &mut tally);
    assert!(tally.unanswered.is_empty(), "{} events never answered", tally.unanswered.len());
    let sent: usize = tally.acknowledged.values().map(Vec::len).sum();
    println!(
        "{ROUNDS} kills, {} of them under load, {sent} events acknowledged, {} sent again",
        tally.kills_under_load, tally.resent
    );
    assert!(tally.kills_under_load >= ROUNDS / 2, "only {} kills met open requests", tally.kills_under_load);

    check_counts(&server, &projects, &tally);
    check_alarms(&server, &projects, &receiver);
    assert!(server.stop(), "it stops on SIGTERM:\n{}", server.log_tail());
    check_database(&server);
}

/// One round: load on the round's project, then the kill at a random moment.
fn run_round(server: &mut Server, projects: &[Project], round: usize, tally: &mut Tally) {
    let mut due = std::mem::take(&mut tally.unanswered);
    tally.resent += due.len();
    due.extend((0..EVENTS_PER_ROUND).map(|number| new_event(round, number)));
    let patience =
        Duration::from_millis(getrandom::u64().expect("the system gives random bytes") % KILL_WITHIN_MS);
    let killed = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        let running = &*server;
        let (killed, slot) = (&killed, &mut *tally);
        let load = scope.spawn(move || send_all(running, projects, due, killed, slot));
        // The random moment is the point here: nothing could be waited for.
        thread::sleep(patience.saturating_sub(begun.elapsed()));
        killed.store(true, Ordering::SeqCst);
        kill(running.pid());
        load.join().expect("the senders end");
    });
    if !tally.unanswered.is_empty() {
        tally.kills_under_load += 1;
    }
    server.kill();
}

/// Sends everything with bounded concurrency. Once `killed`, an error leaves its event unanswered; before, it fails.
fn send_all(server: &Server, projects: &[Project], due: Vec<Due>, killed: &AtomicBool, tally: &mut Tally) {
    let queue = Mutex::new(due);
    let answered = Mutex::new(tally);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let api = server.stranger();
                loop {
                    let Some(due) = queue.lock().unwrap().pop() else { return };
                    match send(&api, &projects[due.project], &due.value) {
                        Ok(answer) if answer.status == 200 => {
                            let id = due.value["event_id"].as_str().unwrap().to_owned();
                            answered.lock().unwrap().acknowledged.entry(due.project).or_default().push(id);
                        }
                        // Refused before anything was written: to be sent again, like an open question.
                        Ok(answer) if matches!(answer.status, 429 | 503) => {
                            answered.lock().unwrap().unanswered.push(due);
                        }
                        Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                        Err(error) => {
                            assert!(killed.load(Ordering::SeqCst), "a living server did not answer: {error}");
                            let mut tally = answered.lock().unwrap();
                            tally.unanswered.push(due);
                            // The rest was never sent; it stays with the next round as well.
                            tally.unanswered.append(&mut queue.lock().unwrap());
                            return;
                        }
                    }
                }
            });
        }
    });
}

/// Every twentieth event of a round is fatal: its issue rings. The others spread over three issues.
fn new_event(round: usize, number: usize) -> Due {
    let (name, level) = match number % 20 {
        0 => ("Payment", "fatal"),
        1..=7 => ("Stock", "error"),
        8..=14 => ("Search", "error"),
        _ => ("Login", "warning"),
    };
    Due { project: round, value: event(&event_id(), name, level) }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("the server can be killed");
}

/// Every acknowledged event counts exactly once and is found by its id.
fn check_counts(server: &Server, projects: &[Project], tally: &Tally) {
    let api = server.api();
    for (number, ids) in &tally.acknowledged {
        let project = &projects[*number];
        let issues = api.list(&format!("/api/v1/issues?project={}", project.slug));
        let counted: u64 = issues.iter().map(|issue| issue["count"].as_u64().unwrap()).sum();
        assert_eq!(counted, u64::try_from(ids.len()).unwrap(), "{}: acknowledged and counted", project.slug);
        for id in ids {
            let found = api.try_get(&format!("/api/v1/events/{id}?project={}", project.slug)).unwrap();
            assert_eq!(found.status, 200, "event {id} of {}", project.slug);
        }
    }
}

/// Every project with a fatal event has its incident, and every incident its message, at the receiver too.
fn check_alarms(server: &Server, projects: &[Project], receiver: &Peer) {
    let api = server.api();
    let deliveries = wait_until("every alarm has left", RUNG_WITHIN, || {
        let mut all = api.list("/api/v1/deliveries");
        all.retain(|delivery| delivery["cause"] == "incident");
        let has_left = |delivery: &Value| delivery["state"] == "delivered" || delivery["state"] == "bundled";
        all.iter().all(has_left).then_some(all)
    });
    let incidents = api.list("/api/v1/incidents");
    let rung: Vec<Value> =
        receiver.requests().iter().map(|request| request.json()["incident_id"].clone()).collect();
    for project in projects {
        let own: Vec<&Value> =
            incidents.iter().filter(|one| one["project"] == project.slug.as_str()).collect();
        assert_eq!(own.len(), 1, "one trouble, one incident in {}: {own:?}", project.slug);
        let id = &own[0]["id"];
        // Many alarms at once may be carried by one bundle, which is a message of its own.
        let is_bundled = deliveries
            .iter()
            .any(|delivery| delivery["incident_id"] == *id && delivery["state"] == "bundled");
        assert!(rung.contains(id) || is_bundled, "the incident of {} rang nobody", project.slug);
    }
}

fn check_database(server: &Server) {
    let file = server.folder().join("tocsin.db");
    let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let mut broken = database.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!broken.exists([]).unwrap(), "a foreign key points nowhere");
}
