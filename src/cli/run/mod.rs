//! `tocsin run`: a job with its heartbeat around it. A client: it needs no data folder, and a tocsin that is away
//! neither fails the job nor holds it up.

mod child;
mod pinger;
mod tail;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;

use self::child::Ended;
use self::pinger::{Pinger, Place};
use super::session::Session;
use crate::base::{Clock, Entropy};
use crate::config::Environment;

/// Run a command and tell its heartbeat: when it began, how it ended, what it wrote last
///
/// The command's output passes through, its exit code is passed on (128 + n where a signal ended it). Where tocsin is
/// not reached, the command runs all the same, and standard error says so.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// A slug of the ping key's project, a heartbeat's id, or its whole ping address
    #[arg(long, value_name = "SLUG|ID|URL")]
    heartbeat: String,
    #[arg(long, value_name = "URL", help = URL_HELP)]
    url: Option<String>,
    #[arg(long, value_name = "KEY", help = KEY_HELP)]
    ping_key: Option<String>,
    /// Make the heartbeat where there is none of this slug
    #[arg(long)]
    create: bool,
    /// Say nothing about what became of the pings
    #[arg(long, short)]
    quiet: bool,
    /// What is run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

const URL_HELP: &str = "Where tocsin is reached [default: TOCSIN_BASE_URL, else http://127.0.0.1:8787]";
const KEY_HELP: &str = "The project's ping key, for a slug [default: TOCSIN_PING_KEY]";

impl Run {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let place = self.place(session.environment);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (code, notes) = runtime.block_on(self.around(place))?;
        // What the job left open behind it must not hold us.
        runtime.shutdown_background();
        if !self.quiet {
            for note in notes {
                session.output.note(&format!("tocsin run: {note}"))?;
            }
        }
        Ok(ExitCode::from(code))
    }

    /// Where the pings go.
    fn place(&self, environment: &Environment) -> Result<Place, String> {
        let set = |name: &str| environment.get(name).filter(|text| !text.is_empty()).cloned();
        let base = self.url.clone().or_else(|| set("TOCSIN_BASE_URL"));
        let key = self.ping_key.clone().or_else(|| set("TOCSIN_PING_KEY"));
        Place::find(&self.heartbeat, base.as_deref(), key.as_deref(), self.create)
    }

    /// The exit code of the command, and what is to be said of its pings.
    async fn around(&self, place: Result<Place, String>) -> anyhow::Result<(u8, Vec<String>)> {
        let mut notes = Vec::new();
        let mut pinger = match place {
            Ok(place) => {
                let entropy = Entropy::system().map_err(|error| anyhow!("no randomness: {error}"))?;
                Some(Pinger::new(place, &entropy, Clock::system())?)
            }
            Err(why) => {
                notes.push(format!("no ping is sent: {why}"));
                None
            }
        };
        let (ended, said) = match &mut pinger {
            Some(pinger) => tokio::join!(child::run(&self.command), pinger.start()),
            None => (child::run(&self.command).await, None),
        };
        notes.extend(said);
        let Ended { code, tail } = ended;
        if let Some(pinger) = &pinger {
            notes.extend(pinger.end(code, &tail).await);
        }
        Ok((code, notes))
    }
}

#[cfg(test)]
mod tests;
