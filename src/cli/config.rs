use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::AsJson;
use super::session::{DONE, Session};
use crate::config::{self, Key, Loaded, keys};

/// Look at the configuration
#[derive(Args, Debug)]
pub(super) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check it, and show every value and where it came from
    Check {
        /// Show every key with its values, default and meaning instead
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        format: AsJson,
    },
}

impl Config {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let Action::Check { keys: list, format } = self.action;
        if list {
            return show_keys(session, format);
        }
        session.enter()?;
        match config::load(&session.flags, session.environment) {
            Ok(loaded) => show(session, &loaded, format),
            Err(invalid) if format.json => {
                let problems: Vec<_> =
                    invalid.problems.iter().map(|p| json!({ "place": p.place, "text": p.text })).collect();
                session.output.json(&json!({ "ok": false, "problems": problems }))?;
                Ok(ExitCode::FAILURE)
            }
            Err(invalid) => Err(invalid.into()),
        }
    }
}

fn show(session: &mut Session<'_>, loaded: &Loaded, format: AsJson) -> anyhow::Result<ExitCode> {
    let file = loaded.file.as_ref().map(|path| path.display().to_string());
    if format.json {
        let setting =
            |s: &config::Setting| json!({ "key": s.key, "value": s.value, "origin": s.origin.to_string() });
        let settings: Vec<_> = loaded.settings.iter().map(setting).collect();
        session.output.json(&json!({
            "ok": true,
            "data": loaded.folder.path,
            "file": file,
            "notes": loaded.notes,
            "settings": settings,
        }))?;
        return DONE;
    }
    session.output.note(&format!("file: {}", file.as_deref().unwrap_or("none")))?;
    for note in &loaded.notes {
        session.output.note(&format!("note: {note}"))?;
    }
    let row = |s: &config::Setting| {
        vec![s.key.to_owned(), s.value.clone().unwrap_or_default(), s.origin.to_string()]
    };
    session.output.table(&loaded.settings.iter().map(row).collect::<Vec<_>>())?;
    DONE
}

fn show_keys(session: &mut Session<'_>, format: AsJson) -> anyhow::Result<ExitCode> {
    if format.json {
        let key = |key: &Key| {
            json!({
                "key": key.name,
                "environment": key.variable(),
                "values": key.kind.describe(),
                "default": key.default,
                "doc": key.doc,
            })
        };
        session.output.json(&keys().map(key).collect::<Vec<_>>())?;
    } else {
        session.output.say(config::reference_markdown().trim())?;
    }
    DONE
}
