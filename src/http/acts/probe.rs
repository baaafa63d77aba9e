//! Who may make and change a probe, and what one made here may ask.

use crate::accounts::access::{Permission, Subject};
use crate::base::ProjectId;
use crate::http::auth::Caller;
use crate::http::{AppState, Problem};
use crate::probes::target::Target;
use crate::probes::{Error, Kind, Owner};

/// Whether a kind looks at this machine: what runs here is not everybody's to see.
pub const fn is_for_owners(kind: Kind) -> bool {
    kind.reads_this_machine()
}

/// Checks that somebody may make, change or try a probe of this kind.
///
/// # Errors
/// Where the caller may not configure the project, or is no owner and the probe looks at this machine.
pub fn may_change(caller: &Caller, project: ProjectId, kind: Kind) -> Result<(), Problem> {
    caller.may(Permission::Configure, Subject::Project(project))?;
    if is_for_owners(kind) {
        caller.may(Permission::ManageInstance, Subject::Instance)?;
    }
    Ok(())
}

/// Refuses a target that no run of a probe made here could reach, when it is saved and not in the night.
///
/// # Errors
/// [`Error::Invalid`], naming the field and the cure.
pub fn may_ask(state: &AppState, target: &Target) -> Result<(), Error> {
    Ok(state.prober.reach(Owner::Page).check(target)?)
}
