use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::session::{DONE, Session, unexpected};
use super::{AsJson, Output};
use crate::base::Timestamp;
use crate::lifecycle::control::{Answer, Command, TokenLine};

/// Make, show and revoke tokens for the API
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
    /// Show every active token, without its secret
    List {
        #[command(flatten)]
        format: AsJson,
    },
    /// End a token for good
    Revoke {
        /// Its id, as `tocsin token list` shows it
        id: String,
    },
}

impl Token {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let (command, format) = match self.action {
            Action::Create { name, scopes, project, format } => {
                (Command::TokenCreate { name, scopes, project }, format)
            }
            Action::List { format } => (Command::TokenList, format),
            Action::Revoke { id } => (Command::TokenRevoke { id }, AsJson { json: false }),
        };
        let answer = session.command(command)?;
        show(&mut session.output, answer, format)
    }
}

fn show(output: &mut Output, answer: Answer, format: AsJson) -> anyhow::Result<ExitCode> {
    match answer {
        Answer::Token { token } if format.json => output.json(&json!({ "token": token }))?,
        Answer::Token { token } => {
            output.note("keep it: it is not shown again")?;
            output.say(&token)?;
        }
        Answer::Tokens { items } if format.json => output.json(&json!({ "items": items }))?,
        Answer::Tokens { items } => {
            let heads =
                ["ID", "ENDS IN", "SCOPES", "PROJECT", "LAST USED", "NAME"].map(str::to_owned).to_vec();
            output.table(&std::iter::once(heads).chain(items.iter().map(row)).collect::<Vec<_>>())?;
        }
        Answer::Done { text } => output.say(&text)?,
        other => return Err(unexpected(other)),
    }
    DONE
}

fn row(token: &TokenLine) -> Vec<String> {
    vec![
        token.id.clone(),
        token.hint.clone(),
        token.scopes.clone(),
        token.project.clone().unwrap_or_else(|| "all".to_owned()),
        token.last_used_at.as_ref().map_or_else(|| "never".to_owned(), Timestamp::to_string),
        token.name.clone(),
    ]
}
