use std::time::Duration;

use super::ring::RingPolicy;

/// How long things may take before they mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A signal that began this close to an open incident's start belongs to it.
    pub join_within: Duration,
    /// A condition must stay well this long before it counts as over: flapping is one incident.
    pub hold: Duration,
    /// An occurrence that was not seen again for this long is over.
    pub quiet: Duration,
    /// Further signs of the same trouble that do not ring are told together, this long after the first of them.
    pub gather: Duration,
    pub ring: RingPolicy,
    /// A claimed message whose worker says nothing for this long is due again; longer than any send takes.
    pub lease: Duration,
    /// What a channel has not taken for this long is told to another one as well.
    pub fall_back_after: Duration,
    /// Messages that wait although a channel is ready, because it refused them, are told again this often.
    pub offer_again_after: Duration,
    /// A channel that refuses for good must do so for this long before it is believed and broken.
    pub broken_after: Duration,
    /// Until then what it refused is tried again this often.
    pub refused_again_after: Duration,
    /// A broken channel is tried again with what waits this often …
    pub probe_after: Duration,
    /// … and this often while no channel is ready.
    pub probe_alone_after: Duration,
    /// More incident messages than this, due at one time on one channel, become one bundle.
    pub bundle_over: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            join_within: Duration::from_mins(5),
            hold: Duration::from_mins(1),
            quiet: Duration::from_mins(30),
            gather: Duration::from_secs(30),
            ring: RingPolicy::default(),
            lease: Duration::from_mins(2),
            fall_back_after: Duration::from_mins(10),
            offer_again_after: Duration::from_hours(1),
            broken_after: Duration::from_mins(5),
            refused_again_after: Duration::from_mins(1),
            probe_after: Duration::from_hours(1),
            probe_alone_after: Duration::from_mins(10),
            bundle_over: 5,
        }
    }
}
