//! Pages of probes: the list, one probe, its form, and what is done with it.

pub(super) mod acts;
pub(super) mod edit;
pub(super) mod list;
pub(super) mod page;
pub(super) mod tries;

mod asked;
mod choose;
mod fields;
mod form;
mod kinds;
mod plot;
pub(super) mod samples;
mod spark;
mod timeline;
mod view;
pub(super) mod words;

use crate::accounts::Visible;
use crate::http::{AppState, Problem};
use crate::probes::{Probe, Probes, queries};
use crate::store::ReadTx;

/// What makes and changes probes.
fn probes_of(state: &AppState) -> Probes {
    state.prober.probes.clone()
}

/// The probe of this key, if the caller may know of it.
fn find(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<Probe, Problem> {
    queries::find(tx, visible, key)?.ok_or_else(|| Problem::not_found("probe"))
}
