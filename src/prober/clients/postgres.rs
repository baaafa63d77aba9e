//! PostgreSQL: sign-in, a query, and a look at one table, in a read-only transaction.

mod frames;
mod sign_in;
mod table;

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::Value as Json;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use super::question::{Looking, With};
use crate::probes::condition::{Tree, Value};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{Postgres, PostgresAddress};
use frames::Frames;

/// More rows are not read.
const ROWS_MAX: usize = 1000;
/// Of a message of the server that is repeated in an alarm.
const REASON_CHARS_MAX: usize = 200;
/// How long the farewell may take once everything is known: the server notes a connection that just breaks.
const FAREWELL: Duration = Duration::from_millis(100);
/// Kept from the time limit for everything after a statement, so that the server ends it and says so.
const MARGIN: Duration = Duration::from_millis(200);

pub(super) async fn ask(target: &Postgres, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let began = Instant::now();
    let address = PostgresAddress::parse(&target.url).map_err(|bad| Failed::setup(format!("url: {bad}")))?;
    let wire = sign_in::open(&address, with, looking).await?;
    looking.phase = Phase::Answer;
    looking.marks.begin(None);
    let opening = sign_in::config(&address).connect_raw(Frames::new(wire), NoTls).await;
    let (client, connection) = opening.map_err(|error| failed(&error, looking))?;
    let mut connection = pin!(connection);
    let session = Session { client, began, timeout: with.timeout };
    let end = {
        let mut working = pin!(session.work(target, looking));
        tokio::select! {
            biased;
            result = &mut working => Ok(result),
            // By itself the connection ends only where it breaks. The last word of the server may have come right
            // before; more does not come.
            end = &mut connection => match working.now_or_never() {
                Some(result) => return result,
                None => Err(end),
            },
        }
    };
    match end {
        Ok(result) => {
            if result.is_ok() {
                looking.knows_all(with);
            }
            tokio::time::timeout(FAREWELL, connection).await.ok();
            result
        }
        Err(Err(error)) => Err(failed(&error, looking)),
        Err(Ok(())) => Err(looking.failed("the connection was closed")),
    }
}

struct Session {
    client: Client,
    began: Instant,
    timeout: Duration,
}

impl Session {
    async fn work(self, target: &Postgres, looking: &mut Looking) -> Result<(), Failed> {
        self.begin(looking).await?;
        self.query(target.query.as_deref().unwrap_or("SELECT 1"), looking).await?;
        match &target.table {
            Some(table) => table::look(&self, table, target.time_column.as_deref(), looking).await,
            None => Ok(()),
        }
    }

    /// Nothing that is asked may change anything, or run on after nobody waits for it.
    async fn begin(&self, looking: &Looking) -> Result<(), Failed> {
        let begin = format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {}", self.left().as_millis());
        self.client.batch_execute(&begin).await.map_err(|error| failed(&error, looking))
    }

    /// Time that a statement may still take.
    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.began.elapsed() + MARGIN).max(Duration::from_millis(10))
    }

    async fn query(&self, query: &str, looking: &mut Looking) -> Result<(), Failed> {
        let query = query.trim().trim_end_matches(';');
        // The server writes the first row as JSON, whatever its types are, and the others not at all. The line break
        // ends a comment.
        let query = format!(
            "SELECT CASE WHEN row_number() OVER () = 1 THEN to_json(asked)::text END FROM (\n{query}\n) AS asked LIMIT {ROWS_MAX}"
        );
        let began = Instant::now();
        let rows = self.client.query_typed(&query, &[]).await;
        let took = began.elapsed();
        looking.phases.answer = Some(took);
        looking.facts.set("time.query", Value::seconds(took.as_secs_f64()));
        let rows = rows.map_err(|error| self.statement_failed(&error, looking))?;
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
        looking.facts.set("rows", Value::plain(rows.len() as f64));
        let first: Option<String> = rows.first().and_then(|row| row.try_get(0).ok().flatten());
        let first: Json = first.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        looking.sample.head = match rows.len() {
            1 => "1 row".to_owned(),
            ROWS_MAX => format!("{ROWS_MAX} rows or more"),
            count => format!("{count} rows"),
        };
        if first.is_object() {
            looking.sample.body = serde_json::to_string_pretty(&first).unwrap_or_default();
            looking.facts.set_tree("result", Tree::of_json(first));
        }
        Ok(())
    }

    /// The first column of the only row, as text.
    async fn text(&self, statement: &str, name: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let rows = self.client.query_typed(statement, &[(&name, Type::TEXT)]).await?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok().flatten()))
    }

    /// The first column of the only row, as a number.
    async fn number(&self, statement: &str) -> Result<Option<f64>, tokio_postgres::Error> {
        let rows = self.client.query_typed(statement, &[]).await?;
        Ok(rows.first().and_then(|row| row.try_get(0).ok().flatten()))
    }

    async fn run(&self, statement: &str, looking: &Looking) -> Result<(), Failed> {
        self.client.batch_execute(statement).await.map_err(|error| failed(&error, looking))
    }

    fn statement_failed(&self, error: &tokio_postgres::Error, looking: &Looking) -> Failed {
        if is_overdue(error) {
            let limit = crate::base::span::format(Duration::from_millis(
                u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
            ));
            return looking.failed(format!("the query did not end within the time limit of {limit}"));
        }
        failed(error, looking)
    }
}

fn is_overdue(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::QUERY_CANCELED)
}

/// What the server said, or what became of the connection.
fn failed(error: &tokio_postgres::Error, looking: &Looking) -> Failed {
    use std::error::Error as _;
    if let Some(said) = error.as_db_error() {
        let said = format!("{} ({})", said.message(), said.code().code());
        return looking.failed(looking.quote(&said, REASON_CHARS_MAX));
    }
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    match source {
        Some(error) => looking.broken(error),
        None if error.is_closed() => looking.failed("the connection was closed"),
        None => {
            let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            let said = looking.quote(&said, 100);
            looking.failed(format!("what answers is no PostgreSQL, or not as expected: {said}"))
        }
    }
}
