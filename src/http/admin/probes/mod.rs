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
mod newer;
mod plot;
pub(super) mod samples;
mod spark;
mod timeline;
mod unseen;
mod view;
pub(super) mod words;

pub(super) use form::key_of;

use crate::http::AppState;
use crate::http::acts::probe::find;
use crate::probes::Probes;

/// What makes and changes probes.
fn probes_of(state: &AppState) -> Probes {
    state.prober.probes.clone()
}
