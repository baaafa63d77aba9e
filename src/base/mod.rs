//! The ground every module stands on: time, ids, secrets, bounded text, figures. Knows nothing of tocsin.

pub mod annotations;
pub mod clock;
pub mod crontab;
pub mod cursor;
pub mod entropy;
pub mod figures;
pub mod id;
pub mod nearest;
pub mod owned;
pub mod seal;
pub mod secret;
pub mod severity;
pub mod span;
pub mod text;
pub mod time;
pub mod trace;

pub use clock::Clock;
pub use crontab::Crontab;
pub use cursor::Cursor;
pub use entropy::Entropy;
pub use id::{EventId, ProjectId, Uid};
pub use owned::Owner;
pub use secret::Secret;
pub use severity::Severity;
pub use time::Timestamp;
pub use trace::{TraceId, TraceKey};
