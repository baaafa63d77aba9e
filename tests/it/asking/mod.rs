//! Questions to servers on this machine, well-behaved and hostile: what is seen, what it costs, whom it blames.

mod clients;
mod dns;
mod hostile;
mod http;
mod reach;
mod server;
mod tcp;
mod tls;

use std::time::Duration;

use serde_json::Value;
use tocsin::base::{Clock, Entropy, Secret};
use tocsin::prober::{Asker, Question, Reach, Trust};
use tocsin::probes::condition::Condition;
use tocsin::probes::{Secrets, Seen, Target};

/// Long enough for a busy machine, short enough to be waited for.
const LIMIT: Duration = Duration::from_secs(10);

fn asker(authorities: Option<&str>) -> Asker {
    let trust = Trust::new(authorities.map(str::as_bytes)).unwrap();
    Asker { clock: Clock::system(), entropy: Entropy::seeded(1), trust }
}

fn question(target: Value) -> Question {
    Question {
        target: read(target),
        secrets: Secrets([("key".to_owned(), Secret::new("open sesame"))].into()),
        reach: Reach::Private,
        timeout: LIMIT,
    }
}

fn read(target: Value) -> Target {
    let target: Target = serde_json::from_value(target).unwrap();
    target.check().unwrap();
    target
}

async fn ask(target: Value) -> Seen {
    asker(None).ask(&question(target)).await
}

async fn ask_within(timeout: Duration, target: Value) -> Seen {
    asker(None).ask(&Question { timeout, ..question(target) }).await
}

/// `phase: reason`, with `?` where the uplink may be to blame; empty where it came to its end.
fn failure(seen: &Seen) -> String {
    seen.failed
        .as_ref()
        .map_or_else(String::new, |failed| format!("{}{failed}", if failed.may_be_ours { "? " } else { "" }))
}

/// Holds every condition against what was seen.
#[track_caller]
fn holds(target: &Target, seen: &Seen, conditions: &[&str]) {
    assert_eq!(failure(seen), "", "{:?}", seen.sample);
    for condition in conditions {
        let read = Condition::parse(condition, &target.kind().fields()).unwrap();
        let finding = read.check(&seen.facts);
        assert!(finding.holds(), "{condition}: {finding:?} in {:?}", seen.sample);
    }
}

/// Every field that a kind lists was seen.
#[track_caller]
fn knows_every_field(target: &Target, seen: &Seen) {
    for field in target.kind().fields().0 {
        holds(target, seen, &[&format!("{} exists", field.name)]);
    }
}
