//! Who wants to know that something was committed: background tasks and live pages wait here.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

/// A kind of change that others wait for, such as `deliveries`. Named by the module that owns the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Topic(pub &'static str);

/// One counter per topic.
#[derive(Default)]
pub(super) struct Changes {
    topics: RwLock<HashMap<Topic, watch::Sender<u64>>>,
}

impl Changes {
    pub(super) fn subscribe(&self, topic: Topic) -> watch::Receiver<u64> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(super) fn announce(&self, touched: &[Topic]) {
        if touched.is_empty() {
            return;
        }
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for sender in touched.iter().filter_map(|topic| topics.get(topic)) {
            sender.send_modify(|count| *count += 1);
        }
    }
}
