//! What an incident says of its witnesses that are probes: where the time went, and what cannot be reached behind them.

use super::probes::samples::phases_of;
use super::probes::tries::PhaseBar;
use super::wording::count;
use crate::accounts::Visible;
use crate::http::Problem;
use crate::incidents::views::IncidentView;
use crate::probes::{ProbeId, outline, queries};
use crate::store::ReadTx;

/// What is known of one witness; nothing of one that is no probe.
#[derive(Default)]
pub(super) struct OfProbe {
    /// Where the time of its last bad answer went, and how long it took in all.
    pub(super) phases: Option<(Vec<PhaseBar>, String)>,
    pub(super) behind: Option<Behind>,
}

/// Probes that cannot be reached while this one is down: they ring nobody, so they are counted where it rings.
pub(super) struct Behind {
    pub(super) text: String,
    pub(super) place: String,
}

/// For each witness of an incident, in their order.
pub(super) fn of_witnesses(
    tx: &ReadTx<'_>,
    visible: &Visible,
    incident: &IncidentView,
) -> Result<Vec<OfProbe>, Problem> {
    incident.witnesses.iter().map(|witness| of_witness(tx, visible, &witness.key)).collect()
}

fn of_witness(tx: &ReadTx<'_>, visible: &Visible, key: &str) -> Result<OfProbe, Problem> {
    let number = key.strip_prefix("probe:").and_then(|number| number.parse().ok());
    let Some(number) = number else { return Ok(OfProbe::default()) };
    let Some(probe) = outline::find_by_id(tx, visible, ProbeId(number))? else {
        return Ok(OfProbe::default());
    };
    let (_, bad) = queries::samples(tx, probe.id)?;
    Ok(OfProbe {
        phases: bad.as_ref().and_then(phases_of),
        behind: behind(&probe.key, queries::count_unreachable(tx, visible, probe.id)?),
    })
}

fn behind(key: &str, unreachable: u32) -> Option<Behind> {
    let text = match unreachable {
        0 => return None,
        1 => "1 probe behind it is unreachable".to_owned(),
        more => format!("{} probes behind it are unreachable", count(more.into())),
    };
    Some(Behind { text, place: format!("/probes?status=unreachable&behind={key}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_is_counted_and_led_to() {
        let said = |unreachable| behind("router", unreachable).map(|behind| behind.text);
        assert_eq!(said(0), None);
        assert_eq!(said(1).unwrap(), "1 probe behind it is unreachable");
        assert_eq!(said(1_200).unwrap(), "1,200 probes behind it are unreachable");
        assert_eq!(behind("router", 2).unwrap().place, "/probes?status=unreachable&behind=router");
    }
}
