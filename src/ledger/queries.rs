//! The ledger's table.

use std::collections::HashMap;

use serde::Serialize;

use super::{Category, Outcome, Reason};
use crate::base::{ProjectId, Timestamp};
use crate::store::{self, ReadTx, Row, WriteTx, params};

/// One line of the ledger, summed over the hours asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub reason: Reason,
    pub category: Category,
    pub quantity: u64,
}

/// Some lines, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinePage {
    pub items: Vec<Line>,
    /// URL-safe; hand it to [`list`] as `after`.
    pub next_cursor: Option<String>,
}

/// One line of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970, UTC.
    pub day: i64,
    pub line: Line,
}

const SECONDS_PER_HOUR: i64 = 3600;
const HOURS_PER_DAY: i64 = 24;
/// Every reason of every category for a month; both sets are closed.
const DAILY_MAX: i64 = 20_000;
/// Stands in the table for "no project that exists"; project numbers begin at 1.
pub const NO_PROJECT: ProjectId = ProjectId(0);

/// Adds `outcomes` to the hour of `now`; equal ones are summed first, so that each row is written once.
pub fn add(tx: &WriteTx<'_>, now: Timestamp, outcomes: &[Outcome]) -> Result<(), store::Error> {
    let mut sums: HashMap<(i64, Reason, Category), u64> = HashMap::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.quantity > 0) {
        let project = outcome.project.unwrap_or(NO_PROJECT).0;
        let sum = sums.entry((project, outcome.reason, outcome.category)).or_default();
        *sum = sum.saturating_add(outcome.quantity);
    }
    for ((project, reason, category), quantity) in sums {
        // A client report may claim any number.
        let quantity = i64::try_from(quantity).unwrap_or(i64::MAX).min(QUANTITY_MAX);
        tx.execute(
            "INSERT INTO outcomes (project_id, hour, reason, category, quantity) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (project_id, hour, reason, category)
             DO UPDATE SET quantity = min(quantity + excluded.quantity, ?6)",
            params![project, hour(now), reason.to_string(), category.as_str(), quantity, QUANTITY_MAX],
        )?;
    }
    Ok(())
}

/// Above any real count of an hour, and so far below `i64::MAX` that no sum over a page's rows overflows.
const QUANTITY_MAX: i64 = 1 << 40;

const LIST: &str = "
    SELECT reason, category, sum(quantity) FROM outcomes
    WHERE project_id IN (SELECT value FROM json_each(?1)) AND hour >= ?2
      AND (reason, category) > (?3, ?4)
    GROUP BY reason, category ORDER BY reason, category LIMIT ?5";

/// The lines of `projects` since the hour of `since`, by reason and category; at most `limit`.
pub fn list(
    tx: &ReadTx<'_>,
    projects: &[ProjectId],
    since: Timestamp,
    after: Option<&str>,
    limit: usize,
) -> Result<LinePage, store::Error> {
    let (reason, category) = after.and_then(|cursor| cursor.split_once('.')).unwrap_or_default();
    let ask = i64::try_from(limit).unwrap_or(i64::MAX - 1).saturating_add(1);
    let mut items = tx.all(LIST, params![ids(projects), hour(since), reason, category, ask], line)?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|line| format!("{}.{}", line.reason, line.category));
    Ok(LinePage { items, next_cursor })
}

/// The sums of `projects` by reason, category and UTC day since the day of `since`, the oldest day first.
pub fn daily(tx: &ReadTx<'_>, projects: &[ProjectId], since: Timestamp) -> Result<Vec<Day>, store::Error> {
    tx.all(
        "SELECT reason, category, sum(quantity), hour / 24 FROM outcomes
         WHERE project_id IN (SELECT value FROM json_each(?1)) AND hour >= ?2
         GROUP BY hour / 24, reason, category ORDER BY hour / 24, reason, category LIMIT ?3",
        params![ids(projects), hour(since).div_euclid(HOURS_PER_DAY) * HOURS_PER_DAY, DAILY_MAX],
        |row| Ok(Day { day: row.get(3)?, line: line(row)? }),
    )
}

/// Deletes at most `limit` rows older than the hour of `before`, whosever they are; returns how many went.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, store::Error> {
    tx.execute(
        "DELETE FROM outcomes WHERE (project_id, hour, reason, category) IN
           (SELECT project_id, hour, reason, category FROM outcomes WHERE hour < ?1 ORDER BY hour LIMIT ?2)",
        params![hour(before), limit],
    )
}

fn hour(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(SECONDS_PER_HOUR)
}

fn quantity(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn ids(projects: &[ProjectId]) -> String {
    serde_json::to_string(projects).unwrap_or_default()
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    let category = Category::known_or_default(row.get_ref(1)?.as_str()?);
    Ok(Line { reason: reason(row)?, category, quantity: quantity(row, 2)? })
}

/// Column 0. A word this program does not know was written by a newer one; it is shown among the invalid.
fn reason(row: &Row<'_>) -> rusqlite::Result<Reason> {
    Ok(row.get_ref(0)?.as_str()?.parse().unwrap_or(Reason::Invalid))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::ClientReason;
    use crate::store::plans::plans_of;
    use crate::store::{Options, Store};

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const SHOP: ProjectId = ProjectId(1);
    const BLOG: ProjectId = ProjectId(2);

    fn open() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        (folder, store)
    }

    fn outcome(project: ProjectId, reason: Reason, category: Category, quantity: u64) -> Outcome {
        Outcome { project: Some(project), reason, category, quantity }
    }

    fn add_now(store: &Store, now: Timestamp, outcomes: Vec<Outcome>) {
        store.write_now("ledger", move |tx| add(tx, now, &outcomes)).unwrap();
    }

    fn lines(store: &Store, projects: &'static [ProjectId], since: Timestamp) -> Vec<(String, u64)> {
        let page = store.read_now(|tx| list(tx, projects, since, None, 100)).unwrap();
        page.items.iter().map(|line| (format!("{}.{}", line.reason, line.category), line.quantity)).collect()
    }

    #[test]
    fn equal_outcomes_are_summed_over_items_hours_and_visible_projects() {
        let (_folder, store) = open();
        let sampled = |project, quantity| outcome(project, Reason::Sampled, Category::Error, quantity);
        add_now(&store, NOON, vec![sampled(SHOP, 2), sampled(SHOP, 3), sampled(BLOG, 10), sampled(SHOP, 0)]);
        add_now(&store, NOON + HOUR, vec![sampled(SHOP, 1)]);
        let unknown =
            Outcome { project: None, reason: Reason::UnknownKey, category: Category::Default, quantity: 7 };
        add_now(&store, NOON, vec![unknown]);
        assert_eq!(lines(&store, &[SHOP], NOON), [("sampled.error".to_owned(), 6)]);
        assert_eq!(lines(&store, &[SHOP, BLOG], NOON), [("sampled.error".to_owned(), 16)]);
        assert_eq!(lines(&store, &[SHOP], NOON + HOUR), [("sampled.error".to_owned(), 1)]);
        assert_eq!(lines(&store, &[], NOON), []);
        store.stop();
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let (_folder, store) = open();
        let all: Vec<_> = Reason::OWN
            .into_iter()
            .chain([Reason::Client(ClientReason::known_or_other("before_send"))])
            .flat_map(|reason| Category::ALL.map(|category| outcome(SHOP, reason, category, 1)))
            .collect();
        let expected = all.len();
        add_now(&store, NOON, all);
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = store.read_now(|tx| list(tx, &[SHOP], NOON, cursor.as_deref(), 50)).unwrap();
            assert!(page.items.len() <= 50);
            seen.extend(page.items.iter().map(|line| (line.reason, line.category)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected);
        seen.sort_by_key(|(reason, category)| (reason.to_string(), category.as_str()));
        seen.dedup();
        assert_eq!(seen.len(), expected);
        store.stop();
    }

    #[test]
    fn an_absurd_claim_of_a_client_does_not_overflow_anything() {
        let (_folder, store) = open();
        let claim =
            outcome(SHOP, Reason::Client(ClientReason::known_or_other("x")), Category::Error, u64::MAX);
        add_now(&store, NOON, vec![claim, claim]);
        add_now(&store, NOON, vec![claim]);
        add_now(&store, NOON + HOUR, vec![claim]);
        assert_eq!(lines(&store, &[SHOP], NOON), [("client:other.error".to_owned(), 2 << 40)]);
        store.stop();
    }

    #[test]
    fn old_hours_go_in_bounded_steps() {
        let (_folder, store) = open();
        for hours in 0..5 {
            let one = outcome(SHOP, Reason::Filtered, Category::Error, 1);
            add_now(&store, NOON + HOUR * hours, vec![one, Outcome { project: None, ..one }]);
        }
        let before = NOON + HOUR * 3;
        let step = |limit| store.write_now("purge", move |tx| purge(tx, before, limit)).unwrap();
        // Of every project, and of none.
        assert_eq!([step(4), step(4), step(4)], [4, 2, 0]);
        assert_eq!(lines(&store, &[SHOP], NOON), [("filtered.error".to_owned(), 2)]);
        let left: i64 =
            store.read_now(|tx| tx.one("SELECT count(*) FROM outcomes", [], |row| row.get(0))).unwrap();
        assert_eq!(left, 4);
        store.stop();
    }

    #[test]
    fn a_page_reads_only_its_projects_hours() {
        let (_folder, store) = open();
        let read = |tx: &ReadTx<'_>| {
            Ok::<_, store::Error>(plans_of(tx, || list(tx, &[SHOP], NOON, None, 100).unwrap()))
        };
        let plans = store.read_now(read).unwrap();
        assert!(plans[0].has("SEARCH outcomes USING PRIMARY KEY (project_id=? AND hour>?)"), "{plans:?}");
        store.stop();
    }
}
