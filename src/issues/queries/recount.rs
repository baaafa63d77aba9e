//! The numbers of an incident's witnesses, as they are now.

use serde::Deserialize;

use super::find_issue;
use crate::accounts::Visible;
use crate::base::Uid;
use crate::incidents::views::IncidentView;
use crate::store::{Error, ReadTx};

/// What a witness of an issue says that it is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct About {
    issue: Option<Uid>,
}

/// Witnesses note what was known when they first spoke; what an issue counts by now is asked anew.
pub fn recount(tx: &ReadTx<'_>, incident: &mut IncidentView) -> Result<(), Error> {
    // Who sees an incident sees its issues: they are of one project.
    let visible = incident.project_id.map_or(Visible::All, |project| Visible::Only(vec![project]));
    for witness in &mut incident.witnesses {
        let about = About::deserialize(&witness.detail).unwrap_or_default();
        let Some(issue) = about.issue else { continue };
        let Some(issue) = find_issue(tx, &visible, issue)? else { continue };
        if let Some(detail) = witness.detail.as_object_mut() {
            detail.insert("events".to_owned(), issue.count.into());
            detail.insert("users".to_owned(), issue.users.into());
            detail.insert("users_estimated".to_owned(), issue.users_estimated.into());
        }
    }
    Ok(())
}
