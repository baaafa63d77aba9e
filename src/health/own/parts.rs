//! tocsin on one screen: store, disk, outbox, tasks, intake.

use std::time::Duration;

use super::judge::{Trouble, span};
use super::look::{Look, Outbox};
use super::{Known, Standing};
use crate::base::figures::bytes;
use crate::health::{Health, PartHealth};

/// What is known at the moment of asking, beside the last look.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Time that passed, as [`Look::passed`].
    pub passed: Duration,
    /// The last commit failed.
    pub commits_fail: bool,
    pub disk_full: bool,
    /// Why nothing can be read or written, where that was tried and is so; or the damage that was met.
    pub broken: Option<String>,
    pub tasks: Vec<TaskFacts>,
}

/// A background task, as far as its health goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    pub name: &'static str,
    /// Why its last run failed.
    pub failed: Option<String>,
    pub running: bool,
    /// How long its next run has been due.
    pub late: Duration,
}

/// A task that is later than this does not run any more.
const OVERDUE_AFTER: Duration = Duration::from_mins(1);
/// Looks come every ten seconds.
const LOOK_IS_OLD_AFTER: Duration = Duration::from_mins(1);

/// Every part with its state. The whole is the worst of them.
pub fn parts(known: &Known, live: &Live) -> Vec<PartHealth> {
    let is_fresh = |look: &&Look| live.passed.saturating_sub(look.passed) < LOOK_IS_OLD_AFTER;
    let look = known.look.as_ref().filter(is_fresh);
    vec![
        store(known, look, live),
        disk(look, &known.standing, live),
        outbox(look, &known.standing),
        tasks(live),
        intake(look, &known.standing, live),
    ]
}

/// One line for the service manager: how it is, what is open, what waits, what comes in; or why nothing works.
pub fn status_line(known: &Known, parts: &[PartHealth]) -> String {
    let health = Health::of(parts);
    if let Some(part) = parts.iter().find(|part| part.status == Health::Unhealthy) {
        return format!("{} · {}", health.as_str(), part.text);
    }
    let Some(look) = &known.look else { return format!("{} · starting", health.as_str()) };
    let outbox = look.outbox.clone().unwrap_or_default();
    format!(
        "{} · {} open incidents · {} messages to send · {:.1} events/s",
        health.as_str(),
        outbox.open_incidents(),
        outbox.pending + outbox.waiting,
        look.events_per_second
    )
}

fn store(known: &Known, look: Option<&Look>, live: &Live) -> PartHealth {
    let part = |status, text: String| PartHealth::new("store", status, text);
    // A failure stands until a later look proves otherwise, however long that takes.
    let unproven = || known.look.as_ref().and_then(|look| look.proof.failure());
    if let Some(why) = live.broken.clone().or_else(unproven) {
        return part(Health::Unhealthy, why);
    }
    if live.commits_fail {
        return part(Health::Degraded, "the last commit failed; reading works".to_owned());
    }
    if let Some(text) = worst(&known.standing, &[Trouble::Commits, Trouble::Latency]) {
        return part(Health::Degraded, text);
    }
    match look {
        Some(look) => {
            part(Health::Healthy, format!("writes and reads; slowest write {}", span(look.slowest_batch)))
        }
        None => part(Health::Healthy, "writes and reads".to_owned()),
    }
}

fn disk(look: Option<&Look>, standing: &Standing, live: &Live) -> PartHealth {
    let part = |status, text: String| PartHealth::new("disk", status, text);
    if live.disk_full {
        return part(Health::Degraded, "full: nothing more is stored until there is room".to_owned());
    }
    if let Some(text) = worst(standing, &[Trouble::Disk, Trouble::Budget]) {
        return part(Health::Degraded, text);
    }
    match look.and_then(|look| look.disk) {
        Some(disk) => part(
            Health::Healthy,
            format!("{} of {} are free", bytes(disk.free_bytes), bytes(disk.total_bytes)),
        ),
        None => part(Health::Unknown, "not looked at yet, or the file system does not tell".to_owned()),
    }
}

fn outbox(look: Option<&Look>, standing: &Standing) -> PartHealth {
    let part = |status, text: String| PartHealth::new("outbox", status, text);
    if let Some(text) = worst(standing, &[Trouble::Outbox]) {
        return part(Health::Degraded, text);
    }
    let Some(outbox) = look.and_then(|look| look.outbox.as_ref()) else {
        return part(Health::Unknown, "not looked at yet".to_owned());
    };
    let Outbox { pending, waiting, channels_ready, channels_off, off_names, untested_names, .. } = outbox;
    match (*channels_ready, *channels_off, *waiting, *pending) {
        (0, 0, 0, _) => part(Health::Healthy, "no channel is set up: nobody can be rung".to_owned()),
        (0, 0, waiting, _) => {
            let waiting = counted(waiting, "message waits", "messages wait");
            part(Health::Degraded, format!("{waiting}: no channel is set up to ring anybody"))
        }
        (0, ..) => part(Health::Degraded, format!("nobody can be rung: {off_names} cannot ring")),
        (_, 1.., ..) => {
            part(Health::Degraded, format!("paused, failing or broken: {off_names}; the other channels ring"))
        }
        (_, 0, 0, 0) if !untested_names.is_empty() => {
            part(Health::Healthy, format!("nothing waits; never tested: {untested_names}"))
        }
        (_, 0, 0, 0) => part(Health::Healthy, "everything is delivered".to_owned()),
        (_, 0, waiting, pending) => {
            let under_way = counted(waiting + pending, "message is", "messages are");
            part(Health::Healthy, format!("{under_way} on the way"))
        }
    }
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn tasks(live: &Live) -> PartHealth {
    let mut wrong: Vec<String> = Vec::new();
    for task in &live.tasks {
        if let Some(why) = &task.failed {
            wrong.push(format!("{} failed: {why}", task.name));
        } else if !task.running && task.late > OVERDUE_AFTER {
            wrong.push(format!("{} is overdue", task.name));
        }
    }
    if wrong.is_empty() {
        return PartHealth::new("tasks", Health::Healthy, format!("{} run as planned", live.tasks.len()));
    }
    PartHealth::new("tasks", Health::Degraded, wrong.join("; "))
}

fn intake(look: Option<&Look>, standing: &Standing, live: &Live) -> PartHealth {
    let part = |status, text: String| PartHealth::new("intake", status, text);
    if live.disk_full {
        return part(Health::Degraded, "refused while the disk is full".to_owned());
    }
    if standing.contains_key(&Trouble::Budget) {
        return part(Health::Degraded, "refused: the byte budget is used up".to_owned());
    }
    if let Some(text) = worst(standing, &[Trouble::Queue]) {
        return part(Health::Degraded, text);
    }
    match look {
        Some(look) => {
            let (rate, waiting) = (look.events_per_second, look.waiting);
            part(Health::Healthy, format!("{rate:.1} events/s, {waiting} waiting to be written"))
        }
        None => part(Health::Healthy, "open".to_owned()),
    }
}

fn worst(standing: &Standing, of: &[Trouble]) -> Option<String> {
    let bad = of.iter().filter_map(|trouble| standing.get(trouble)).max_by_key(|bad| bad.severity)?;
    Some(bad.summary.clone())
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{NOW, PASSED, calm};
    use super::super::judge::{Bad, judge};
    use super::super::look::Proof;
    use super::*;
    use crate::base::Severity;

    fn known(look: Look) -> Known {
        Known { look: Some(look), ..Known::default() }
    }

    fn live() -> Live {
        Live { passed: PASSED, ..Live::default() }
    }

    fn status(known: &Known, live: &Live, name: &str) -> (Health, String) {
        let part = parts(known, live).into_iter().find(|part| part.name == name).unwrap();
        (part.status, part.text)
    }

    #[test]
    fn when_all_is_well_every_part_says_so() {
        let found = parts(&known(calm()), &live());
        assert_eq!(Health::of(&found), Health::Healthy, "{found:?}");
        let names: Vec<_> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["store", "disk", "outbox", "tasks", "intake"]);
    }

    #[test]
    fn a_full_disk_degrades_and_a_store_that_answers_nobody_is_unhealthy() {
        let full = Live { disk_full: true, ..live() };
        let found = parts(&known(calm()), &full);
        assert_eq!(Health::of(&found), Health::Degraded);
        let broken = Live { broken: Some("no write was committed".to_owned()), ..live() };
        assert_eq!(Health::of(&parts(&known(calm()), &broken)), Health::Unhealthy);
    }

    #[test]
    fn a_store_whose_last_proof_failed_is_unhealthy_until_a_later_one_succeeds() {
        let failed = Proof::Failed("database disk image is malformed".to_owned());
        for (proof, expected) in [
            (failed, Health::Unhealthy),
            (Proof::Silent(Duration::from_secs(8)), Health::Unhealthy),
            (Proof::DiskFull, Health::Healthy),
            (Proof::Refused, Health::Healthy),
        ] {
            let known = known(Look { proof: proof.clone(), ..calm() });
            assert_eq!(status(&known, &live(), "store").0, expected, "{proof:?}");
            let late = Live { passed: PASSED + Duration::from_mins(2), ..live() };
            assert_eq!(status(&known, &late, "store").0, expected, "{proof:?}");
        }
    }

    #[test]
    fn standing_trouble_is_told_in_its_own_words() {
        let mut known = known(calm());
        let bad = Bad { severity: Severity::High, summary: "slow".to_owned(), since: NOW };
        known.standing.insert(Trouble::Latency, bad);
        assert_eq!(status(&known, &live(), "store"), (Health::Degraded, "slow".to_owned()));
    }

    #[test]
    fn a_byte_budget_that_is_used_up_closes_intake() {
        let look = Look { over_budget: true, ..calm() };
        let standing: Standing = judge(&look, &Standing::new()).into_iter().collect();
        assert_eq!(standing[&Trouble::Budget].severity, Severity::Critical);
        let known = Known { look: Some(look), standing, ..Known::default() };
        assert_eq!(status(&known, &live(), "disk").0, Health::Degraded);
        assert_eq!(status(&known, &live(), "intake").0, Health::Degraded);
    }

    #[test]
    fn an_old_look_is_no_knowledge() {
        let late = Live { passed: PASSED + Duration::from_mins(2), ..live() };
        assert_eq!(status(&known(calm()), &late, "outbox").0, Health::Unknown);
        assert_eq!(status(&known(calm()), &late, "disk").0, Health::Unknown);
    }

    #[test]
    fn messages_nobody_can_hear_degrade_the_outbox() {
        let cases = [
            (0, 0, 0, Health::Healthy),
            (0, 0, 3, Health::Degraded),
            (0, 1, 0, Health::Degraded),
            (1, 1, 0, Health::Degraded),
            (1, 0, 0, Health::Healthy),
        ];
        for (channels_ready, channels_off, waiting, expected) in cases {
            let mut look = calm();
            look.outbox = Some(Outbox { waiting, channels_ready, channels_off, ..Outbox::default() });
            let found = status(&known(look), &live(), "outbox");
            assert_eq!(found.0, expected, "{channels_ready} {channels_off} {waiting}: {}", found.1);
        }
    }

    #[test]
    fn a_task_that_failed_or_is_late_is_named() {
        let task = |name, failed: Option<&str>, late_s: u64| TaskFacts {
            name,
            failed: failed.map(str::to_owned),
            running: false,
            late: Duration::from_secs(late_s),
        };
        let tasks = vec![task("a", None, 1), task("b", Some("no luck"), 0), task("c", None, 61)];
        let (health, text) = status(&known(calm()), &Live { tasks, ..live() }, "tasks");
        assert_eq!((health, text.as_str()), (Health::Degraded, "b failed: no luck; c is overdue"));
    }

    #[test]
    fn the_status_line_counts_what_matters() {
        let mut look = calm();
        look.events_per_second = 12.34;
        look.outbox = Some(Outbox { open: [0, 0, 1, 2], pending: 4, ..Outbox::default() });
        let part = |status| [PartHealth::new("store", status, "no write was committed")];
        let line = status_line(&known(look), &part(Health::Degraded));
        assert_eq!(line, "degraded · 3 open incidents · 4 messages to send · 12.3 events/s");
        assert_eq!(status_line(&Known::default(), &part(Health::Healthy)), "healthy · starting");
        let line = status_line(&known(calm()), &part(Health::Unhealthy));
        assert_eq!(line, "unhealthy · no write was committed");
    }
}
