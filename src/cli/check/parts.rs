//! The parts that are looked at, in the order in which a person would put them right.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::{Facts, Finding, Part, webhooks};
use crate::base::figures::bytes;
use crate::base::seal::Sealer;
use crate::base::{Timestamp, Uid};
use crate::cli::sql;
use crate::config::{Mode, Origin};
use crate::lifecycle::SEALING_KEY_FILE;
use crate::lifecycle::control::{self, Answer, AskError, Command, Health, StatusOf};
use crate::notify::outbox::seal_context;
use crate::store::limit_time;

pub(super) const PARTS: &[Part] = &[
    Part { name: "configuration", look: configuration },
    Part { name: "data folder", look: data_folder },
    Part { name: "disk", look: disk },
    Part { name: "database", look: database },
    Part { name: "clock", look: clock },
    Part { name: "server", look: server },
    Part { name: "listen address", look: listen_address },
    Part { name: "base URL", look: base_url },
    Part { name: "first owner", look: first_owner },
    Part { name: "sealing key", look: sealing_key },
    Part { name: "channels", look: channels },
    Part { name: "webhook sources", look: webhooks::sources },
    Part { name: "webhook destinations", look: webhooks::destinations },
    Part { name: "dead letters", look: webhooks::dead_letters },
];

/// Less than this and the next hour of a storm does not fit.
const FREE_BYTES_MIN: u64 = 200_000_000;
/// Reading a large database takes longer than a person waits; what was read by then is told.
const DATABASE_TIME: Duration = Duration::from_secs(8);
/// This program is younger than any right clock (2026-01-01).
const EARLIEST: Timestamp = Timestamp::from_secs(1_767_225_600);
/// A database written this far in the future means that the clock went back.
const CLOCK_SLACK: Duration = Duration::from_mins(5);

/// The cure of damage.
const RESTORE: &str = "stop tocsin and restore a backup";

fn configuration(facts: &Facts) -> Finding {
    let loaded = &facts.loaded;
    let holds_secret = loaded.settings.iter().any(|setting| {
        let plain = setting.value.as_deref() == Some("••••");
        plain && matches!(setting.origin, Origin::File { .. })
    });
    if let Some(file) = &loaded.file
        && holds_secret
        && mode_of(file).is_some_and(|mode| mode & 0o044 != 0)
    {
        let shown = file.display();
        return Finding::warn(
            format!("{shown} holds secrets and others may read it"),
            format!("chmod 600 {shown}, or move the secrets to file:PATH or cred:NAME"),
        );
    }
    if !loaded.notes.is_empty() {
        return Finding::warn(
            loaded.notes.join("; "),
            "use the names that `tocsin config check --keys` lists, and leave out what has no effect",
        );
    }
    let file = loaded.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let mode = match loaded.config.server.mode {
        Mode::Production => "production",
        Mode::Development => "development",
    };
    Finding::pass(format!("valid ({file}, mode {mode})"))
}

fn data_folder(facts: &Facts) -> Finding {
    let folder = &facts.loaded.folder.path;
    let shown = folder.display();
    let Some(mode) = mode_of(folder) else {
        return Finding::warn(format!("{shown} is not there yet"), "`tocsin serve` makes it");
    };
    if !folder.is_dir() {
        return Finding::fail(format!("{shown} is no folder"), "choose another one with --data");
    }
    if mode & 0o077 != 0 {
        let text = format!("{shown} is open to other users (mode {mode:o})");
        return Finding::warn(text, format!("chmod 700 {shown}"));
    }
    let key = folder.join(SEALING_KEY_FILE);
    if mode_of(&key).is_some_and(|mode| mode & 0o077 != 0) {
        let shown = key.display();
        return Finding::warn(format!("{shown} is open to other users"), format!("chmod 600 {shown}"));
    }
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
        let text = format!("{shown} cannot be written by this user");
        return Finding::fail(text, "run this as the folder's owner or as root");
    }
    Finding::pass(format!("{shown}, for its owner alone"))
}

fn mode_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.mode() & 0o777)
}

fn disk(facts: &Facts) -> Finding {
    let folder = &facts.loaded.folder.path;
    // Before the first start the folder is missing; its parent is on the same disk.
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let Ok(stat) = rustix::fs::statvfs(existing) else {
        return Finding::warn("free space cannot be read", "look with `df`");
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let used: u64 = ["tocsin.db", "tocsin.db-wal"]
        .iter()
        .filter_map(|name| std::fs::metadata(folder.join(name)).ok())
        .map(|metadata| metadata.len())
        .sum();
    let budget_left = facts.loaded.config.retention.bytes_max.saturating_sub(used);
    judge_disk(free, budget_left)
}

fn judge_disk(free: u64, budget_left: u64) -> Finding {
    let (is_free, may_grow) = (bytes(free), bytes(budget_left));
    if free < FREE_BYTES_MIN {
        let cure = "free some space: nothing can be stored on a full disk";
        return Finding::fail(format!("{is_free} free"), cure);
    }
    if free < budget_left {
        return Finding::warn(
            format!("{is_free} free, but retention.max_gb lets the database grow by {may_grow}"),
            "lower retention.max_gb or enlarge the disk",
        );
    }
    Finding::pass(format!("{is_free} free, the database may grow by {may_grow}"))
}

fn database(facts: &Facts) -> Finding {
    let Some(connection) = open(facts) else {
        return Finding::warn("there is none yet", "`tocsin serve` makes it");
    };
    let checked = connection.and_then(|connection| {
        limit_time(&connection, DATABASE_TIME)?;
        Ok(connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?)
    });
    match checked {
        Ok(answer) if answer == "ok" => Finding::pass("no damage found"),
        Ok(damage) => Finding::fail(damage, RESTORE),
        Err(error) if was_interrupted(&error) => {
            Finding::pass(format!("no damage found in {} s; the rest was not read", DATABASE_TIME.as_secs()))
        }
        Err(error) => Finding::fail(format!("{error:#}"), RESTORE),
    }
}

fn was_interrupted(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    code == Some(ErrorCode::OperationInterrupted)
}

/// `None` before the first start.
pub(super) fn open(facts: &Facts) -> Option<anyhow::Result<Connection>> {
    let path = facts.loaded.folder.path.join("tocsin.db");
    path.exists().then(|| sql::open(&path))
}

/// A number from the database; `None` where there is no database or it cannot be read (`database` tells that).
fn count(facts: &Facts, sql: &str) -> Option<i64> {
    open(facts)?.ok()?.query_row(sql, [], |row| row.get(0)).ok()
}

fn clock(facts: &Facts) -> Finding {
    let database = std::fs::metadata(facts.loaded.folder.path.join("tocsin.db"));
    let written = database.ok().map(|metadata| Timestamp::from_secs(metadata.mtime()));
    judge_clock(facts.now, written)
}

fn judge_clock(now: Timestamp, database_written: Option<Timestamp>) -> Finding {
    let cure = "set it, and keep it set with systemd-timesyncd or chrony";
    if now < EARLIEST {
        return Finding::fail(format!("it says {now}"), cure);
    }
    match database_written {
        Some(written) if written > now + CLOCK_SLACK => {
            Finding::warn(format!("it says {now}, but the database was written at {written}"), cure)
        }
        Some(_) | None => Finding::pass(now.to_string()),
    }
}

fn server(facts: &Facts) -> Finding {
    let start = "`tocsin serve` or `systemctl start tocsin`";
    match control::ask(&facts.loaded.folder.path, &Command::Status { of: StatusOf::Itself }) {
        Ok(Answer::Status(report)) => {
            let text = format!("{} (tocsin {})", report.status.as_str(), report.version);
            let cure = "`tocsin status` tells more";
            match report.status {
                Health::Healthy => Finding::pass(text),
                Health::Degraded | Health::Unknown => Finding::warn(text, cure),
                Health::Unhealthy => Finding::fail(text, cure),
            }
        }
        Ok(_) => Finding::warn("it is of another version", "restart it"),
        Err(AskError::NotRunning) => Finding::warn("it does not run", start),
        Err(
            error @ (AskError::Forbidden
            | AskError::Broken(_)
            | AskError::Silent(_)
            | AskError::Unintelligible),
        ) => Finding::fail(error.to_string(), "look into its log, or restart it"),
    }
}

fn listen_address(facts: &Facts) -> Finding {
    let server = &facts.loaded.config.server;
    let address = server.listen;
    match TcpListener::bind(address) {
        Ok(_) => {}
        // Our own server, most likely: `server` tells whether it answers.
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
        Err(error) => {
            return Finding::fail(
                format!("{address}: {error}"),
                "choose another address or port with --listen, TOCSIN_LISTEN or `listen`",
            );
        }
    }
    let is_https = server.base_url.as_ref().is_some_and(crate::config::BaseUrl::is_https);
    if !address.ip().is_loopback() && !is_https {
        return Finding::warn(
            format!("{address} is open to the network without HTTPS: passwords travel in the clear"),
            "put a proxy with HTTPS in front and set base_url to https://…",
        );
    }
    Finding::pass(address.to_string())
}

fn base_url(facts: &Facts) -> Finding {
    let cure = "set base_url (TOCSIN_BASE_URL) to the address that browsers and applications use";
    match &facts.loaded.config.server.base_url {
        None => Finding::warn("not set: messages carry no links, and only this machine can reach it", cure),
        Some(url) if url.is_loopback() => {
            Finding::warn(format!("{url} is reached from this machine only: messages carry no links"), cure)
        }
        Some(url) if !url.is_https() => Finding::warn(
            format!("{url} is not encrypted: passwords and events travel in the clear"),
            "put a proxy with HTTPS in front and set base_url to https://…",
        ),
        Some(url) => Finding::pass(url.as_str()),
    }
}

fn first_owner(facts: &Facts) -> Finding {
    let link = "`tocsin user link` makes a sign-in link for the first owner";
    match count(facts, "SELECT count(*) FROM users WHERE disabled_at IS NULL") {
        Some(0) => Finding::warn("nobody can sign in yet", link),
        Some(1) => Finding::pass("1 person can sign in"),
        Some(people) => Finding::pass(format!("{people} people can sign in")),
        None if open(facts).is_some() => Finding::warn("the database cannot be read", RESTORE),
        None => Finding::warn("there is no database yet", "`tocsin serve` makes it"),
    }
}

fn sealing_key(facts: &Facts) -> Finding {
    let path = facts.loaded.folder.path.join(SEALING_KEY_FILE);
    let Some(opened) = open(facts) else {
        return Finding::pass("nothing is sealed yet; `tocsin serve` makes it");
    };
    let cure = format!(
        "stop tocsin and restore {} from a backup; without one, enter the secrets of these channels anew",
        path.display()
    );
    let key = match std::fs::read(&path).map(<[u8; 32]>::try_from) {
        Ok(Ok(key)) => key,
        Ok(Err(_)) => return Finding::fail("it is not a key of 32 bytes: tocsin does not start", cure),
        Err(error) => {
            return Finding::fail(format!("it cannot be read ({error}): tocsin does not start"), cure);
        }
    };
    let Ok(sealed) = opened.and_then(|connection| read_sealed(&connection)) else {
        return Finding::pass("it is a key; what it opens cannot be read from the database");
    };
    if sealed.is_empty() {
        return Finding::pass("it is a key; no channel has a secret");
    }
    let sealer = Sealer::new(&key);
    let shut: Vec<&str> = sealed
        .iter()
        .filter(|channel| sealer.open(&channel.secrets, &seal_context(channel.uid)).is_err())
        .map(|channel| channel.name.as_str())
        .collect();
    if !shut.is_empty() {
        return Finding::fail(format!("it does not open the secrets of {}", shut.join(", ")), cure);
    }
    let channels = if sealed.len() == 1 { "channel" } else { "channels" };
    Finding::pass(format!("opens the secrets of {} {channels}", sealed.len()))
}

/// The secrets of a channel, as they are stored.
struct Sealed {
    uid: Uid,
    name: String,
    secrets: Vec<u8>,
}

fn read_sealed(connection: &Connection) -> anyhow::Result<Vec<Sealed>> {
    let mut query = connection
        .prepare("SELECT uid, name, sealed FROM channels WHERE sealed IS NOT NULL ORDER BY position")?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Sealed { uid: Uid::from_bytes(row.get(0)?), name: row.get(1)?, secrets: row.get(2)? })
    };
    Ok(query.query_map([], row)?.collect::<Result<_, _>>()?)
}

fn channels(facts: &Facts) -> Finding {
    let alerts = &facts.loaded.config.alerts;
    let cure = "set one up on the page, or with TOCSIN_SMTP__… and TOCSIN_ALERTS__…";
    let configured = [!alerts.email.is_empty(), alerts.slack.is_some(), alerts.webhook.is_some()];
    let configured = configured.iter().filter(|set| **set).count();
    let look = "look at the channel on the page: it says why, and what helps";
    let broken = names(facts, "state = 'broken'");
    if !broken.is_empty() {
        return Finding::fail(format!("refused for good: {}", broken.join(", ")), look);
    }
    let failing = names(facts, "state = 'ready' AND failures > 0");
    if !failing.is_empty() {
        return Finding::warn(format!("the last try failed: {}", failing.join(", ")), look);
    }
    let usable = names(facts, "state = 'ready'").len();
    if usable == 0 && configured == 0 {
        return Finding::warn("nobody can be rung: there is no channel", cure);
    }
    if usable == 0 {
        return Finding::pass(format!("{configured} in the configuration; they are made at the next start"));
    }
    let untested = names(facts, "state = 'ready' AND delivered_at IS NULL");
    if !untested.is_empty() {
        let untested = untested.join(", ");
        return Finding::pass(format!("{usable} ready; never tested: {untested} (`tocsin send-test` does)"));
    }
    Finding::pass(format!("{usable} ready"))
}

/// The names of the channels to which `condition` applies, in their order; none where they cannot be read (`database`
/// tells that).
fn names(facts: &Facts, condition: &str) -> Vec<String> {
    let read = |connection: Connection| {
        let mut query =
            connection.prepare(&format!("SELECT name FROM channels WHERE {condition} ORDER BY position"))?;
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()
    };
    open(facts).and_then(Result::ok).and_then(|connection| read(connection).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_may_still_come() {
        for (free, budget, expected) in [
            (100_000_000, 0, Verdict::Fail),
            (1_000_000_000, 5_000_000_000, Verdict::Warn),
            (6_000_000_000, 5_000_000_000, Verdict::Pass),
            (1_000_000_000, 0, Verdict::Pass),
        ] {
            assert_eq!(judge_disk(free, budget).verdict, expected, "{free} {budget}");
        }
    }

    #[test]
    fn a_clock_that_went_back_is_noticed() {
        let now = EARLIEST + Duration::from_hours(24);
        for (now, written, expected) in [
            (Timestamp::from_secs(1000), None, Verdict::Fail),
            (now, None, Verdict::Pass),
            (now, Some(now), Verdict::Pass),
            (now, Some(now + Duration::from_hours(1)), Verdict::Warn),
        ] {
            assert_eq!(judge_clock(now, written).verdict, expected);
        }
    }
}
