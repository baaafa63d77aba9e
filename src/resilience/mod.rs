//! Pure state machines that keep trouble small: waiting longer between attempts, giving a sick peer rest.
//! No clock, no I/O: time and chance are parameters.

pub mod backoff;
pub mod breaker;
pub mod limiter;
pub mod window;

pub use backoff::{Backoff, Next};
pub use breaker::{Breaker, BreakerPolicy, Call, CallOutcome, RateRule, Refused, Transition};
pub use limiter::Limiter;
pub use window::{Admission, Quota, SlidingWindow};
