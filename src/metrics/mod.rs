//! Numbers that apps report: durable points, and the rule over slow ones.

mod point;
mod record;
mod slow;
#[cfg(test)]
mod tests;

pub use point::{POINTS_MAX, Point, PointError, parse_points};
pub use record::{METRICS, MetricRecord, add, purge};
pub use slow::{expire_slow, purge_slow};
