use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::session::{Session, log_quietly, unexpected};
use super::{AsJson, Output};
use crate::lifecycle::control::{self, Answer, AskError, Command, Health, StatusOf, StatusReport};

/// Show how it is on one screen; exit 0 healthy, 1 degraded, 2 unhealthy
#[derive(Args, Debug)]
pub(super) struct Status {
    #[arg(long, value_enum, default_value = "self")]
    of: Of,
    #[command(flatten)]
    format: AsJson,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// tocsin itself
    #[value(name = "self")]
    Itself,
    /// What it watches
    Services,
}

impl Status {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let of = match self.of {
            Of::Itself => StatusOf::Itself,
            Of::Services => StatusOf::Services,
        };
        let loaded = session.open()?;
        log_quietly()?;
        let report = match control::ask(&loaded.folder.path, &Command::Status { of }) {
            Ok(Answer::Status(report)) => report,
            Ok(other) => return Err(unexpected(other)),
            Err(AskError::NotRunning) => unhealthy(
                "no server runs on this data folder: start it with `tocsin serve` or `systemctl start tocsin`"
                    .to_owned(),
            ),
            Err(silent @ AskError::Silent(_)) => unhealthy(silent.to_string()),
            Err(error) => return Err(error.into()),
        };
        if self.format.json {
            session.output.json(&report)?;
        } else {
            show(&mut session.output, &report)?;
        }
        Ok(exit_code(report.status))
    }
}

fn unhealthy(text: String) -> StatusReport {
    let part = control::PartHealth { name: "server".to_owned(), status: Health::Unhealthy, text };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    StatusReport { status: Health::Unhealthy, version, uptime_s: 0, parts: vec![part] }
}

fn show(output: &mut Output, report: &StatusReport) -> std::io::Result<()> {
    let hours = report.uptime_s / 3600;
    let minutes = report.uptime_s % 3600 / 60;
    let head = format!("{} · tocsin {} · up {hours} h {minutes} min", report.status.as_str(), report.version);
    output.say(&head)?;
    let row = |part: &control::PartHealth| {
        vec![part.status.as_str().to_owned(), part.name.clone(), part.text.clone()]
    };
    output.table(&report.parts.iter().map(row).collect::<Vec<_>>())
}

/// Unknown is not healthy: whoever watches this should look.
fn exit_code(health: Health) -> ExitCode {
    ExitCode::from(match health {
        Health::Healthy => 0,
        Health::Degraded | Health::Unknown => 1,
        Health::Unhealthy => 2,
    })
}
