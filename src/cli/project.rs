use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::AsJson;
use super::session::{DONE, Session, unexpected};
use crate::lifecycle::control::{Answer, Command};

/// Make a project and its DSN
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
}

impl Project {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let Action::Create { name, format } = self.action;
        match session.command(Command::ProjectCreate { name })? {
            Answer::Project { id, slug, dsn, public_key } => {
                if format.json {
                    let made = json!({ "id": id, "slug": slug, "dsn": dsn, "public_key": public_key });
                    session.output.json(&made)?;
                } else {
                    session.output.say(&format!("project {slug} (id {id})\nDSN {dsn}"))?;
                }
                DONE
            }
            other => Err(unexpected(other)),
        }
    }
}
