//! How a service is, from how its members are; and how everything is, from how the services are. Pure.

use serde::{Deserialize, Serialize};

use crate::probes::Status as Member;

/// How many of its members a service needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    All,
    Any,
    Quorum(u32),
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// Not seen yet, not seen now, or nothing of it is watched.
    Unknown,
    Healthy,
    Degraded,
    Unhealthy,
    /// Planned work: not charged.
    Maintenance,
}

/// What is concluded of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub status: ServiceStatus,
    /// Why; empty where all is well.
    pub reason: String,
}

/// What is known of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberState {
    pub name: String,
    pub status: Member,
    /// Why it is not healthy.
    pub reason: String,
}

/// Names of members that a reason lists; the rest is counted.
const NAMED_MAX: usize = 3;

impl Needs {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::Quorum(_) => "quorum",
        }
    }

    /// How many of `members`, for those that do not need all.
    pub const fn least(self) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Any => Some(1),
            Self::Quorum(least) => Some(least),
        }
    }
}

impl ServiceStatus {
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::Healthy, Self::Degraded, Self::Unhealthy, Self::Maintenance];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Maintenance => "maintenance",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// How a service is whose members are so. Who is paused is left out, as if the service had it not.
pub fn judge(needs: Needs, members: &[MemberState]) -> Judged {
    let counted: Vec<&MemberState> = members.iter().filter(|one| one.status != Member::Paused).collect();
    if counted.is_empty() {
        let reason = if members.is_empty() { "nothing of it is watched" } else { "all of it is paused" };
        return Judged { status: ServiceStatus::Unknown, reason: reason.to_owned() };
    }
    match needs.least() {
        None => worst(&counted),
        Some(least) => enough(least, &counted),
    }
}

/// A service that needs all is as its worst member; what is proved to be wrong stands above what is planned or unseen.
fn worst(members: &[&MemberState]) -> Judged {
    for (of, status) in [
        (Member::Unhealthy, ServiceStatus::Unhealthy),
        (Member::Degraded, ServiceStatus::Degraded),
        (Member::Maintenance, ServiceStatus::Maintenance),
        (Member::Unreachable, ServiceStatus::Unknown),
        (Member::Unknown, ServiceStatus::Unknown),
    ] {
        let such: Vec<&MemberState> = members.iter().copied().filter(|one| one.status == of).collect();
        if !such.is_empty() {
            return Judged { status, reason: named(&such) };
        }
    }
    Judged { status: ServiceStatus::Healthy, reason: String::new() }
}

/// A service that needs only some is well while that many are. Where those that cannot be judged could make up the
/// number, nobody claims that it is down. Planned work excuses it only where the others are too few even when all of
/// them are well.
fn enough(least: u32, members: &[&MemberState]) -> Judged {
    let count = |statuses: &[Member]| members.iter().filter(|one| statuses.contains(&one.status)).count();
    // A pause takes members away, not the service down.
    let least = usize::try_from(least).unwrap_or(usize::MAX).clamp(1, members.len());
    let (healthy, well) = (count(&[Member::Healthy]), count(&[Member::Healthy, Member::Degraded]));
    let unseen = count(&[Member::Unknown, Member::Unreachable]);
    let unplanned = members.len() - count(&[Member::Maintenance]);
    let status = if healthy >= least {
        ServiceStatus::Healthy
    } else if well >= least {
        ServiceStatus::Degraded
    } else if unplanned < least {
        ServiceStatus::Maintenance
    } else if well + unseen >= least {
        ServiceStatus::Unknown
    } else {
        ServiceStatus::Unhealthy
    };
    if healthy == members.len() {
        return Judged { status, reason: String::new() };
    }
    let ill: Vec<&MemberState> =
        members.iter().copied().filter(|one| one.status != Member::Healthy).collect();
    let needs = if status == ServiceStatus::Healthy { String::new() } else { format!(", {least} needed") };
    Judged { status, reason: format!("{well} of {} well{needs}: {}", members.len(), named(&ill)) }
}

fn named(members: &[&MemberState]) -> String {
    let mut words: Vec<String> = members.iter().take(NAMED_MAX).map(|one| one.words()).collect();
    if members.len() > NAMED_MAX {
        words.push(format!("and {} more", members.len() - NAMED_MAX));
    }
    words.join("; ")
}

impl MemberState {
    fn words(&self) -> String {
        let how = match self.status {
            Member::Unknown => "has not been seen",
            Member::Healthy => "is healthy",
            Member::Degraded => "is degraded",
            Member::Unhealthy => "is down",
            Member::Unreachable => "cannot be reached",
            Member::Maintenance => "is under maintenance",
            Member::Paused => "is paused",
        };
        match self.reason.as_str() {
            "" => format!("{} {how}", self.name),
            reason => format!("{} {how} ({reason})", self.name),
        }
    }
}

/// All healthy: healthy. Every critical one healthy: degraded. Else unhealthy. Whatever nobody can judge, and planned
/// work, is no outage: it makes degraded at most.
pub fn overall(services: impl IntoIterator<Item = (ServiceStatus, bool)>) -> ServiceStatus {
    let mut worst = ServiceStatus::Healthy;
    for (status, critical) in services {
        match (status, critical) {
            (ServiceStatus::Healthy, _) => {}
            (ServiceStatus::Unhealthy | ServiceStatus::Degraded, true) => return ServiceStatus::Unhealthy,
            (ServiceStatus::Unhealthy | ServiceStatus::Degraded, false)
            | (ServiceStatus::Unknown | ServiceStatus::Maintenance, _) => worst = ServiceStatus::Degraded,
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One letter a member: **h**ealthy, **d**egraded, **u**nhealthy, un**r**eachable, unknow**n**, **m**aintenance,
    /// **p**aused.
    fn members(letters: &str) -> Vec<MemberState> {
        let status = |letter| match letter {
            'h' => Member::Healthy,
            'd' => Member::Degraded,
            'u' => Member::Unhealthy,
            'r' => Member::Unreachable,
            'n' => Member::Unknown,
            'm' => Member::Maintenance,
            _ => Member::Paused,
        };
        let one = |(n, letter)| MemberState {
            name: format!("m{n}"),
            status: status(letter),
            reason: String::new(),
        };
        letters.chars().enumerate().map(one).collect()
    }

    #[test]
    fn a_service_is_as_its_members_make_it() {
        use Needs::{All, Any, Quorum};
        use ServiceStatus::{Degraded, Healthy, Maintenance, Unhealthy, Unknown};
        for (needs, letters, status, reason) in [
            (All, "", Unknown, "nothing of it is watched"),
            (All, "pp", Unknown, "all of it is paused"),
            (All, "hh", Healthy, ""),
            (All, "hp", Healthy, ""),
            (All, "hu", Unhealthy, "m1 is down"),
            (All, "hd", Degraded, "m1 is degraded"),
            (All, "ud", Unhealthy, "m0 is down"),
            (All, "hn", Unknown, "m1 has not been seen"),
            (All, "hr", Unknown, "m1 cannot be reached"),
            (All, "hm", Maintenance, "m1 is under maintenance"),
            (All, "um", Unhealthy, "m0 is down"),
            (All, "mn", Maintenance, "m0 is under maintenance"),
            (All, "uuuuu", Unhealthy, "m0 is down; m1 is down; m2 is down; and 2 more"),
            (Any, "hhh", Healthy, ""),
            (Any, "hhu", Healthy, "2 of 3 well: m2 is down"),
            (Any, "huu", Healthy, "1 of 3 well: m1 is down; m2 is down"),
            (Any, "duu", Degraded, "1 of 3 well, 1 needed: m0 is degraded; m1 is down; m2 is down"),
            (Any, "uu", Unhealthy, "0 of 2 well, 1 needed: m0 is down; m1 is down"),
            (Any, "un", Unknown, "0 of 2 well, 1 needed: m0 is down; m1 has not been seen"),
            (Any, "um", Unhealthy, "0 of 2 well, 1 needed: m0 is down; m1 is under maintenance"),
            (Any, "rm", Unknown, "0 of 2 well, 1 needed: m0 cannot be reached; m1 is under maintenance"),
            (Any, "m", Maintenance, "0 of 1 well, 1 needed: m0 is under maintenance"),
            (Quorum(2), "hmu", Unhealthy, "1 of 3 well, 2 needed: m1 is under maintenance; m2 is down"),
            (
                Quorum(2),
                "umm",
                Maintenance,
                "0 of 3 well, 2 needed: m0 is down; m1 is under maintenance; m2 is under maintenance",
            ),
            (Any, "up", Unhealthy, "0 of 1 well, 1 needed: m0 is down"),
            (Any, "p", Unknown, "all of it is paused"),
            (Quorum(2), "hhu", Healthy, "2 of 3 well: m2 is down"),
            (Quorum(2), "hdu", Degraded, "2 of 3 well, 2 needed: m1 is degraded; m2 is down"),
            (Quorum(2), "huu", Unhealthy, "1 of 3 well, 2 needed: m1 is down; m2 is down"),
            (Quorum(2), "hur", Unknown, "1 of 3 well, 2 needed: m1 is down; m2 cannot be reached"),
            (Quorum(2), "hpp", Healthy, ""),
            (Quorum(3), "hh", Healthy, ""),
        ] {
            let expected = Judged { status, reason: reason.to_owned() };
            assert_eq!(judge(needs, &members(letters)), expected, "{needs:?} of {letters}");
        }
    }

    #[test]
    fn a_reason_says_what_the_member_said() {
        let api = MemberState {
            name: "API".to_owned(),
            status: Member::Unhealthy,
            reason: "status is 503, not < 300".to_owned(),
        };
        assert_eq!(judge(Needs::All, &[api]).reason, "API is down (status is 503, not < 300)");
    }

    #[test]
    fn everything_is_healthy_degraded_or_unhealthy() {
        use ServiceStatus::{Degraded, Healthy, Maintenance, Unhealthy, Unknown};
        for (services, expected) in [
            (vec![], Healthy),
            (vec![(Healthy, true), (Healthy, false)], Healthy),
            (vec![(Healthy, true), (Unhealthy, false)], Degraded),
            (vec![(Healthy, true), (Degraded, false)], Degraded),
            (vec![(Unhealthy, true), (Healthy, false)], Unhealthy),
            (vec![(Degraded, true)], Unhealthy),
            (vec![(Unknown, true), (Healthy, false)], Degraded),
            (vec![(Maintenance, true)], Degraded),
            (vec![(Unknown, true), (Unhealthy, true)], Unhealthy),
        ] {
            assert_eq!(overall(services.clone()), expected, "{services:?}");
        }
    }

    proptest! {
        #[test]
        fn a_member_that_gets_well_never_makes_it_worse(letters in "[hdurnm]{1,8}", n in 0_usize..8, least in 1_u32..9) {
            let before = members(&letters);
            let n = n % before.len();
            // The end of planned work takes an excuse away.
            prop_assume!(before[n].status != Member::Maintenance);
            let mut after = before.clone();
            after[n].status = Member::Healthy;
            let down = |of: &[MemberState], needs| judge(needs, of).status == ServiceStatus::Unhealthy;
            for needs in [Needs::All, Needs::Any, Needs::Quorum(least)] {
                prop_assert!(down(&before, needs) || !down(&after, needs));
            }
        }

        #[test]
        fn nobody_is_charged_for_what_was_not_seen(letters in "[hrnm]{1,8}", least in 1_u32..9) {
            for needs in [Needs::All, Needs::Any, Needs::Quorum(least)] {
                prop_assert_ne!(judge(needs, &members(&letters)).status, ServiceStatus::Unhealthy);
            }
        }
    }
}
