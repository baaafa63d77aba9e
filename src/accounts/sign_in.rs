//! How often somebody may try a password: per address and per account, exactly. Links from the command line
//! are never limited.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Email;
use crate::base::Timestamp;
use crate::resilience::{Admission, Limiter, Quota};

/// Counts attempts before the password is hashed, so that a flood costs no hashing either.
pub struct SignInGate {
    addresses: Limiter<IpAddr>,
    accounts: Limiter<String>,
}

/// Whether an attempt may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateDecision {
    Open,
    TooManyFromAddress { retry_after: Duration },
    TooManyForAccount { retry_after: Duration },
}

/// An office behind one address signs in at nine; a guesser gets 120 an hour.
pub const PER_ADDRESS: Quota = Quota::new(30, Duration::from_mins(15));
/// Somebody who forgot which of three passwords it was; a guesser with many addresses gets 40 an hour.
pub const PER_ACCOUNT: Quota = Quota::new(10, Duration::from_mins(15));
/// About 5 MB at worst for both.
const REMEMBERED_MAX: usize = 10_000;

impl Default for SignInGate {
    fn default() -> Self {
        Self { addresses: Limiter::new(REMEMBERED_MAX), accounts: Limiter::new(REMEMBERED_MAX) }
    }
}

impl SignInGate {
    /// Decides about an attempt and counts it. `address` is the visitor's, from a trusted proxy or the socket.
    pub fn try_enter(&self, address: IpAddr, email: &Email, now: Timestamp) -> GateDecision {
        if let Admission::Refused { retry_after } =
            self.addresses.admit(&network(address), PER_ADDRESS, now, 1)
        {
            return GateDecision::TooManyFromAddress { retry_after };
        }
        match self.accounts.admit(&email.folded(), PER_ACCOUNT, now, 1) {
            Admission::Admitted { .. } => GateDecision::Open,
            Admission::Refused { retry_after } => GateDecision::TooManyForAccount { retry_after },
        }
    }

    /// A right password clears its account's count.
    pub fn succeeded(&self, email: &Email) {
        self.accounts.forget(&email.folded());
    }
}

/// An IPv6 visitor owns a /64 (RFC 6177), an IPv4 one the address; IPv4 in IPv6 clothes is IPv4.
fn network(address: IpAddr) -> IpAddr {
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

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[test]
    fn one_account_is_guarded_against_many_addresses() {
        let gate = SignInGate::default();
        let ada = email("Ada@example.com");
        let attempt = |n: u32, email: &Email| gate.try_enter(IpAddr::V4(n.into()), email, NOON);
        assert!((0..10).all(|n| attempt(n, &ada) == GateDecision::Open));
        let wait = PER_ACCOUNT.period;
        let refused = GateDecision::TooManyForAccount { retry_after: wait };
        assert_eq!(attempt(11, &email("ada@EXAMPLE.com")), refused);
        assert_eq!(attempt(12, &email("bob@example.com")), GateDecision::Open);
        assert_eq!(gate.try_enter(address("1.2.3.4"), &ada, NOON + wait), GateDecision::Open);
    }

    #[test]
    fn one_network_is_guarded_against_many_accounts() {
        let gate = SignInGate::default();
        for n in 0..30 {
            let address = address(&format!("2001:db8:0:1::{n:x}"));
            assert_eq!(gate.try_enter(address, &email(&format!("u{n}@b")), NOON), GateDecision::Open);
        }
        let refused = gate.try_enter(address("2001:db8:0:1:ffff::1"), &email("u@b"), NOON);
        assert!(matches!(refused, GateDecision::TooManyFromAddress { .. }), "{refused:?}");
        assert_eq!(gate.try_enter(address("2001:db8:0:2::1"), &email("u@b"), NOON), GateDecision::Open);
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }

    #[test]
    fn a_right_password_clears_the_account() {
        let gate = SignInGate::default();
        let ada = email("ada@example.com");
        for n in 0..10u32 {
            gate.try_enter(IpAddr::V4(n.into()), &ada, NOON);
        }
        gate.succeeded(&ada);
        assert_eq!(gate.try_enter(address("1.2.3.4"), &ada, NOON), GateDecision::Open);
    }
}
