//! `tocsin demo --kill`: under load the server is killed with signal 9 again and again. What was acknowledged must be
//! there, once; what must ring must have rung.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::sql;
use super::client::{Client, Door};
use super::inbox::{Inbox, Mail};
use super::server::Server;
use super::tale::{Tale, span};
use crate::base::{Entropy, EventId};
use crate::store::limit_time;

/// Kills; each round's alarm rings in a project of its own.
pub(super) const ROUNDS: usize = 10;
/// Connections that send at the same time.
pub(super) const SENDERS: usize = 8;
/// A round ends by a kill at a random moment: after this …
const ROUND_MIN: Duration = Duration::from_millis(100);
/// … and up to twice this.
const ROUND_MORE: Duration = Duration::from_millis(400);
/// What the memory of the demo is bounded by; then it only sends again what was not answered.
const EVENTS_MAX: usize = 100_000;
/// Each so many events one that must ring.
const FATAL_EVERY: usize = 50;
/// After a refusal or a broken connection.
const PAUSE: Duration = Duration::from_millis(10);
/// After the last start every alarm that is due gets its try at once.
const RUNG_WITHIN: Duration = Duration::from_secs(15);
/// For everything, as promised.
const WITHIN: Duration = Duration::from_mins(1);
/// The database is read in one go; longer than any number of events here takes.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// An event to be sent until it is acknowledged.
struct Due {
    round: usize,
    is_fatal: bool,
    id: EventId,
    value: Value,
}

/// What was sent and answered. Shared by all senders.
struct Load {
    doors: Vec<Door>,
    entropy: Entropy,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    made: usize,
    unanswered: Vec<Due>,
    resent: usize,
    acknowledged: Vec<EventId>,
    /// Rounds with an acknowledged event that must ring.
    due: BTreeSet<usize>,
}

/// What the kills left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    acknowledged: usize,
    /// Acknowledged events that are in the store exactly once.
    found: usize,
    /// What all issues together count.
    counted: usize,
    due: usize,
    /// Incidents in the store.
    opened: usize,
    /// Due incidents with a mail in the mailbox.
    rung: usize,
    /// What SQLite says of the file.
    integrity: String,
}

/// The actors of the play.
pub(super) struct Kill<'o> {
    pub(super) tale: Tale<'o>,
    pub(super) clients: Vec<Client>,
    pub(super) inbox: Inbox,
    pub(super) entropy: Entropy,
}

impl Kill<'_> {
    /// Runs all rounds and counts. Tells whether every number agrees.
    pub(super) async fn play(mut self, server: &mut Server, doors: Vec<Door>) -> anyhow::Result<bool> {
        let load = Arc::new(Load { doors, entropy: self.entropy.clone(), state: Mutex::default() });
        let played = tokio::time::timeout(WITHIN, self.rounds(server, &load)).await;
        let report = played.with_context(|| format!("not done within {} s", WITHIN.as_secs()))??;
        let resent = load.lock().resent;
        self.tale.say("")?;
        self.tale.table(&report.rows(resent))?;
        if !report.agrees() {
            self.tale.say("\nThe numbers do not agree: something was lost or counted twice.")?;
        }
        Ok(report.agrees())
    }

    async fn rounds(&mut self, server: &mut Server, load: &Arc<Load>) -> anyhow::Result<Report> {
        for round in 0..ROUNDS {
            let patience = ROUND_MIN + self.entropy.jitter(ROUND_MORE, 1.0);
            self.load_and_kill(server, load, round, patience).await?;
            let killed_at = self.tale.now();
            server.launch(&self.clients[0]).await?;
            let (number, acknowledged) = (round + 1, load.lock().acknowledged.len());
            self.tale.tell(&format!(
                "kill -9 number {number} after {} of load: {acknowledged} events acknowledged so far, ready again \
                 after {}",
                span(patience),
                span(self.tale.now().since(killed_at)),
            ))?;
        }
        self.send(load, None, &CancellationToken::new()).finish().await?;
        let due = load.lock().due.clone();
        let rung = self.rung(&due).await;
        server.stop().await?;
        let (path, load) = (server.folder().join("tocsin.db"), Arc::clone(load));
        tokio::task::spawn_blocking(move || Report::take(&path, &load, rung)).await?
    }

    /// How many of the due rounds have a mail, once all have or the time is over.
    async fn rung(&self, due: &BTreeSet<usize>) -> usize {
        let all = async {
            for round in due {
                self.inbox.wait_for(|mail| tells_of(mail, *round)).await;
            }
        };
        // Whoever is missing then is counted as missing.
        drop(tokio::time::timeout(RUNG_WITHIN, all).await);
        let mails = self.inbox.mails();
        due.iter().filter(|round| mails.iter().any(|mail| tells_of(mail, **round))).count()
    }

    async fn load_and_kill(
        &self,
        server: &mut Server,
        load: &Arc<Load>,
        round: usize,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let senders = self.send(load, Some(round), &stop);
        tokio::time::sleep(patience).await;
        server.kill()?;
        stop.cancel();
        senders.finish().await
    }

    /// Starts the senders. Without a round they only send what was not answered.
    fn send(&self, load: &Arc<Load>, round: Option<usize>, stop: &CancellationToken) -> Senders {
        let mut running = JoinSet::new();
        for client in &self.clients {
            running.spawn(send_all(Arc::clone(load), client.clone(), round, stop.clone()));
        }
        Senders { running }
    }
}

struct Senders {
    running: JoinSet<anyhow::Result<()>>,
}

impl Senders {
    async fn finish(mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// Sends until nothing is left or `stop`.
async fn send_all(
    load: Arc<Load>,
    client: Client,
    round: Option<usize>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let Some(due) = load.next(round) else { return Ok(()) };
        match client.event(&load.doors[due.round], &due.value).await {
            Ok(answer) if answer.is_success() => load.acknowledged(&due),
            // Refused before anything was written: like a question without an answer.
            Ok(answer) if matches!(answer.status, 429 | 503) => {
                load.again(due);
                tokio::time::sleep(PAUSE).await;
            }
            Ok(answer) => bail!("an event was refused with {}: {}", answer.status, answer.text()),
            Err(_) => {
                load.again(due);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

impl Load {
    fn next(&self, round: Option<usize>) -> Option<Due> {
        let mut state = self.lock();
        if let Some(due) = state.unanswered.pop() {
            state.resent += 1;
            return Some(due);
        }
        let round = round.filter(|_| state.made < EVENTS_MAX)?;
        let number = state.made;
        state.made += 1;
        drop(state);
        Some(new_event(round, number, EventId(self.entropy.bytes())))
    }

    fn acknowledged(&self, due: &Due) {
        let mut state = self.lock();
        state.acknowledged.push(due.id);
        if due.is_fatal {
            state.due.insert(due.round);
        }
    }

    fn again(&self, due: Due) {
        self.lock().unanswered.push(due);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_event(round: usize, number: usize, id: EventId) -> Due {
    let is_fatal = number.is_multiple_of(FATAL_EVERY);
    let (kind, level, value) = match number % 3 {
        _ if is_fatal => ("CheckoutError", "fatal", what_broke(round)),
        0 => ("StockWarning", "warning", format!("article {number} is running low")),
        1 => ("SearchWarning", "warning", format!("query {number} found nothing")),
        _ => ("LoginWarning", "warning", format!("customer {number} mistyped a password")),
    };
    let frame =
        json!({"function": kind, "module": "shop", "filename": "shop.py", "lineno": 42, "in_app": true});
    let value = json!({
        "event_id": id.to_string(),
        "platform": "python",
        "level": level,
        "environment": "production",
        "release": "shop@3.5.0",
        "user": {"id": number.to_string()},
        "exception": {"values": [{"type": kind, "value": value, "stacktrace": {"frames": [frame]}}]},
    });
    Due { round, is_fatal, id, value }
}

/// The words by which a round's alarm is known, alone or in a bundle of alarms.
fn what_broke(round: usize) -> String {
    format!("till {round} is closed")
}

fn tells_of(mail: &Mail, round: usize) -> bool {
    mail.text.contains(&what_broke(round))
}

impl Report {
    /// Counts in the file itself, now that no server runs.
    fn take(database: &Path, load: &Load, rung: usize) -> anyhow::Result<Self> {
        let connection = sql::open(database)?;
        limit_time(&connection, CHECK_WITHIN)?;
        let stored = count_ids(&connection)?;
        let number = |sql: &str| -> anyhow::Result<usize> {
            let number: i64 = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(usize::try_from(number)?)
        };
        let state = load.lock();
        let is_there_once = |id: &&EventId| stored.get(&id.to_string()) == Some(&1);
        Ok(Self {
            acknowledged: state.acknowledged.len(),
            found: state.acknowledged.iter().filter(is_there_once).count(),
            counted: number("SELECT ifnull(sum(count), 0) FROM issue_stats")?,
            due: state.due.len(),
            // tocsin's own trouble on a busy machine has no project.
            opened: number("SELECT count(*) FROM incidents WHERE project_id IS NOT NULL")?,
            rung,
            integrity: connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?,
        })
    }

    fn agrees(&self) -> bool {
        self.found == self.acknowledged
            && self.counted == self.acknowledged
            && self.opened == self.due
            && self.rung == self.due
            && self.integrity == "ok"
    }

    fn rows(&self, resent: usize) -> Vec<Vec<String>> {
        let row = |name: &str, number: &dyn ToString, means: String| {
            vec![format!("  {name}"), number.to_string(), means]
        };
        vec![
            row(
                "acknowledged",
                &self.acknowledged,
                format!("events with a 2xx; {resent} requests were sent again"),
            ),
            row("found", &self.found, "of them in the store, exactly once".to_owned()),
            row("counted", &self.counted, "by the issues, all together".to_owned()),
            row(
                "due",
                &self.due,
                "incidents: one for each round in which a critical event was acknowledged".to_owned(),
            ),
            row("opened", &self.opened, "incidents in the store".to_owned()),
            row("rung", &self.rung, "of the due ones with a mail in the mailbox".to_owned()),
            row("integrity_check", &self.integrity, String::new()),
        ]
    }
}

/// How often each event id is stored.
fn count_ids(connection: &Connection) -> anyhow::Result<HashMap<String, u32>> {
    let mut statement = connection.prepare("SELECT id FROM system_errors")?;
    let mut counts = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *counts.entry(row.get(0)?).or_default() += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        let door = Door { project: 1, public_key: "0".repeat(32) };
        Load { doors: vec![door; ROUNDS], entropy: Entropy::seeded(1), state: Mutex::default() }
    }

    #[test]
    fn what_was_not_answered_is_sent_again_and_only_an_answer_makes_it_due() {
        let load = load();
        let first = load.next(Some(3)).unwrap();
        assert!(first.is_fatal, "the first event of a run rings");
        let id = first.id;
        load.again(first);
        assert!(load.lock().due.is_empty());
        let again = load.next(None).unwrap();
        assert_eq!((again.id, again.round), (id, 3));
        load.acknowledged(&again);
        let state = load.lock();
        assert_eq!((state.resent, state.acknowledged.as_slice()), (1, [id].as_slice()));
        assert_eq!(state.due, BTreeSet::from([3]));
        drop(state);
        assert!(load.next(None).is_none());
    }

    #[test]
    fn alarms_of_different_rounds_are_told_apart() {
        assert!(!format!("CheckoutError: {}", what_broke(10)).contains(&what_broke(1)));
    }

    #[test]
    fn every_number_must_agree() {
        let good = Report {
            acknowledged: 9,
            found: 9,
            counted: 9,
            due: 2,
            opened: 2,
            rung: 2,
            integrity: "ok".to_owned(),
        };
        assert!(good.agrees());
        for bad in [
            Report { found: 8, ..good.clone() },
            Report { counted: 10, ..good.clone() },
            Report { opened: 3, ..good.clone() },
            Report { rung: 1, ..good.clone() },
            Report { integrity: "row 1 missing from index".to_owned(), ..good.clone() },
        ] {
            assert!(!bad.agrees(), "{bad:?}");
        }
    }
}
