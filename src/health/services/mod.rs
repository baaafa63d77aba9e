//! What the team calls a service: some probes and heartbeats, and how many of them it needs.
//!
//! People and files write services ([`Services::save`]); the task `health.services` judges them ([`rule`]) whenever a
//! member changes, writes what changed, rings for those whose members do not ring by themselves, and lays a
//! [`Snapshot`] into memory, from which `/api/health` is answered.

pub mod rule;

mod members;
mod save;

pub mod order;

pub mod queries;

mod keep;

pub mod shape;
pub mod snapshot;
pub mod subjects;

mod retention;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use keep::Kept;
pub use members::{MemberView, resolve};
pub use retention::{purge, purge_removed};
pub use rule::{MemberState, Needs, ServiceStatus, judge, overall};
pub use snapshot::{Snapshot, SnapshotHolder};

use crate::base::annotations::{LABELS_MAX, RUNBOOK_CHARS_MAX, WORD_CHARS_MAX};
use crate::base::owned::{BadKey, Owner};
use crate::base::text::BadLine;
use crate::base::{ProjectId, Severity, Timestamp, Uid};
use crate::incidents::Incidents;
use crate::probes::Probes;
use crate::store::{self, Topic};

/// Moves when a service was written, or its status changed.
pub const SERVICES: Topic = Topic("services");

/// A service's number; its signals carry the key `service:{number}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ServiceId(pub i64);

/// Writes and judges services. Its methods work in the caller's transaction; whoever calls asked for permission.
#[derive(Clone, Debug)]
pub struct Services {
    pub incidents: Arc<Incidents>,
    pub probes: Probes,
}

/// What somebody wants a service to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Its name in `/api/health`; the same key again changes it.
    pub key: String,
    pub project: ProjectId,
    pub name: String,
    pub needs: Needs,
    /// Without it nothing works: where it is not well, everything is unhealthy.
    pub critical: bool,
    /// Keys of probes, and `project/slug` of heartbeats, in their order; all of one project.
    pub members: Vec<String>,
    pub settings: Settings,
    /// Where it stands in lists; `None`: as before, a new one last.
    pub position: Option<u32>,
    pub owner: Owner,
}

/// What is told of it and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Of its incident; nothing: critical where the service is, else high.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// A service as it is stored, with how it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub id: ServiceId,
    pub uid: Uid,
    pub key: String,
    pub project: ProjectId,
    /// The project's slug.
    pub project_slug: String,
    pub name: String,
    pub needs: Needs,
    pub critical: bool,
    pub settings: Settings,
    pub position: u32,
    pub owner: Owner,
    /// When somebody changed what it consists of.
    pub updated_at: Timestamp,
    /// Grows with each change by somebody.
    pub version: i64,
    pub status: ServiceStatus,
    /// `None`: not judged yet.
    pub since: Option<Timestamp>,
    pub reason: String,
    /// In their order.
    pub members: Vec<MemberView>,
}

/// Why a service was not made, changed or removed. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such service")]
    NotFound,
    #[error("no such project")]
    UnknownProject,
    #[error("key: {0}")]
    Key(#[from] BadKey),
    #[error("the key {0} is taken: choose another one")]
    KeyTaken(String),
    #[error(transparent)]
    BadLine(#[from] BadLine),
    #[error("members: at most {MEMBERS_MAX}")]
    TooManyMembers,
    #[error(
        "members: there is no probe “{0}” in this project; a heartbeat is named with its project, as in shop/nightly"
    )]
    UnknownProbe(String),
    #[error("members: there is no heartbeat “{0}”")]
    UnknownHeartbeat(String),
    #[error("members: “{0}” belongs to another project; a service and its members belong to one")]
    OtherProject(String),
    #[error("needs: a quorum is 1 to the number of members, which is {0}")]
    BadQuorum(usize),
    #[error(
        "labels: at most {LABELS_MAX}, each with a name and a value of at most {WORD_CHARS_MAX} characters"
    )]
    BadLabels,
    #[error(
        "runbook: an address of at most {RUNBOOK_CHARS_MAX} characters that begins with https:// or http://"
    )]
    BadRunbook,
    #[error("there are {SERVICES_MAX} services already, which is the most there can be: remove some first")]
    TooMany,
    #[error("the service {0} comes from a file: change it there and run `tocsin apply`")]
    OwnedByFile(String),
    #[error(transparent)]
    Accounts(#[from] crate::accounts::Error),
    #[error(transparent)]
    Probes(#[from] crate::probes::Error),
    #[error(transparent)]
    Incidents(#[from] crate::incidents::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// More than people can tell apart; each is judged at every change of a member.
pub const SERVICES_MAX: i64 = 200;
pub const MEMBERS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 60;

impl ServiceId {
    /// What its signals are called.
    pub fn signal_key(self) -> String {
        format!("service:{}", self.0)
    }
}

impl Service {
    /// Of its incident.
    pub fn severity(&self) -> Severity {
        let by_default = if self.critical { Severity::Critical } else { Severity::High };
        self.settings.severity.unwrap_or(by_default)
    }

    /// What its rule makes of its members.
    pub fn states(&self) -> Vec<MemberState> {
        let state = |member: &MemberView| MemberState {
            name: member.name.clone(),
            status: member.status,
            reason: member.reason.clone(),
        };
        self.members.iter().map(state).collect()
    }
}

/// For transactions in which a service's step is one among others.
impl From<Error> for store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error,
            other => Self::Refused(other.to_string().into()),
        }
    }
}
