//! `[probes]`: how the loop that asks works.

use serde::Deserialize;

use super::Network;
use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "probes.concurrency",
        Kind::Whole { min: 1, max: 4096 },
        Some("512"),
        "Probes under way at once; the rest waits its turn. Each takes a connection.",
    ),
    Key::new(
        "probes.private_targets",
        Kind::List,
        Some(""),
        "Private networks, such as `10.0.0.0/8`, that probes made on the page or by the API may reach. Probes of files may reach all; link-local and metadata addresses none may.",
    ),
    Key::new(
        "probes.canaries",
        Kind::List,
        Some("1.1.1.1:443,8.8.8.8:443,9.9.9.9:443"),
        "Addresses as `host:port` that always answer. Where a probe gets no answer and none of them does either, it is this machine's network that is gone: probes and heartbeats are not judged until one answers again, and after two minutes you are told. Empty: off.",
    ),
];

/// More canaries tell no more.
const CANARIES_MAX: usize = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    pub concurrency: usize,
    pub private_targets: Vec<Network>,
    /// `host:port`, at most ten.
    pub canaries: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    concurrency: usize,
    private_targets: Vec<String>,
    canaries: Vec<String>,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Probes> {
    let Raw { concurrency, private_targets, canaries } = values.section("probes", problems)?;
    let networks: Result<Vec<Network>, String> = private_targets.iter().map(|text| text.parse()).collect();
    let networks = networks.map_err(|why| problems.push(values.problem("probes.private_targets", why))).ok();
    let wrong = canaries.iter().find(|canary| !is_canary(canary));
    let canaries = match wrong {
        Some(wrong) => {
            let why = format!("`{wrong}` is not an address such as 1.1.1.1:443");
            problems.push(values.problem("probes.canaries", why));
            None
        }
        None if canaries.len() > CANARIES_MAX => {
            let why = format!("takes at most {CANARIES_MAX} addresses");
            problems.push(values.problem("probes.canaries", why));
            None
        }
        None => Some(canaries),
    };
    Some(Probes { concurrency, private_targets: networks?, canaries: canaries? })
}

fn is_canary(text: &str) -> bool {
    text.rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}
