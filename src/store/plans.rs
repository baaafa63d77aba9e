//! For tests: the plans of the statements that the product runs. A test that wrote statements of its own would go on
//! passing when the product asks something else.

use std::cell::RefCell;
use std::fmt;

use super::ReadTx;

thread_local! {
    /// `None` where nobody records.
    static SEEN: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Remembers a statement that is about to run.
pub(super) fn note(sql: &str) {
    SEEN.with_borrow_mut(|seen| {
        if let Some(seen) = seen.as_mut().filter(|seen| !seen.iter().any(|known| known == sql)) {
            seen.push(sql.to_owned());
        }
    });
}

/// How SQLite runs one statement.
pub(crate) struct Plan {
    sql: String,
    steps: Vec<String>,
}

/// The plans of what `work` runs in `tx`, each statement once.
pub(crate) fn plans_of<T>(tx: &ReadTx<'_>, work: impl FnOnce() -> T) -> Vec<Plan> {
    SEEN.set(Some(Vec::new()));
    work();
    let seen = SEEN.take().unwrap_or_default();
    // Savepoints have no plan.
    seen.into_iter().map(|sql| explain(tx, sql)).filter(|plan| !plan.steps.is_empty()).collect()
}

fn explain(tx: &ReadTx<'_>, sql: String) -> Plan {
    let mut statement = tx.connection().prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // The plan does not look at the values.
    let steps = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>().unwrap();
    Plan { sql, steps }
}

impl Plan {
    /// Whether a table is read by the index of this name.
    pub(crate) fn uses(&self, index: &str) -> bool {
        self.steps.iter().any(|step| step.split(' ').any(|word| word == index))
    }

    /// Whether a table, or its alias in the statement, is read from end to end.
    pub(crate) fn scans(&self, table: &str) -> bool {
        let mut scanned = self.steps.iter().filter_map(|step| step.strip_prefix("SCAN "));
        scanned.any(|name| name == table || self.sql.contains(&format!("{table} {name}")))
    }

    /// Whether a step begins so.
    pub(crate) fn has(&self, step: &str) -> bool {
        self.steps.iter().any(|known| known.starts_with(step))
    }

    /// Whether rows are put in order after they were found.
    pub(crate) fn sorts(&self) -> bool {
        self.has("USE TEMP B-TREE")
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.sql, self.steps.join("\n  "))
    }
}
