use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::AsJson;
use super::session::{Session, unexpected};
use crate::lifecycle::control::{Answer, Command, TestKind};

/// Send a real error or message, end to end, and say where it arrived
#[derive(Args, Debug)]
pub(super) struct SendTest {
    #[arg(value_enum, default_value = "alert")]
    what: What,
    #[command(flatten)]
    format: AsJson,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// An error through the door that SDKs use
    Error,
    /// A message to every channel
    Alert,
    /// A message to the mail channels
    Email,
    /// A message to the Slack channels
    Slack,
}

impl SendTest {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let what = match self.what {
            What::Error => TestKind::Error,
            What::Alert => TestKind::Alert,
            What::Email => TestKind::Email,
            What::Slack => TestKind::Slack,
        };
        match session.command(Command::SendTest { what })? {
            Answer::Sent { items } => {
                if self.format.json {
                    session.output.json(&json!({ "items": items }))?;
                } else {
                    let mark = |ok: bool| if ok { "arrived" } else { "FAILED" }.to_owned();
                    let rows: Vec<_> = items
                        .iter()
                        .map(|item| vec![mark(item.ok), item.to.clone(), item.text.clone()])
                        .collect();
                    session.output.table(&rows)?;
                }
                let all = !items.is_empty() && items.iter().all(|item| item.ok);
                Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            other => Err(unexpected(other)),
        }
    }
}
