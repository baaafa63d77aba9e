//! The page as it is stored.

use serde::Serialize;

use super::{Draft, Entry, Section, Settings};
use crate::base::Timestamp;
use crate::base::owned::Owner;
use crate::store::{Error, ReadTx};

/// The page with the ids of its badges.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub enabled: bool,
    pub title: String,
    pub description: String,
    pub settings: Settings,
    pub owner: Owner,
    pub updated_at: Timestamp,
    /// Grows with each change by somebody.
    #[serde(skip)]
    pub version: i64,
    pub sections: Vec<SectionView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SectionView {
    pub title: String,
    pub entries: Vec<EntryView>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryView {
    pub service: String,
    pub title: Option<String>,
    pub latency: bool,
    /// In the address of its badges; whoever knows it sees them.
    pub badge: String,
}

/// The page; `None` where nobody has saved one.
pub fn find(tx: &ReadTx<'_>) -> Result<Option<Page>, Error> {
    let found = tx.first(
        "SELECT enabled, title, description, settings, owner, updated_at, version FROM status_pages WHERE id = 1",
        [],
        |row| {
            Ok(Page {
                enabled: row.get(0)?,
                title: row.get(1)?,
                description: row.get(2)?,
                // The table is written by this module alone; what a newer one wrote is as by default.
                settings: serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default(),
                owner: Owner::parse(row.get_ref(4)?.as_str()?).unwrap_or(Owner::Page),
                updated_at: Timestamp::from_micros(row.get(5)?),
                version: row.get(6)?,
                sections: Vec::new(),
            })
        },
    )?;
    let Some(mut page) = found else { return Ok(None) };
    let sections: Vec<(i64, String)> =
        tx.all("SELECT position, title FROM status_sections ORDER BY position", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    for (position, title) in sections {
        let entries = tx.all(
            "SELECT service_key, title, latency, badge FROM status_entries WHERE section = ?1 ORDER BY position",
            [position],
            |row| {
                Ok(EntryView {
                    service: row.get(0)?,
                    title: row.get(1)?,
                    latency: row.get(2)?,
                    badge: row.get(3)?,
                })
            },
        )?;
        page.sections.push(SectionView { title, entries });
    }
    Ok(Some(page))
}

impl Page {
    /// As it was written.
    pub fn draft(&self) -> Draft {
        let entry = |entry: &EntryView| Entry {
            service: entry.service.clone(),
            title: entry.title.clone(),
            latency: entry.latency,
        };
        let section = |section: &SectionView| Section {
            title: section.title.clone(),
            entries: section.entries.iter().map(entry).collect(),
        };
        Draft {
            enabled: self.enabled,
            title: self.title.clone(),
            description: self.description.clone(),
            settings: self.settings.clone(),
            sections: self.sections.iter().map(section).collect(),
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = &EntryView> {
        self.sections.iter().flat_map(|section| &section.entries)
    }
}
