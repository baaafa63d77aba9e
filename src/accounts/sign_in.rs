//! How often somebody may try a password wrongly: from one network, for one account from there, and for one account
//! from everywhere. Links from the command line are never limited.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Email;
use crate::base::Timestamp;
use crate::resilience::{Admission, Limiter, Quota};

/// Counts attempts before the password is hashed, so that a flood costs no hashing either, and takes back those that
/// succeed: what stays are failures. It knows nothing of which accounts there are.
pub struct SignInGate {
    networks: Limiter<IpAddr>,
    seats: Limiter<(String, IpAddr)>,
    accounts: Limiter<String>,
    devices: Limiter<(String, DeviceId)>,
}

/// One attempt, as the gate counts it.
#[derive(Clone, Debug)]
pub struct Attempt {
    account: String,
    from: Seat,
    at: Timestamp,
}

/// Where somebody sits who tries a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// A stranger's address, from a trusted proxy or the socket.
    Address(IpAddr),
    /// A browser that signed in to this account before, or is signed in: what strangers try does not count for it.
    Known(DeviceId),
}

/// Tells known devices of an account apart.
pub type DeviceId = [u8; 16];

/// Whether an attempt may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateDecision {
    Open,
    TooMany { retry_after: Duration },
}

/// Several people behind one address who forgot theirs; a guesser gets 120 an hour.
pub const PER_NETWORK: Quota = Quota::new(30, Duration::from_mins(15));
/// Somebody who forgot which of three passwords it was; a guesser gets 40 an hour. Also that of a known device.
pub const PER_SEAT: Quota = Quota::new(10, Duration::from_mins(15));
/// A guesser with a thousand addresses is slowed to one attempt in five seconds, and nobody waits longer than a minute.
pub const PER_ACCOUNT: Quota = Quota::new(12, Duration::from_mins(1));
/// About 10 MB at worst for all.
const REMEMBERED_MAX: usize = 10_000;

impl Default for SignInGate {
    fn default() -> Self {
        Self {
            networks: Limiter::new(REMEMBERED_MAX),
            seats: Limiter::new(REMEMBERED_MAX),
            accounts: Limiter::new(REMEMBERED_MAX),
            devices: Limiter::new(REMEMBERED_MAX),
        }
    }
}

impl Attempt {
    pub fn new(email: &Email, from: Seat, at: Timestamp) -> Self {
        let from = match from {
            Seat::Address(address) => Seat::Address(network(address)),
            known @ Seat::Known(_) => known,
        };
        Self { account: email.folded(), from, at }
    }
}

impl SignInGate {
    /// Decides about an attempt and counts it until [`SignInGate::succeeded`]. What is refused does not count.
    pub fn try_enter(&self, attempt: &Attempt) -> GateDecision {
        let Attempt { account, from, at } = attempt;
        match *from {
            Seat::Known(device) => self.devices.admit(&(account.clone(), device), PER_SEAT, *at, 1).into(),
            Seat::Address(network) => self.try_stranger(account, network, *at),
        }
    }

    fn try_stranger(&self, account: &String, network: IpAddr, at: Timestamp) -> GateDecision {
        let refused = self.networks.admit(&network, PER_NETWORK, at, 1);
        if let Admission::Refused { .. } = refused {
            return refused.into();
        }
        let refused = self.seats.admit(&(account.clone(), network), PER_SEAT, at, 1);
        if let Admission::Refused { .. } = refused {
            self.networks.take_back(&network, at, 1);
            return refused.into();
        }
        let last = self.accounts.admit(account, PER_ACCOUNT, at, 1);
        if let Admission::Refused { .. } = last {
            self.networks.take_back(&network, at, 1);
            self.seats.take_back(&(account.clone(), network), at, 1);
        }
        last.into()
    }

    /// The password was right: the attempt was no failure, and those before it from the same seat are forgiven.
    pub fn succeeded(&self, attempt: &Attempt) {
        let Attempt { account, from, at } = attempt;
        match *from {
            Seat::Known(device) => self.devices.forget(&(account.clone(), device)),
            Seat::Address(network) => {
                self.networks.take_back(&network, *at, 1);
                self.accounts.take_back(account, *at, 1);
                self.seats.forget(&(account.clone(), network));
            }
        }
    }
}

impl From<Admission> for GateDecision {
    fn from(admission: Admission) -> Self {
        match admission {
            Admission::Admitted { .. } => Self::Open,
            Admission::Refused { retry_after } => Self::TooMany { retry_after },
        }
    }
}

/// An IPv6 visitor owns a /64 (RFC 6177), an IPv4 one the address; IPv4 in IPv6 clothes is IPv4.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn address(text: &str) -> Seat {
        Seat::Address(text.parse().unwrap())
    }

    fn nth(n: u32) -> Seat {
        Seat::Address(IpAddr::V4(n.into()))
    }

    fn attempt(email: &str, from: Seat, at: Timestamp) -> Attempt {
        Attempt::new(&email.parse().unwrap(), from, at)
    }

    /// How many of these attempts may go on.
    fn open(gate: &SignInGate, attempts: impl IntoIterator<Item = Attempt>) -> usize {
        attempts.into_iter().filter(|attempt| gate.try_enter(attempt) == GateDecision::Open).count()
    }

    fn wait(gate: &SignInGate, attempt: &Attempt) -> Duration {
        match gate.try_enter(attempt) {
            GateDecision::TooMany { retry_after } => retry_after,
            GateDecision::Open => Duration::ZERO,
        }
    }

    #[test]
    fn an_account_is_shut_for_the_address_that_guesses_and_for_no_other() {
        let gate = SignInGate::default();
        // A guess every ten seconds, so that the bound over all addresses has no part in it.
        let guess = |n: u32| attempt("Ada@example.com", nth(1), NOON + Duration::from_secs(10) * n);
        assert_eq!(open(&gate, (0..50).map(guess)), 10);
        let later = NOON + Duration::from_secs(500);
        assert_eq!(wait(&gate, &attempt("ada@EXAMPLE.com", nth(1), later)), Duration::from_secs(400));
        assert_eq!(open(&gate, [attempt("ada@example.com", nth(2), later)]), 1);
        assert_eq!(open(&gate, [attempt("bob@example.com", nth(1), later)]), 1);
        let over = NOON + PER_SEAT.period;
        assert_eq!(open(&gate, [attempt("ada@example.com", nth(1), over)]), 1);
    }

    #[test]
    fn guesses_from_everywhere_slow_an_account_and_never_shut_it() {
        let gate = SignInGate::default();
        // An hour of a thousand guesses a minute, each from another address.
        let minute = |minute: u32| {
            let at = NOON + Duration::from_mins(1) * minute;
            (0..1000).map(move |n| attempt("ada@example.com", nth(minute * 1000 + n), at))
        };
        for n in 0..60 {
            assert_eq!(open(&gate, minute(n)), 12);
        }
        let stranger = attempt("ada@example.com", address("9.9.9.9"), NOON + Duration::from_mins(59));
        assert!(wait(&gate, &stranger) <= Duration::from_mins(1));
        let known = |n: u8| attempt("ada@example.com", Seat::Known([n; 16]), NOON + Duration::from_mins(59));
        assert_eq!(open(&gate, (0..20).map(|_| known(1))), 10, "a known device has a count of its own");
        assert_eq!(open(&gate, [known(2)]), 1);
    }

    #[test]
    fn one_network_is_guarded_against_many_accounts() {
        let gate = SignInGate::default();
        let one = |n: u32| attempt(&format!("u{n}@b"), address(&format!("2001:db8:0:1::{n:x}")), NOON);
        assert_eq!(open(&gate, (0..50).map(one)), 30);
        assert_eq!(wait(&gate, &attempt("u@b", address("2001:db8:0:1:ffff::1"), NOON)), PER_NETWORK.period);
        assert_eq!(open(&gate, [attempt("u@b", address("2001:db8:0:2::1"), NOON)]), 1);
        let clothed = attempt("u@b", address("::ffff:10.0.0.1"), NOON);
        assert_eq!(clothed.from, address("10.0.0.1"));
    }

    #[test]
    fn what_succeeds_counts_nowhere() {
        let gate = SignInGate::default();
        for n in 0..200 {
            let attempt = attempt(&format!("u{}@b", n % 40), nth(1), NOON);
            assert_eq!(gate.try_enter(&attempt), GateDecision::Open, "{n}");
            gate.succeeded(&attempt);
        }
        assert_eq!(open(&gate, (0..50).map(|n| attempt(&format!("u{n}@b"), nth(1), NOON))), 30);
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones_before_it() {
        let gate = SignInGate::default();
        for seat in [nth(1), Seat::Known([1; 16])] {
            let ada = attempt("ada@example.com", seat, NOON);
            assert_eq!(open(&gate, (0..9).map(|_| ada.clone())), 9);
            assert_eq!(gate.try_enter(&ada), GateDecision::Open);
            gate.succeeded(&ada);
            let later = attempt("ada@example.com", seat, NOON + Duration::from_mins(1));
            assert_eq!(open(&gate, (0..20).map(|_| later.clone())), 10);
        }
    }

    #[test]
    fn what_is_refused_does_not_count_elsewhere() {
        let gate = SignInGate::default();
        assert_eq!(open(&gate, (0..100).map(|_| attempt("ada@example.com", nth(1), NOON))), 10);
        assert_eq!(open(&gate, (0..100).map(|n| attempt(&format!("u{n}@b"), nth(1), NOON))), 20);
        assert_eq!(open(&gate, [attempt("ada@example.com", nth(2), NOON)]), 1);
    }
}
