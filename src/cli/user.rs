use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::session::{DONE, Session, unexpected};
use super::{AsJson, Output};
use crate::base::{Secret, Timestamp};
use crate::lifecycle::control::{Answer, Command, UserLine};

/// Longer than any password that is accepted.
const STDIN_BYTES_MAX: u64 = 4096;

/// Manage who may sign in
#[derive(Args, Debug)]
pub(super) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add somebody; prints a one-use sign-in link, or takes a password from standard input
    Create {
        email: String,
        #[arg(long, value_enum)]
        role: Role,
        /// Read the password from standard input instead of making a link
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        format: AsJson,
    },
    /// Show everybody
    List {
        #[command(flatten)]
        format: AsJson,
    },
    /// Make a one-use sign-in link, good for an hour
    Link {
        /// For whom [default: the first owner, while there is no user]
        email: Option<String>,
        #[command(flatten)]
        format: AsJson,
    },
    /// Sign somebody out everywhere and let them in no more
    Disable {
        email: String,
        /// Revoke the tokens that they made, too
        #[arg(long)]
        tokens: bool,
    },
    /// Remove somebody for good
    Remove {
        email: String,
        /// Revoke the tokens that they made, too
        #[arg(long)]
        tokens: bool,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    Owner,
    Member,
    Viewer,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }
}

impl User {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let (command, format) = match self.action {
            Action::Create { email, role, password_stdin, format } => {
                let password = if password_stdin { Some(read_password()?) } else { None };
                (Command::UserCreate { email, role: role.as_str().to_owned(), password }, format)
            }
            Action::List { format } => (Command::UserList, format),
            Action::Link { email, format } => (Command::UserLink { email }, format),
            Action::Disable { email, tokens } => {
                (Command::UserDisable { email, tokens }, AsJson { json: false })
            }
            Action::Remove { email, tokens } => {
                (Command::UserRemove { email, tokens }, AsJson { json: false })
            }
        };
        let answer = session.command(command)?;
        show(&mut session.output, answer, format)
    }
}

fn show(output: &mut Output, answer: Answer, format: AsJson) -> anyhow::Result<ExitCode> {
    match answer {
        Answer::User { email, role, link, link_expires_at } if format.json => {
            let user = json!({ "email": email, "role": role, "link": link, "expires_at": link_expires_at });
            output.json(&user)?;
        }
        Answer::User { email, role, link, .. } => {
            output.say(&format!("{email} is {role} now"))?;
            if let Some(link) = link {
                output.say(&format!("sign in once, within an hour: {link}"))?;
            }
        }
        Answer::Users { items, more } if format.json => {
            output.json(&json!({ "items": items, "more": more }))?;
        }
        Answer::Users { items, more } => {
            let heads = ["EMAIL", "ROLE", "LAST SEEN"].map(str::to_owned).to_vec();
            let rows: Vec<_> = std::iter::once(heads).chain(items.iter().map(row)).collect();
            output.table(&rows)?;
            if more {
                output.note("there are more than these")?;
            }
        }
        Answer::Link { link, expires_at } if format.json => {
            output.json(&json!({ "link": link, "expires_at": expires_at }))?;
        }
        Answer::Link { link, expires_at } => {
            output.note(&format!("good once, until {expires_at}"))?;
            output.say(&link)?;
        }
        Answer::Done { text } => output.say(&text)?,
        other => return Err(unexpected(other)),
    }
    DONE
}

fn row(user: &UserLine) -> Vec<String> {
    let seen = if user.disabled {
        "disabled".to_owned()
    } else {
        user.last_seen_at.as_ref().map_or_else(|| "never".to_owned(), Timestamp::to_string)
    };
    vec![user.email.clone(), user.role.clone(), seen]
}

fn read_password() -> anyhow::Result<Secret> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!(
            "a typed password would stay on the screen: pipe it in, or leave --password-stdin out for a link"
        );
    }
    let mut text = String::new();
    stdin.take(STDIN_BYTES_MAX).read_to_string(&mut text).context("the password could not be read")?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("standard input held no password");
    }
    Ok(Secret::new(password))
}
