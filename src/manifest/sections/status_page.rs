//! `[status_page]`: what strangers see, and under which names.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Draft, Fault, Section, Shape, Stored, Work, refuse_secrets, table};
use crate::base::Owner;
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::status_page;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "status_page",
    word: "status page",
    shape: Shape::Single,
    stands_alone: true,
    below: None,
    audits_itself: false,
    action: |what| match what {
        What::Created | What::Changed => "status_page.change",
        What::Removed => "status_page.remove",
        What::HandedOver => "status_page.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

struct Wanted(status_page::Draft);

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    reader::read(entry, problems).map(|draft| Box::new(Wanted(draft)) as Box<dyn Draft>)
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        status_page::save(work.tx, work.by, &work.means.entropy, &self.0, Owner::File)?;
        Ok(())
    }
}

/// One that shows nothing was never written.
fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let Some(page) = status_page::find(tx)? else { return Ok(Vec::new()) };
    let of_file = page.owner == Owner::File;
    let table = table(json!(page.draft()));
    Ok(vec![Stored { key: String::new(), entry_key: None, of_file, table, secrets: BTreeMap::new() }])
}

/// It shows what it showed; its page has the say again.
fn remove(work: &Work<'_>, _: &Stored) -> Result<What, Fault> {
    status_page::release(work.tx)?;
    Ok(What::HandedOver)
}

impl From<status_page::Error> for Fault {
    fn from(error: status_page::Error) -> Self {
        match error {
            status_page::Error::Store(error) => Self::Store(error),
            status_page::Error::Accounts(error) => error.into(),
            other => Self::of_text(other.to_string()),
        }
    }
}
