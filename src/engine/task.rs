use std::pin::Pin;
use std::sync::Arc;

use super::Schedule;
use crate::store::Topic;

/// One piece of background work.
#[derive(Clone)]
pub struct Task {
    /// Dotted, the domain first, such as `issues.retention`.
    pub name: &'static str,
    /// One line for the page: what it does.
    pub does: &'static str,
    pub schedule: Schedule,
    pub wake: Wake,
    pub run: Run,
}

/// What makes a task run before its schedule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    ScheduleOnly,
    /// A commit that touched one of these topics.
    OnCommit(&'static [Topic]),
}

type Run = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<Report>> + Send>> + Send + Sync>;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// There was nothing to do.
    Idle,
    /// Did all that was due.
    Did(String),
    /// Did as much as one run may; there is more, so it runs again at once.
    More(String),
}

impl Task {
    /// Builds a task from an async function.
    pub fn new<F, Fut>(name: &'static str, does: &'static str, schedule: Schedule, wake: Wake, run: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<Report>> + Send + 'static,
    {
        Self { name, does, schedule, wake, run: Arc::new(move || Box::pin(run())) }
    }
}
