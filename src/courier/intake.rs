//! The lane of webhooks: all that wait are taken in one commit, which is the 200 of each.

use std::sync::Arc;

use crate::incidents::Incidents;
use crate::metrics::{self, Point};
use crate::releases::{self, NewDeploy};
use crate::store::{Error, Record, WriteTx};
use crate::webhooks::accept::{Accepted, Arrival, Batch};

/// An event with what else it says.
#[derive(Clone, Debug)]
pub struct Intake {
    pub arrival: Arrival,
    pub deploy: Option<NewDeploy>,
    /// What became of a mail.
    pub mail: Option<Point>,
}

/// Takes events in. Lives on the writer thread.
pub struct WebhookRecord {
    incidents: Arc<Incidents>,
}

impl WebhookRecord {
    pub const fn new(incidents: Arc<Incidents>) -> Self {
        Self { incidents }
    }

    /// What an event says besides is told once, with its first coming.
    fn tell(&self, tx: &WriteTx<'_>, item: &Intake) -> Result<(), Error> {
        if let Some(deploy) = &item.deploy {
            let Arrival { project, received_at, .. } = item.arrival;
            releases::record(tx, &self.incidents.entropy, received_at, project, deploy)?;
        }
        item.mail.as_ref().map_or(Ok(()), |point| metrics::add(tx, point))
    }
}

impl Record for WebhookRecord {
    type Item = Intake;
    type Outcome = Accepted;
    /// Nothing is remembered: what was taken is asked of the disk each time.
    type Staged = ();

    fn bytes(item: &Intake) -> usize {
        let Arrival { event_id, content, event_type, content_type, payload, .. } = &item.arrival;
        let content = content.as_ref().map_or(0, String::len);
        size_of::<Intake>() + event_id.len() + content + event_type.len() + content_type.len() + payload.len()
    }

    fn record(&self, tx: &WriteTx<'_>, items: &[Intake], (): &mut ()) -> Result<Vec<Accepted>, Error> {
        let mut batch = Batch::default();
        let mut accepted = Vec::with_capacity(items.len());
        for item in items {
            let outcome = batch.accept(tx, &self.incidents, &item.arrival)?;
            if outcome == Accepted::New {
                self.tell(tx, item)?;
            }
            accepted.push(outcome);
        }
        batch.finish(tx)?;
        Ok(accepted)
    }

    fn apply(&mut self, (): ()) {}
}
