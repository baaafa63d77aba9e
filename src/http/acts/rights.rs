//! Who may do what to the things that are watched and told: the one table that pages and the JSON API ask.
//!
//! Whether a file owns the thing is asked where it is written ([`Owner::yields_to`]), as files write there, too.
//!
//! [`Owner::yields_to`]: crate::base::owned::Owner::yields_to

use crate::accounts::Actor;
use crate::accounts::access::{Decision, Permission, Subject, decide as may};
use crate::base::ProjectId;
use crate::http::Problem;
use crate::http::auth::Caller;
use crate::http::visible::subject;
use crate::probes::Kind;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Make,
    Change,
    Remove,
    Pause,
    Resume,
    /// Ask once, by hand.
    Try,
    /// See the address that a job pings or reports to. Whoever knows it speaks for the job: it is a key.
    SeeAddress,
    /// Make a new one; who knows the one before speaks for the job no more.
    RenewAddress,
    /// Send a delivery anew.
    Replay,
    /// Say that a dead letter is dealt with, or that it is not.
    Settle,
    /// See what a request brought, byte for byte: it may be anything.
    SeePayload,
}

/// To what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Probe(Kind),
    /// A probe of a kind that only a newer version knows: it may look at this machine, too.
    StrangeProbe,
    Heartbeat,
    Service,
    Maintenance,
    Silence,
    StatusPage,
    /// A source, a destination, or what came and went there.
    Webhook,
}

impl Thing {
    /// `kind` as it is known; `None`: to a newer version alone.
    pub fn of_probe(kind: Option<Kind>) -> Self {
        kind.map_or(Self::StrangeProbe, Self::Probe)
    }

    /// All that is needed.
    const fn needs(self, act: Act) -> &'static [Permission] {
        match (self, act) {
            (Self::StatusPage, _) => &[Permission::ManageInstance],
            (
                Self::StrangeProbe,
                Act::Make
                | Act::Change
                | Act::Remove
                | Act::Try
                | Act::SeeAddress
                | Act::RenewAddress
                | Act::SeePayload,
            ) => &[Permission::Configure, Permission::ManageInstance],
            (Self::Maintenance | Self::Silence, _)
            | (_, Act::Pause | Act::Resume | Act::Replay | Act::Settle) => &[Permission::Triage],
            // What runs here, and which files there are, is not everybody's to see.
            (
                Self::Probe(kind),
                Act::Make
                | Act::Change
                | Act::Remove
                | Act::Try
                | Act::SeeAddress
                | Act::RenewAddress
                | Act::SeePayload,
            ) if kind.reads_this_machine() => &[Permission::Configure, Permission::ManageInstance],
            (
                Self::Probe(_) | Self::Heartbeat | Self::Service | Self::Webhook,
                Act::Make
                | Act::Change
                | Act::Remove
                | Act::Try
                | Act::SeeAddress
                | Act::RenewAddress
                | Act::SeePayload,
            ) => &[Permission::Configure],
        }
    }
}

/// Decides whether `actor` may do `act` to a thing of `project`; `None`: one of every project.
pub fn decide(actor: &Actor, act: Act, thing: Thing, project: Option<ProjectId>) -> Decision {
    let on = |permission| match permission {
        Permission::ManageInstance => Subject::Instance,
        _ => subject(project),
    };
    let decisions = thing.needs(act).iter().map(|permission| may(actor, *permission, on(*permission)));
    decisions.into_iter().find(|decision| *decision != Decision::Allowed).unwrap_or(Decision::Allowed)
}

/// As [`decide`], for a refusal.
///
/// # Errors
/// 404 where the caller may not know of the project, else 403 with what is lacking.
pub fn check(caller: &Caller, act: Act, thing: Thing, project: Option<ProjectId>) -> Result<(), Problem> {
    match decide(&caller.actor, act, thing, project) {
        Decision::Allowed => Ok(()),
        Decision::Denied(denial) => Err(denial.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Role;
    use crate::accounts::access::Denial;
    use crate::accounts::tokens::TokenId;
    use crate::accounts::users::UserId;

    const SHOP: ProjectId = ProjectId(1);

    #[test]
    fn each_act_needs_what_the_table_says() {
        let user =
            |role| Actor::User { id: UserId(1), email: "a@b".parse().unwrap(), role, projects: vec![SHOP] };
        let token = |scopes: &str| {
            let scopes = scopes.parse().unwrap();
            Actor::Token { id: TokenId(1), name: "ci".to_owned(), scopes, project: Some(SHOP) }
        };
        let (viewer, member) = (user(Role::Viewer), user(Role::Member));
        let (reads, writes, admins) = (token("read"), token("write"), token("admin"));
        let (http, disk, heartbeat) = (Thing::Probe(Kind::Http), Thing::Probe(Kind::Disk), Thing::Heartbeat);
        let table = [
            (&viewer, Act::Pause, http, false),
            (&viewer, Act::SeeAddress, heartbeat, false),
            (&reads, Act::SeeAddress, heartbeat, false),
            (&reads, Act::Resume, heartbeat, false),
            (&writes, Act::Pause, http, true),
            (&writes, Act::Pause, disk, true),
            (&writes, Act::Resume, heartbeat, true),
            (&writes, Act::Change, heartbeat, false),
            (&writes, Act::SeeAddress, heartbeat, false),
            (&writes, Act::Make, Thing::Maintenance, true),
            (&writes, Act::Make, Thing::Silence, true),
            (&writes, Act::Change, Thing::Service, false),
            (&writes, Act::RenewAddress, heartbeat, false),
            (&viewer, Act::RenewAddress, Thing::Probe(Kind::Push), false),
            (&member, Act::RenewAddress, Thing::Probe(Kind::Push), true),
            (&member, Act::RenewAddress, heartbeat, true),
            (&admins, Act::SeeAddress, heartbeat, true),
            (&admins, Act::Change, http, true),
            (&admins, Act::Try, disk, false),
            (&member, Act::Try, http, true),
            (&member, Act::Try, disk, false),
            (&member, Act::Remove, disk, false),
            (&member, Act::SeeAddress, heartbeat, true),
            (&member, Act::Change, Thing::StatusPage, false),
            (&member, Act::Remove, Thing::StrangeProbe, false),
            (&writes, Act::Pause, Thing::StrangeProbe, true),
            (&user(Role::Owner), Act::Remove, Thing::StrangeProbe, true),
            (&viewer, Act::SeePayload, Thing::Webhook, false),
            (&reads, Act::Replay, Thing::Webhook, false),
            (&writes, Act::Replay, Thing::Webhook, true),
            (&writes, Act::Settle, Thing::Webhook, true),
            (&writes, Act::Pause, Thing::Webhook, true),
            (&writes, Act::SeePayload, Thing::Webhook, false),
            (&writes, Act::Change, Thing::Webhook, false),
            (&member, Act::SeePayload, Thing::Webhook, true),
            (&member, Act::Make, Thing::Webhook, true),
            (&admins, Act::Remove, Thing::Webhook, true),
            (&user(Role::Owner), Act::Try, disk, true),
            (&user(Role::Owner), Act::Change, Thing::StatusPage, true),
        ];
        for (actor, act, thing, allowed) in table {
            let decision = decide(actor, act, thing, Some(SHOP));
            assert_eq!(decision == Decision::Allowed, allowed, "{actor} {act:?} {thing:?}: {decision:?}");
        }
        let elsewhere = decide(&member, Act::Make, disk, Some(ProjectId(2)));
        assert_eq!(elsewhere, Decision::Denied(Denial::NotVisible), "before what else is lacking");
    }
}
