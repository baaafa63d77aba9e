use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::AsJson;
use super::session::{DONE, Session, unexpected};
use crate::lifecycle::control::{Answer, Command};

/// Make tokens for the API
#[derive(Args, Debug)]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token; it is shown this once
    Create {
        /// What it is for, such as `ci`
        #[arg(long)]
        name: String,
        /// What it may do: read, write, admin, ingest, gateway, metrics
        #[arg(long = "scope", required = true, value_delimiter = ',', value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Only this project (id or slug) [default: all]
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        format: AsJson,
    },
}

impl Token {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let Action::Create { name, scopes, project, format } = self.action;
        match session.command(Command::TokenCreate { name, scopes, project })? {
            Answer::Token { token } => {
                if format.json {
                    session.output.json(&json!({ "token": token }))?;
                } else {
                    session.output.note("keep it: it is not shown again")?;
                    session.output.say(&token)?;
                }
                DONE
            }
            other => Err(unexpected(other)),
        }
    }
}
