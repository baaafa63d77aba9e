//! The parts that watch from outside: what asks, what judges, and what notices that tocsin could not see.

use std::sync::Arc;

use super::outgoing::read_others;
use super::parts::BuildError;
use crate::base::Clock;
use crate::base::seal::Sealer;
use crate::config::Config;
use crate::engine::{Report, Schedule, Task, Wake};
use crate::incidents::Incidents;
use crate::incidents::maintenance::CoversNow;
use crate::prober::{Asker, Loop, Observed, Prober, Settings, Sight, Trust};
use crate::probes::Probes;
use crate::store::Store;
use crate::telemetry::Registry;

/// What asks, and the loop that is to be driven.
pub(super) fn prober(
    (store, clock): (&Store, &Clock),
    config: &Config,
    (incidents, sealer): (&Arc<Incidents>, &Sealer),
    registry: &Registry,
    (covers, sight): (CoversNow, &Sight),
) -> Result<(Prober, Loop), BuildError> {
    let authorities = read_others(config)?;
    let trust =
        Trust::new(authorities.as_deref()).map_err(|error| BuildError::Outgoing(error.to_string()))?;
    let asker = Asker { clock: clock.clone(), entropy: incidents.entropy.clone(), trust };
    let probes = Probes { incidents: Arc::clone(incidents), sealer: sealer.clone() };
    let settings = Settings {
        concurrency: config.probes.concurrency,
        private_targets: config.probes.private_targets.clone().into(),
        canaries: config.probes.canaries.clone().into(),
        covers: Arc::new(move |project, key| covers.covers(project, key)),
        sight: sight.clone(),
    };
    Ok(Prober::new(store, asker, probes, Observed::register(registry)?, settings))
}

/// Marks every ten seconds that tocsin is awake.
pub(super) fn alive(sight: Sight) -> Task {
    Task::new(
        "vigil.alive",
        "Notes that tocsin is awake, and when it was not",
        Schedule::Every(std::time::Duration::from_secs(10)),
        Wake::ScheduleOnly,
        move || {
            let sight = sight.clone();
            Box::pin(async move {
                Ok(match sight.mark().await? {
                    Some(spell) => Report::Did(format!("tocsin was blind: {}", spell.reason.says())),
                    None => Report::Idle,
                })
            })
        },
    )
}
