//! Background work: the table of tasks and the driver that runs them.
//!
//! A task takes no input, is idempotent, runs by its schedule *and* when woken, bounds its work per run and
//! reports what it did. It holds no state of its own: what it needs is in the database. The next run is the
//! retry. At most one run of a task is under way.

mod driver;
mod schedule;
mod task;

pub use driver::{Engine, TaskStatus};
pub use schedule::Schedule;
pub use task::{Report, Task, Wake};
