use std::process::ExitCode;

use clap::Args;

use super::session::{DONE, Session, unexpected};
use crate::lifecycle::control::{Answer, Command};

/// Write what is stored as a file that `apply` takes; never a secret
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Only this project (id or slug) [default: everything]
    #[arg(long)]
    project: Option<String>,
}

impl Export {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        match session.command(Command::Export { project: self.project })? {
            Answer::Exported { text } => session.output.say(text.trim_end())?,
            other => return Err(unexpected(other)),
        }
        DONE
    }
}
