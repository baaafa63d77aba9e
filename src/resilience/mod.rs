//! Pure state machines against too much and too broken: time is a parameter, nothing here waits or writes.

pub mod limiter;
pub mod window;

pub use limiter::Limiter;
pub use window::{Admission, Quota, SlidingWindow};
