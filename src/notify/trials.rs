//! Sends the tests that people ask for and draws the line under each.

use futures_util::future::join_all;

use super::outbox::Outbox;
use crate::incidents::trials::{self, Trial};
use crate::incidents::{self, DeliveryId};

/// Tests of one run, sent side by side.
const TESTS_MAX: u32 = 8;

impl Outbox {
    /// One bounded run over the tests that are not over; answers how many there were. One slow channel does not
    /// hold up the next.
    pub async fn run_tests(&self) -> Result<usize, incidents::Error> {
        let now = self.worker.clock.now();
        let found = self.store.read_reserved(move |tx| trials::list(tx, now, TESTS_MAX)).await?;
        let count = found.len();
        for ended in join_all(found.into_iter().map(|trial| self.take(trial))).await {
            ended?;
        }
        Ok(count)
    }

    /// Tries one test now and ends it.
    pub async fn run_test(&self, delivery: DeliveryId) -> Result<(), incidents::Error> {
        self.take(Trial { delivery, is_due: true }).await
    }

    async fn take(&self, trial: Trial) -> Result<(), incidents::Error> {
        if trial.is_due {
            match self.send_now(trial.delivery).await {
                // The delivery task was quicker; what it does counts.
                Ok(_) | Err(incidents::Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let (incidents, now) = (self.incidents.clone(), self.worker.clock.now());
        self.store.write("test.end", move |tx| incidents.end_test(tx, now, trial.delivery)).await
    }
}
