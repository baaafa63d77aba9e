//! The tasks over webhooks beside the loop that sends them: replays of many, what only time shows, and what goes once it
//! is old.

mod cleaning;

use std::sync::Arc;
use std::time::Duration;

use crate::base::Clock;
use crate::config;
use crate::engine::{Report, Schedule, Task, Wake};
use crate::incidents::Incidents;
use crate::store::Store;
use crate::webhooks::replays::{self, Stepped};
use crate::webhooks::{WEBHOOK_REPLAYS, WEBHOOKS, watch};
use cleaning::Cleaning;

/// What these tasks work with.
#[derive(Clone)]
pub(super) struct Tending {
    store: Store,
    clock: Clock,
    incidents: Arc<Incidents>,
    kept: config::Webhooks,
}

/// Alarms told in one write.
const TOLD_AT_ONCE: usize = 50;

impl Tending {
    pub(super) fn new(
        (store, clock, incidents): (&Store, &Clock, &Arc<Incidents>),
        kept: config::Webhooks,
    ) -> Self {
        Self { store: store.clone(), clock: clock.clone(), incidents: Arc::clone(incidents), kept }
    }

    pub(super) fn tasks(self) -> Result<Vec<Task>, cron::error::Error> {
        let (replaying, watching) = (self.clone(), self.clone());
        let cleaning = Cleaning::new(self.store, self.clock, self.kept);
        Ok(vec![
            Task::new(
                "webhooks.replay",
                "Begins deliveries anew that somebody replays, each replay at its pace",
                Schedule::Every(Duration::from_secs(1)),
                Wake::OnCommit(&[WEBHOOK_REPLAYS]),
                move || replay(replaying.clone()),
            ),
            Task::new(
                "webhooks.watch",
                "Notices webhooks that wait, fail, are slow, stay away or are not believed",
                Schedule::Every(Duration::from_secs(30)),
                Wake::OnCommit(&[WEBHOOKS]),
                move || look(watching.clone()),
            ),
            Task::new(
                "webhooks.clean",
                "Lets go of what webhooks brought and of what was logged of them, once it is old",
                Schedule::cron("0 0 4 * * *")?,
                Wake::ScheduleOnly,
                move || cleaning.clone().run(),
            ),
        ])
    }
}

async fn replay(with: Tending) -> anyhow::Result<Report> {
    let (mut all, mut stepped) = (Stepped::default(), 0);
    for id in with.store.read_reserved(replays::running).await? {
        let (now, incidents) = (with.clock.now(), Arc::clone(&with.incidents));
        let did =
            with.store.write("webhooks.replay", move |tx| replays::step(tx, &incidents, now, id)).await?;
        all.released += did.released;
        all.skipped += did.skipped;
        all.has_more |= did.has_more;
        stepped += 1;
    }
    let text = format!("{} begun anew, {} left out, of {stepped} replays", all.released, all.skipped);
    Ok(match (all.has_more, all.released + all.skipped) {
        (true, _) => Report::More(text),
        (false, 0) => Report::Idle,
        (false, _) => Report::Did(text),
    })
}

async fn look(with: Tending) -> anyhow::Result<Report> {
    let now = with.clock.now();
    let changes = with.store.read_reserved(move |tx| watch::look(tx, now)).await?;
    let mut all = watch::Told::default();
    for some in changes.chunks(TOLD_AT_ONCE) {
        let (some, incidents) = (some.to_vec(), Arc::clone(&with.incidents));
        let tell = with.store.write("webhooks.watch", move |tx| watch::tell(tx, &incidents, now, &some));
        let told = tell.await?;
        all.begun += told.begun;
        all.over += told.over;
    }
    Ok(if all == watch::Told::default() {
        Report::Idle
    } else {
        Report::Did(format!("{} began, {} over", all.begun, all.over))
    })
}
