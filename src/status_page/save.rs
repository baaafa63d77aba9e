//! Writing the page, whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    Draft, ENTRIES_MAX, Error, SECTIONS_MAX, STATUS_PAGE, TEXT_CHARS_MAX, TITLE_CHARS_MAX, find, may_change,
};
use crate::accounts::By;
use crate::accounts::audit::{self, Change as Audited};
use crate::base::Entropy;
use crate::base::owned::{Change, Owner};
use crate::base::text::line;
use crate::store::{self, WriteTx, params};

/// Long enough that nobody guesses it, short enough for an address.
const BADGE_CHARS: usize = 22;

/// Makes the page what the draft says. A service that stays keeps its badges.
///
/// # Errors
/// The first thing that is wrong, by its field; [`Error::OwnedByFile`].
pub fn save(
    tx: &WriteTx<'_>,
    by: &By,
    entropy: &Entropy,
    draft: &Draft,
    owner: Owner,
) -> Result<Change, Error> {
    check(draft)?;
    let known = find(tx)?;
    if let Some(known) = &known {
        may_change(known.owner, owner)?;
        if known.draft() == *draft && known.owner == owner {
            return Ok(Change::Unchanged);
        }
    }
    let badges: BTreeMap<String, String> = known
        .iter()
        .flat_map(super::Page::entries)
        .map(|entry| (entry.service.clone(), entry.badge.clone()))
        .collect();
    write_page(tx, by, draft, owner)?;
    write_sections(tx, draft, |service| {
        badges.get(service).cloned().unwrap_or_else(|| entropy.token().chars().take(BADGE_CHARS).collect())
    })?;
    let detail = json!({ "enabled": draft.enabled, "services": draft.sections.iter().map(|s| s.entries.len()).sum::<usize>() });
    audit::append(
        tx,
        by,
        &Audited { action: "status_page.change", subject: "status page", project: None, detail },
    )?;
    tx.touch(STATUS_PAGE);
    Ok(if known.is_some() { Change::Updated } else { Change::Created })
}

/// Hands a page that a file made back to its own page; it shows what it showed.
pub fn release(tx: &WriteTx<'_>) -> Result<(), Error> {
    tx.execute("UPDATE status_pages SET owner = ?1 WHERE id = 1", [Owner::Page.as_str()])?;
    tx.touch(STATUS_PAGE);
    Ok(())
}

fn check(draft: &Draft) -> Result<(), Error> {
    line("title", &draft.title, TITLE_CHARS_MAX)?;
    if draft.description.chars().count() > TEXT_CHARS_MAX {
        return Err(Error::Invalid(format!("description: use at most {TEXT_CHARS_MAX} characters")));
    }
    if let Some(url) = &draft.settings.support_url
        && !(["https://", "http://", "mailto:"].iter().any(|start| url.starts_with(start))
            && line("support_url", url, 500).is_ok())
    {
        let text = "settings.support_url: an address that begins with https://, http:// or mailto:";
        return Err(Error::Invalid(text.to_owned()));
    }
    if draft.sections.len() > SECTIONS_MAX {
        return Err(Error::Invalid(format!("sections: at most {SECTIONS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    for section in &draft.sections {
        line("section's title", &section.title, TITLE_CHARS_MAX)?;
        for entry in &section.entries {
            if let Some(title) = &entry.title {
                line("service's title", title, TITLE_CHARS_MAX)?;
            }
            if !seen.insert(&entry.service) {
                return Err(Error::Invalid(format!("sections: {} is shown twice", entry.service)));
            }
        }
    }
    if seen.len() > ENTRIES_MAX {
        return Err(Error::Invalid(format!("sections: at most {ENTRIES_MAX} services")));
    }
    Ok(())
}

fn write_page(tx: &WriteTx<'_>, by: &By, draft: &Draft, owner: Owner) -> Result<(), store::Error> {
    tx.execute(
        "INSERT INTO status_pages (id, enabled, title, description, settings, owner, updated_at)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET enabled = excluded.enabled, title = excluded.title,
             description = excluded.description, settings = excluded.settings, owner = excluded.owner,
             updated_at = excluded.updated_at, version = version + 1",
        params![
            draft.enabled,
            draft.title.trim(),
            draft.description,
            json!(draft.settings).to_string(),
            owner.as_str(),
            by.now.as_micros(),
        ],
    )?;
    Ok(())
}

fn write_sections(
    tx: &WriteTx<'_>,
    draft: &Draft,
    badge: impl Fn(&str) -> String,
) -> Result<(), store::Error> {
    tx.execute("DELETE FROM status_sections", [])?;
    for (position, section) in (0_i64..).zip(&draft.sections) {
        tx.execute(
            "INSERT INTO status_sections (position, title) VALUES (?1, ?2)",
            params![position, section.title],
        )?;
        for (nth, entry) in (0_i64..).zip(&section.entries) {
            tx.execute(
                "INSERT INTO status_entries (service_key, section, position, title, badge, latency)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![entry.service, position, nth, entry.title, badge(&entry.service), entry.latency],
            )?;
        }
    }
    Ok(())
}
