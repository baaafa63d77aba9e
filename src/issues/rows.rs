//! The rows of one issue as the recorder reads and writes them.

use std::time::Duration;

use super::Payload;
use super::incoming::Incoming;
use crate::accounts::projects;
use crate::base::{ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, WriteTx, params};

/// Whether somebody has dealt with an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Unresolved,
    Resolved,
    Ignored,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Unresolved, Self::Resolved, Self::Ignored];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unresolved => "unresolved",
            Self::Resolved => "resolved",
            Self::Ignored => "ignored",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// What an event is to an issue that was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// It was not, or people know that it is back.
    None,
    /// Of the trouble that was resolved since.
    Late,
    /// It is back, and nobody was told of that yet.
    Back,
}

/// What the recorder needs of an issue.
#[derive(Clone, Debug)]
pub(super) struct IssueRow {
    pub(super) id: i64,
    pub(super) uid: Uid,
    pub(super) title: String,
    pub(super) culprit: String,
    pub(super) status: Status,
    pub(super) status_at: Timestamp,
    /// It rang or went into a digest: to people it is not new.
    pub(super) was_told: bool,
    /// An incident was opened for it before.
    pub(super) has_rung: bool,
    /// When it was resolved before it came back, where nobody was told of that yet: no event since was one that rings.
    pub(super) return_of: Option<Timestamp>,
}

impl IssueRow {
    /// What `event` is to the people who take the issue for mended.
    pub(super) fn recurrence(&self, event: &Incoming) -> Recurrence {
        let mended_at = if self.status == Status::Resolved { Some(self.status_at) } else { self.return_of };
        match mended_at {
            None => Recurrence::None,
            Some(mended_at) if belongs_before(event, mended_at) => Recurrence::Late,
            Some(_) => Recurrence::Back,
        }
    }
}

/// An event that arrives this soon after its issue was resolved and says that it is older belongs to what was
/// resolved. Later ones are believed by when they arrived: clients' clocks may be wrong.
const LATE_EVENTS: Duration = Duration::from_mins(5);

fn belongs_before(event: &Incoming, resolved_at: Timestamp) -> bool {
    let says_so = event.timestamp <= resolved_at && event.received_at < resolved_at + LATE_EVENTS;
    says_so || event.received_at <= resolved_at
}

pub(super) fn find_by_key(
    tx: &ReadTx<'_>,
    project: ProjectId,
    key: &[u8; 16],
) -> Result<Option<IssueRow>, Error> {
    tx.first(
        "SELECT issues.id, issues.uid, issues.title, issues.culprit, issues.status, issues.status_at,
             issues.told_at IS NOT NULL, issues.alarmed_at IS NOT NULL, issues.return_of
         FROM issue_keys JOIN issues ON issues.id = issue_keys.issue_id
         WHERE issue_keys.project_id = ?1 AND issue_keys.key = ?2",
        params![project.0, key],
        |row| {
            let status: String = row.get(4)?;
            Ok(IssueRow {
                id: row.get(0)?,
                uid: Uid::from_bytes(row.get(1)?),
                title: row.get(2)?,
                culprit: row.get(3)?,
                status: Status::parse(&status).unwrap_or(Status::Unresolved),
                status_at: Timestamp::from_micros(row.get(5)?),
                was_told: row.get(6)?,
                has_rung: row.get(7)?,
                return_of: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros),
            })
        },
    )
}

/// Makes the issue that `event` is the first of.
pub(super) fn create(
    tx: &WriteTx<'_>,
    uid: Uid,
    event: &Incoming,
    release: Option<i64>,
) -> Result<IssueRow, Error> {
    let (project, now) = (event.project.0, event.received_at.as_micros());
    let reason = serde_json::to_string(&event.grouping.reason).unwrap_or_else(|_| "{}".to_owned());
    let number = projects::next_issue_number(tx, event.project)?;
    let id = tx.insert(
        "INSERT INTO issues (uid, project_id, number, algorithm, reason, title, culprit, level, severity, class,
             platform, status, status_at, first_seen, first_release_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'unresolved', ?12, ?13, ?14)",
        params![
            uid.as_bytes(),
            project,
            number,
            event.grouping.algorithm,
            reason,
            event.title,
            event.culprit,
            event.level.as_str(),
            event.severity.as_str(),
            event.class.as_str(),
            event.platform,
            now,
            event.timestamp.as_micros(),
            release,
        ],
    )?;
    tx.execute(
        "INSERT INTO issue_keys (project_id, key, algorithm, issue_id) VALUES (?1, ?2, ?3, ?4)",
        params![project, event.grouping.key, event.grouping.algorithm, id],
    )?;
    Ok(IssueRow {
        id,
        uid,
        title: event.title.clone(),
        culprit: event.culprit.clone(),
        status: Status::Unresolved,
        status_at: event.received_at,
        was_told: false,
        has_rung: false,
        return_of: None,
    })
}

/// Opens a resolved issue again, of which nobody is told yet.
pub(super) fn regress(tx: &WriteTx<'_>, issue: &IssueRow, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE issues SET status = 'unresolved', status_at = ?2, status_by = NULL, regressed_at = ?2,
             return_of = status_at
         WHERE id = ?1",
        params![issue.id, now.as_micros()],
    )?;
    Ok(())
}

/// Remembers that an issue rang: it is one that does.
pub(super) fn note_alarm(tx: &WriteTx<'_>, issue: i64, now: Timestamp) -> Result<(), Error> {
    note_told(tx, issue, now)?;
    tx.execute(
        "UPDATE issues SET alarmed_at = ?2 WHERE id = ?1 AND alarmed_at IS NULL",
        params![issue, now.as_micros()],
    )?;
    Ok(())
}

/// Remembers that people hear of an issue as it is now.
pub(super) fn note_told(tx: &WriteTx<'_>, issue: i64, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE issues SET told_at = ifnull(told_at, ?2), return_of = NULL
         WHERE id = ?1 AND (told_at IS NULL OR return_of IS NOT NULL)",
        params![issue, now.as_micros()],
    )?;
    Ok(())
}

/// The counters of an issue: `count = stored + sampled + evicted`.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    pub(super) count: i64,
    pub(super) stored: i64,
    pub(super) sampled: i64,
    /// The UTC day (since 1970) that `stored_today` belongs to.
    pub(super) day: i64,
    pub(super) stored_today: i64,
    pub(super) users: i64,
    pub(super) users_exact: bool,
    pub(super) users_tail: Vec<u8>,
    pub(super) last_seen: Timestamp,
    pub(super) last_release: Option<i64>,
    /// The newest one: releases are numbered as they come.
    pub(super) top_release: Option<i64>,
}

const DAY: Duration = Duration::from_hours(24);

pub(super) fn day_of(at: Timestamp) -> i64 {
    at.floor_to(DAY).as_secs() / 86_400
}

impl Stats {
    pub(super) fn load(tx: &ReadTx<'_>, issue: i64) -> Result<Self, Error> {
        let found = tx.first(
            "SELECT count, stored, sampled, day, stored_today, users, users_exact, users_tail,
                 last_seen, last_release_id, top_release_id
             FROM issue_stats WHERE issue_id = ?1",
            [issue],
            |row| {
                Ok(Self {
                    count: row.get(0)?,
                    stored: row.get(1)?,
                    sampled: row.get(2)?,
                    day: row.get(3)?,
                    stored_today: row.get(4)?,
                    users: row.get(5)?,
                    users_exact: row.get(6)?,
                    users_tail: row.get(7)?,
                    last_seen: Timestamp::from_micros(row.get(8)?),
                    last_release: row.get(9)?,
                    top_release: row.get(10)?,
                })
            },
        )?;
        Ok(found.unwrap_or(Self { users_exact: true, ..Self::default() }))
    }

    /// Starts a new day's count where `at` is of another day.
    pub(super) fn enter_day(&mut self, at: Timestamp) {
        let day = day_of(at);
        if day != self.day {
            (self.day, self.stored_today) = (day, 0);
        }
    }

    /// Writes the counters; `evicted` belongs to retention and is left alone.
    pub(super) fn save(&self, tx: &WriteTx<'_>, project: ProjectId, issue: i64) -> Result<(), Error> {
        tx.execute(
            "INSERT INTO issue_stats (issue_id, project_id, count, stored, sampled, evicted, day, stored_today,
                 users, users_exact, users_tail, last_seen, last_release_id, top_release_id)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (issue_id) DO UPDATE SET count = excluded.count, stored = excluded.stored,
                 sampled = excluded.sampled, day = excluded.day, stored_today = excluded.stored_today,
                 users = excluded.users, users_exact = excluded.users_exact,
                 users_tail = excluded.users_tail, last_seen = excluded.last_seen,
                 last_release_id = excluded.last_release_id, top_release_id = excluded.top_release_id",
            params![
                issue,
                project.0,
                self.count,
                self.stored,
                self.sampled,
                self.day,
                self.stored_today,
                self.users,
                self.users_exact,
                self.users_tail,
                self.last_seen.as_micros(),
                self.last_release,
                self.top_release,
            ],
        )?;
        Ok(())
    }
}

/// Stores a payload and returns its sequence number.
pub(super) fn insert_event(
    tx: &WriteTx<'_>,
    issue: i64,
    event: &Incoming,
    payload: &Payload,
    (environment, release): (Option<i64>, Option<i64>),
) -> Result<i64, Error> {
    tx.insert(
        "INSERT INTO events (project_id, issue_id, event_id, timestamp, received_at, level, environment_id,
             release_id, dictionary_id, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            event.project.0,
            issue,
            event.event.0,
            event.timestamp.as_micros(),
            event.received_at.as_micros(),
            event.level.as_str(),
            environment,
            release,
            payload.dictionary.as_ref().map(|dictionary| dictionary.id),
            payload.bytes,
        ],
    )
}

pub(super) fn add_to_hour(
    tx: &WriteTx<'_>,
    project: ProjectId,
    issue: i64,
    now: Timestamp,
    count: i64,
) -> Result<(), Error> {
    let hour = now.as_secs() / 3600;
    tx.execute(
        "INSERT INTO issue_hours (project_id, hour, issue_id, count) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (project_id, hour, issue_id) DO UPDATE SET count = count + excluded.count",
        params![project.0, hour, issue, count],
    )?;
    Ok(())
}

pub(super) fn seen_in(
    tx: &WriteTx<'_>,
    project: ProjectId,
    issue: i64,
    environment: i64,
) -> Result<(), Error> {
    tx.execute(
        "INSERT OR IGNORE INTO issue_environments (project_id, environment_id, issue_id) VALUES (?1, ?2, ?3)",
        params![project.0, environment, issue],
    )?;
    Ok(())
}
