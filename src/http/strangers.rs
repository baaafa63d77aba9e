//! Who names what is not there: a wrong ping address, a wrong token of a probe. Each wrong one costs a question to the
//! store, so that a client has only so many.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::HttpRequest;

use super::AppState;
use super::request::client_address;
use crate::accounts::sign_in::network;
use crate::base::Timestamp;
use crate::resilience::{Admission, Limiter, Quota};

/// The questions of each client whose answer was that there is nothing, or is still to come.
pub struct Strangers(Limiter<IpAddr>);

/// Many jobs behind one address may be asked about at once; somebody who guesses gets nowhere with it.
pub const PER_NETWORK: Quota = Quota::new(300, Duration::from_mins(1));
/// Each remembers 16 bytes per question: about 10 MB at worst.
const REMEMBERED_MAX: usize = 2_000;

/// A question that may be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    from: IpAddr,
    at: Timestamp,
}

/// Too many wrong ones: come again after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) retry_after_s: u64,
}

impl Default for Strangers {
    fn default() -> Self {
        Self(Limiter::new(REMEMBERED_MAX))
    }
}

impl Strangers {
    /// Counts a question as a wrong one until [`Strangers::forgive`].
    pub(super) fn ask(&self, request: &HttpRequest, state: &AppState) -> Result<Question, TooMany> {
        // Behind a socket without addresses all are one.
        let from = client_address(request, state).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network);
        let at = state.clock.now();
        match self.0.admit(&from, PER_NETWORK, at, 1) {
            Admission::Admitted { .. } => Ok(Question { from, at }),
            Admission::Refused { retry_after } => {
                Err(TooMany { retry_after_s: retry_after.as_secs().saturating_add(1) })
            }
        }
    }

    /// It named what is there.
    pub(super) fn forgive(&self, question: Question) {
        self.0.take_back(&question.from, question.at, 1);
    }
}
