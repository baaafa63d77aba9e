use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::session::{DONE, Session, unexpected};
use super::{AsJson, Output};
use crate::lifecycle::control::{Answer, Command, KeyLine, ProjectLine};

/// Make projects, and show them with their DSNs
#[derive(Args, Debug)]
pub(super) struct Project {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a project; prints the DSN to paste into the application
    Create {
        /// What people call it
        name: String,
        #[command(flatten)]
        format: AsJson,
    },
    /// Show every project; archived ones are marked
    List {
        #[command(flatten)]
        format: AsJson,
    },
    /// Show a project's active keys with their DSNs
    Keys {
        /// Its slug or id
        project: String,
        #[command(flatten)]
        format: AsJson,
    },
}

impl Project {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let (command, format) = match self.action {
            Action::Create { name, format } => (Command::ProjectCreate { name }, format),
            Action::List { format } => (Command::ProjectList, format),
            Action::Keys { project, format } => (Command::ProjectKeys { project }, format),
        };
        let answer = session.command(command)?;
        show(&mut session.output, answer, format)
    }
}

fn show(output: &mut Output, answer: Answer, format: AsJson) -> anyhow::Result<ExitCode> {
    match answer {
        Answer::Project { id, slug, dsn, public_key } if format.json => {
            output.json(&json!({ "id": id, "slug": slug, "dsn": dsn, "public_key": public_key }))?;
        }
        Answer::Project { id, slug, dsn, .. } => {
            output.say(&format!("project {slug} (id {id})\nDSN {dsn}"))?;
        }
        Answer::Projects { items } if format.json => output.json(&json!({ "items": items }))?,
        Answer::Projects { items } => {
            let heads = ["ID", "SLUG", "NAME", ""].map(str::to_owned).to_vec();
            let row = |project: &ProjectLine| {
                let mark = if project.archived_at.is_some() { "archived" } else { "" };
                vec![project.id.to_string(), project.slug.clone(), project.name.clone(), mark.to_owned()]
            };
            output.table(&std::iter::once(heads).chain(items.iter().map(row)).collect::<Vec<_>>())?;
        }
        Answer::Keys { items } if format.json => output.json(&json!({ "items": items }))?,
        Answer::Keys { items } => {
            let heads = ["KIND", "LABEL", "DSN"].map(str::to_owned).to_vec();
            let row = |key: &KeyLine| vec![key.kind.clone(), key.label.clone(), key.dsn.clone()];
            output.table(&std::iter::once(heads).chain(items.iter().map(row)).collect::<Vec<_>>())?;
        }
        other => return Err(unexpected(other)),
    }
    DONE
}
