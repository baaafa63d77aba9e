//! Lists of issues and one issue.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value as Json;

use super::Search;
use crate::accounts::Visible;
use crate::base::text::fold;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Row, Value};

/// An issue in full. Names and order are the outside face and stay.
#[derive(Clone, Debug, Serialize)]
pub struct IssueView {
    pub id: Uid,
    pub short_id: String,
    /// The project's slug.
    pub project: String,
    pub title: String,
    pub culprit: String,
    pub level: String,
    pub severity: String,
    pub class: String,
    pub status: String,
    pub count: i64,
    pub stored: i64,
    pub users: i64,
    /// `users` is an estimate.
    pub users_estimated: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub first_release: Option<String>,
    pub last_release: Option<String>,
    pub environments: Vec<String>,
    pub platform: String,
    pub regressed_at: Option<Timestamp>,
    pub grouping: GroupingView,
    #[serde(skip)]
    pub row_id: i64,
    #[serde(skip)]
    pub project_id: ProjectId,
}

/// Why the events of an issue are together.
#[derive(Clone, Debug, Serialize)]
pub struct GroupingView {
    pub algorithm: String,
    /// 32 hex digits.
    pub key: String,
    pub reason: Json,
}

/// What a list is sorted by, always the greatest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    LastSeen,
    FirstSeen,
    Count,
    Users,
}

impl Sort {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "last_seen" => Some(Self::LastSeen),
            "first_seen" => Some(Self::FirstSeen),
            "count" => Some(Self::Count),
            "users" => Some(Self::Users),
            _ => None,
        }
    }

    const fn column(self) -> &'static str {
        match self {
            Self::LastSeen => "issue_stats.last_seen",
            Self::FirstSeen => "issues.first_seen",
            Self::Count => "issue_stats.count",
            Self::Users => "issue_stats.users",
        }
    }
}

/// Which issues a list shows.
#[derive(Clone, Debug)]
pub struct IssueFilter {
    pub visible: Visible,
    pub project: Option<ProjectId>,
    pub search: Search,
    pub sort: Sort,
    pub after: Option<Cursor>,
    /// At most 100.
    pub limit: u32,
}

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub sort_value: i64,
    pub row_id: i64,
}

impl Cursor {
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (sort_value, rest) = bytes.split_first_chunk::<8>()?;
        let row_id = rest.first_chunk::<8>()?;
        Some(Self { sort_value: i64::from_le_bytes(*sort_value), row_id: i64::from_le_bytes(*row_id) })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = [self.sort_value.to_le_bytes(), self.row_id.to_le_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

#[derive(Clone, Debug)]
pub struct IssuePage {
    pub items: Vec<IssueView>,
    pub next: Option<Cursor>,
}

const COLUMNS: &str = "issues.id, issues.uid, projects.slug, issues.number, issues.title, issues.culprit, \
     issues.level, issues.severity, issues.class, issues.status, issue_stats.count, issue_stats.stored, \
     issue_stats.users, issue_stats.users_exact, issues.first_seen, issue_stats.last_seen, first_release.name, \
     last_release.name, issues.platform, issues.regressed_at, issues.algorithm, issues.reason, issues.project_id, \
     (SELECT json_group_array(name) FROM (SELECT project_names.name FROM issue_environments \
        JOIN project_names ON project_names.id = issue_environments.environment_id \
        WHERE issue_environments.issue_id = issues.id ORDER BY project_names.name LIMIT 20)), \
     (SELECT lower(hex(key)) FROM issue_keys WHERE issue_keys.issue_id = issues.id LIMIT 1)";

/// For lists: the counters lead, because all but one sort goes by them.
const TABLES: &str = "issue_stats CROSS JOIN issues ON issues.id = issue_stats.issue_id \
     JOIN projects ON projects.id = issues.project_id \
     LEFT JOIN project_names AS first_release ON first_release.id = issues.first_release_id \
     LEFT JOIN project_names AS last_release ON last_release.id = issue_stats.last_release_id";

/// For one issue: found by what `issues` has an index for.
const TABLES_OF_ONE: &str = "issues CROSS JOIN issue_stats ON issue_stats.issue_id = issues.id \
     JOIN projects ON projects.id = issues.project_id \
     LEFT JOIN project_names AS first_release ON first_release.id = issues.first_release_id \
     LEFT JOIN project_names AS last_release ON last_release.id = issue_stats.last_release_id";

/// One page of issues, the greatest by the chosen measure first.
pub fn list_issues(tx: &ReadTx<'_>, filter: &IssueFilter) -> Result<IssuePage, Error> {
    let limit = filter.limit.clamp(1, 100);
    let (sql, values) = find_page(filter, limit);
    let mut found = tx.all(&sql, rusqlite::params_from_iter(values), |row| {
        Ok(Cursor { row_id: row.get(0)?, sort_value: row.get(1)? })
    })?;
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().copied().filter(|_| has_more);
    let issues = found.iter().filter_map(|place| find_row(tx, place.row_id).transpose());
    Ok(IssuePage { items: issues.collect::<Result<_, _>>()?, next })
}

/// Who is on a page, and one more. What stands on it is read after: sorting whole issues would read every text of
/// every issue.
fn find_page(filter: &IssueFilter, limit: u32) -> (String, Vec<Value>) {
    let mut clauses = Clauses::default();
    clauses.scope(&filter.visible, filter.project);
    clauses.search(&filter.search);
    let column = filter.sort.column();
    if let Some(after) = filter.after {
        let (value, row) = (clauses.bind(after.sort_value), clauses.bind(after.row_id));
        clauses.and(&format!("({column}, issue_stats.issue_id) < ({value}, {row})"));
    }
    let more = clauses.bind(i64::from(limit) + 1);
    let sql = format!(
        "SELECT issue_stats.issue_id, {column} FROM {TABLES} WHERE {}
         ORDER BY {column} DESC, issue_stats.issue_id DESC LIMIT {more}",
        clauses.text
    );
    (sql, clauses.values)
}

const BY_UID: &str = "issues.uid = ?1";
const BY_ROW: &str = "issues.id = ?1";

fn find_one(by: &str) -> String {
    format!("SELECT {COLUMNS} FROM {TABLES_OF_ONE} WHERE {by}")
}

/// Issues beyond this are not counted: a list says "10,000+".
pub const COUNTED_MAX: i64 = 10_000;

/// Every page counts the unresolved ones: beyond this it says "999+".
const UNRESOLVED_COUNTED_MAX: i64 = 999;

/// How many issues `filter` finds in all its pages, at most one more than [`COUNTED_MAX`].
pub fn count_issues(tx: &ReadTx<'_>, filter: &IssueFilter) -> Result<i64, Error> {
    let mut clauses = Clauses::default();
    clauses.scope(&filter.visible, filter.project);
    clauses.search(&filter.search);
    let most = clauses.bind(COUNTED_MAX + 1);
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {TABLES} WHERE {} LIMIT {most})", clauses.text);
    tx.one(&sql, rusqlite::params_from_iter(clauses.values), |row| row.get(0))
}

/// One issue among those that the caller may see.
pub fn find_issue(tx: &ReadTx<'_>, visible: &Visible, uid: Uid) -> Result<Option<IssueView>, Error> {
    let found = tx.first(&find_one(BY_UID), [uid.as_bytes()], read_issue)?;
    Ok(found.filter(|issue| visible.contains(issue.project_id)))
}

/// An issue by its row, for queries that found it.
pub(super) fn find_row(tx: &ReadTx<'_>, row_id: i64) -> Result<Option<IssueView>, Error> {
    tx.first(&find_one(BY_ROW), [row_id], read_issue)
}

/// Unresolved issues that the caller may see, at most one more than `UNRESOLVED_COUNTED_MAX`.
pub fn count_unresolved(tx: &ReadTx<'_>, visible: &Visible) -> Result<i64, Error> {
    let mut clauses = Clauses::default();
    clauses.scope_of("issues.project_id", visible, None);
    let most = clauses.bind(UNRESOLVED_COUNTED_MAX + 1);
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM issues WHERE status = 'unresolved' AND {} LIMIT {most})",
        clauses.text
    );
    tx.one(&sql, rusqlite::params_from_iter(clauses.values), |row| row.get(0))
}

/// The conditions of a list, with their values.
struct Clauses {
    text: String,
    values: Vec<Value>,
}

impl Default for Clauses {
    fn default() -> Self {
        Self { text: "1".to_owned(), values: Vec::new() }
    }
}

impl Clauses {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, clause: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(clause);
    }

    fn scope(&mut self, visible: &Visible, project: Option<ProjectId>) {
        self.scope_of("issue_stats.project_id", visible, project);
    }

    fn scope_of(&mut self, column: &str, visible: &Visible, project: Option<ProjectId>) {
        if let Some(project) = project {
            let project = self.bind(project.0);
            self.and(&format!("{column} = {project}"));
        }
        if let Visible::Only(projects) = visible {
            let ids: Vec<String> = projects.iter().map(|project| project.0.to_string()).collect();
            // Of several projects an index gives one after the other, which then must be sorted: the plus keeps it
            // from being used for that.
            let plus = if ids.len() > 1 { "+" } else { "" };
            self.and(&format!("{plus}{column} IN ({})", ids.join(", ")));
        }
    }

    fn search(&mut self, search: &Search) {
        if let Some(status) = search.status {
            let status = self.bind(status.as_str().to_owned());
            self.and(&format!("issues.status = {status}"));
        }
        if let Some(level) = search.level {
            let level = self.bind(level.as_str().to_owned());
            self.and(&format!("issues.level = {level}"));
        }
        if let Some(environment) = &search.environment {
            let name = self.bind(environment.clone());
            self.and(&format!(
                "EXISTS (SELECT 1 FROM issue_environments JOIN project_names
                   ON project_names.id = issue_environments.environment_id
                 WHERE issue_environments.issue_id = issues.id AND project_names.name = {name})"
            ));
        }
        if let Some(release) = &search.release {
            let name = self.bind(release.clone());
            self.and(&format!("({name} = last_release.name OR {name} = first_release.name)"));
        }
        if !search.text.is_empty() {
            let part = self.bind(fold(&search.text));
            self.and(&format!("(instr(fold(issues.title), {part}) OR instr(fold(issues.culprit), {part}))"));
        }
    }
}

fn read_issue(row: &Row<'_>) -> rusqlite::Result<IssueView> {
    let project: String = row.get(2)?;
    let number: i64 = row.get(3)?;
    let reason: String = row.get(21)?;
    let environments: String = row.get(23)?;
    Ok(IssueView {
        row_id: row.get(0)?,
        id: Uid::from_bytes(row.get(1)?),
        short_id: format!("{}-{number}", project.to_uppercase()),
        project,
        title: row.get(4)?,
        culprit: row.get(5)?,
        level: row.get(6)?,
        severity: row.get(7)?,
        class: row.get(8)?,
        status: row.get(9)?,
        count: row.get(10)?,
        stored: row.get(11)?,
        users: row.get(12)?,
        users_estimated: !row.get::<_, bool>(13)?,
        first_seen: Timestamp::from_micros(row.get(14)?),
        last_seen: Timestamp::from_micros(row.get(15)?),
        first_release: row.get(16)?,
        last_release: row.get(17)?,
        platform: row.get(18)?,
        regressed_at: row.get::<_, Option<i64>>(19)?.map(Timestamp::from_micros),
        grouping: GroupingView {
            algorithm: row.get(20)?,
            key: row.get::<_, Option<String>>(24)?.unwrap_or_default(),
            reason: serde_json::from_str(&reason).unwrap_or_default(),
        },
        project_id: ProjectId(row.get(22)?),
        environments: serde_json::from_str(&environments).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plans::{Plan, plans_of};
    use crate::store::{Options, Store};

    fn plans(store: &Store, ask: impl Fn(&ReadTx<'_>) -> Result<(), Error>) -> Vec<Plan> {
        store.read_now(|tx| Ok::<_, Error>(plans_of(tx, || ask(tx).unwrap()))).unwrap()
    }

    #[test]
    fn neither_one_issue_nor_the_latest_are_looked_for_among_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let uid = Uid::from_bytes([7; 16]);
        let found = plans(&store, |tx| {
            find_issue(tx, &Visible::All, uid)?;
            find_row(tx, 1).map(drop)
        });
        assert_eq!(found.len(), 2);
        for plan in found {
            assert!(plan.has("SEARCH issues ") && plan.has("SEARCH issue_stats "), "{plan:?}");
            assert!(!plan.has("SCAN issue"), "{plan:?}");
        }
        let (one, two) = (ProjectId(1), ProjectId(2));
        let scopes = [
            (Visible::All, None),
            (Visible::All, Some(one)),
            (Visible::Only(vec![one]), None),
            (Visible::Only(vec![one, two]), None),
            (Visible::Only(vec![one, two]), Some(one)),
        ];
        for (visible, project) in scopes {
            for after in [None, Some(Cursor { sort_value: 7, row_id: 7 })] {
                let (search, sort) = (Search::default(), Sort::LastSeen);
                let filter =
                    IssueFilter { visible: visible.clone(), project, search, sort, after, limit: 50 };
                let found = plans(&store, |tx| list_issues(tx, &filter).map(drop));
                let by_time = ["issue_stats_by_time", "issue_stats_by_last_seen"];
                assert!(by_time.iter().any(|index| found[0].uses(index)), "{found:?}");
                assert!(!found[0].sorts(), "{found:?}");
            }
        }
        store.stop();
    }

    #[test]
    fn a_cursor_survives_a_url() {
        let cursor = Cursor { sort_value: -5, row_id: i64::MAX };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "x", "====", "AAAA"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
