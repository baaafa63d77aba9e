//! Carrying a manifest out: all of it, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::entries::{self, Noted};
use super::plan::{Change, Left, Plan, What, compare};
use super::problem::Problem;
use super::sections::{self, Fault, SECTIONS, Stored, Work};
use super::tree::Manifest;
use super::wish::{Mistaken, STAND_IN, Wish};
use super::{Document, Means};
use crate::accounts::By;
use crate::accounts::audit;
use crate::store::{self, WriteTx};

/// How a manifest is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// Nothing is kept: the write is taken back.
    pub dry: bool,
    /// What files named once and no file names now is removed, or handed to the pages.
    pub prune: bool,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Because only the plan was wanted.
    #[error("nothing was changed: only the plan was wanted")]
    Dry(Plan),
    #[error("nothing was changed: the files have mistakes")]
    Wrong(Vec<Problem>),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Whoever has this many to mend in one entry mends some and asks again.
const TOLD_MAX: usize = 20;

type Known = BTreeMap<(usize, String), Stored>;

/// Makes what is stored what the files say, and tells what changed. `problems` are those of [`Manifest::read`]: with any,
/// only more of them are looked for.
///
/// # Errors
/// [`Stop`]; the caller's transaction must be given up then.
pub fn apply(
    tx: &WriteTx<'_>,
    by: &By,
    means: &Means,
    (mut manifest, mut problems): (Manifest, Vec<Problem>),
    (document, how): (&Document, How),
) -> Result<Plan, Stop> {
    let work = Work { tx, by, means, secrets: &document.secrets };
    let before = stored(&work)?;
    let named: BTreeSet<(usize, String)> =
        manifest.wishes.iter().map(|wish| (sections::rank(wish.section), wish.key())).collect();
    let gone = || before.iter().filter(|(key, thing)| thing.of_file && !named.contains(*key));
    let mut removed = BTreeMap::new();
    if how.prune {
        // Before the services are saved and removed that ring for them: nothing is to ring that goes anyway.
        let members = gone().filter(|((rank, _), _)| sections::is_member(*rank));
        take_away(&work, members, &mut removed, &mut problems)?;
    }
    save(&work, &mut manifest.wishes, &mut problems)?;
    refuse_wrong(&mut problems)?;
    let mut plan = plan(&before, &stored(&work)?, &named);
    note_places(&work, &manifest)?;
    if how.prune {
        // What others rest on goes last.
        let others = gone().rev().filter(|((rank, _), _)| !sections::is_member(*rank));
        take_away(&work, others, &mut removed, &mut problems)?;
        refuse_wrong(&mut problems)?;
        plan.changes.extend(removed.into_values().rev());
    } else {
        plan.left = left(&work, gone().map(|(key, _)| key))?;
    }
    for change in &plan.changes {
        write_down(&work, change, &manifest)?;
    }
    if how.dry { Err(Stop::Dry(plan)) } else { Ok(plan) }
}

fn refuse_wrong(problems: &mut Vec<Problem>) -> Result<(), Stop> {
    if problems.is_empty() { Ok(()) } else { Err(Stop::Wrong(Problem::first(std::mem::take(problems)))) }
}

fn stored(work: &Work<'_>) -> Result<Known, Stop> {
    let mut known = Known::new();
    for (rank, section) in SECTIONS.iter().enumerate() {
        for thing in (section.stored)(work.tx, work.means).map_err(broken)? {
            known.insert((rank, thing.key.clone()), thing);
        }
    }
    Ok(known)
}

/// Saves every entry, or what is left of it. Where something is wrong only to find the rest of it.
fn save(work: &Work<'_>, wishes: &mut [Wish], problems: &mut Vec<Problem>) -> Result<(), Stop> {
    let mut mistaken = Mistaken::default();
    for wish in wishes {
        save_one(work, wish, &mistaken, problems)?;
        if wish.is_mistaken() {
            mistaken.add(wish);
        }
    }
    Ok(())
}

fn save_one(
    work: &Work<'_>,
    wish: &mut Wish,
    mistaken: &Mistaken,
    problems: &mut Vec<Problem>,
) -> Result<(), Stop> {
    for _ in 0..TOLD_MAX {
        let Some(draft) = &wish.draft else { break };
        let (field, text) = match draft.save(work) {
            Ok(()) => return Ok(()),
            Err(Fault::Store(error)) => return Err(error.into()),
            Err(Fault::Refused { field, text }) => (field, text),
        };
        // Nothing follows from nothing: without a problem all of it would be kept.
        if problems.is_empty() || !wish.is_consequence(&field, mistaken) {
            let called = wish.section.called(&wish.entry.key);
            problems.push(wish.problem(&field, format!("{called}: {text}")));
        }
        wish.leave_out([field.as_str()]);
        if field == "project" {
            sections::stand_in_project(work, STAND_IN)?;
        }
    }
    if wish.section.name == "projects" {
        sections::stand_in_project(work, &wish.entry.key)?;
    }
    Ok(())
}

fn plan(before: &Known, after: &Known, named: &BTreeSet<(usize, String)>) -> Plan {
    let mut plan = Plan::default();
    // What no file names changes only as a consequence of what goes.
    let told = |place: &(usize, String)| named.contains(place) || !before.contains_key(place);
    for (place, thing) in after.iter().filter(|(place, _)| told(place)) {
        let fields = before.get(place).map(|old| compare(old, thing));
        let what = match &fields {
            None => What::Created,
            Some(fields) if fields.is_empty() => {
                plan.unchanged += usize::from(named.contains(place));
                continue;
            }
            Some(_) => What::Changed,
        };
        plan.changes.push(change(what, place, fields.unwrap_or_default()));
    }
    plan
}

fn change(what: What, (rank, key): &(usize, String), fields: Vec<super::FieldChange>) -> Change {
    Change { what, section: SECTIONS[*rank].word.to_owned(), key: key.clone(), fields }
}

fn note_places(work: &Work<'_>, manifest: &Manifest) -> Result<(), Stop> {
    let noted = entries::list(work.tx)?;
    for wish in &manifest.wishes {
        let (section, key) = (wish.section.name.to_owned(), wish.key());
        let place = (section, key);
        let known = noted.get(&place);
        let mut now = Noted { place: wish.entry.place.to_string(), ..Noted::default() };
        // Where a secret is not named now, it is kept, and with it where it came from.
        now.secrets = known.map(|known| known.secrets.clone()).unwrap_or_default();
        now.secrets.extend(wish.entry.secrets.clone());
        if known != Some(&now) {
            entries::put(work.tx, &place.0, &place.1, &now)?;
        }
    }
    Ok(())
}

/// Removes things in their order, and notes what was done with each.
fn take_away<'a>(
    work: &Work<'_>,
    things: impl Iterator<Item = (&'a (usize, String), &'a Stored)>,
    removed: &mut BTreeMap<(usize, String), Change>,
    problems: &mut Vec<Problem>,
) -> Result<(), Stop> {
    for (place, thing) in things {
        let (section, key) = (&SECTIONS[place.0], place.1.as_str());
        let what = match (section.remove)(work, thing) {
            Ok(what) => what,
            Err(Fault::Store(error)) => return Err(error.into()),
            Err(Fault::Refused { text, .. }) => {
                problems.push(Problem::new("--prune", format!("{}: {text}", section.called(key))));
                continue;
            }
        };
        entries::remove(work.tx, section.name, key)?;
        removed.insert(place.clone(), change(what, place, Vec::new()));
    }
    Ok(())
}

fn left<'a>(work: &Work<'_>, gone: impl Iterator<Item = &'a (usize, String)>) -> Result<Vec<Left>, Stop> {
    let mut left = Vec::new();
    for (rank, key) in gone {
        let section = &SECTIONS[*rank];
        let place = entries::place(work.tx, section.name, key)?.unwrap_or_else(|| "a file".to_owned());
        left.push(Left { section: section.word.to_owned(), key: key.clone(), place });
    }
    Ok(left)
}

/// The line of the audit log, where the domain writes none itself.
fn write_down(work: &Work<'_>, change: &Change, manifest: &Manifest) -> Result<(), Stop> {
    let section = SECTIONS.iter().find(|section| section.word == change.section);
    let Some(section) = section.filter(|section| !section.audits_itself) else { return Ok(()) };
    let mut of_section = manifest.wishes.iter().filter(|wish| wish.section.name == section.name);
    let wish = of_section.find(|wish| wish.key() == change.key);
    let fields: Vec<Value> = change.fields.iter().map(|field| field.to_string().into()).collect();
    let place = wish.map(|wish| wish.entry.place.to_string());
    let detail = json!({ "file": place, "changes": fields });
    let line =
        audit::Change { action: (section.action)(change.what), subject: &change.key, project: None, detail };
    audit::append(work.tx, work.by, &line).map_err(|error| Stop::Store(error.into()))
}

/// A refusal while reading what is stored is a fault of the program.
fn broken(fault: Fault) -> Stop {
    match fault {
        Fault::Store(error) => Stop::Store(error),
        Fault::Refused { text, .. } => Stop::Store(store::Error::Refused(text.into())),
    }
}
