//! `tocsin run`: a job with its heartbeat around it. A client: it needs no data folder, and a tocsin that is away
//! neither fails the job nor holds it up.

mod child;
mod pinger;
mod tail;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::child::Ended;
use self::pinger::{Pinger, Place};
use super::session::Session;
use crate::base::{Clock, Entropy};
use crate::config::{self, BaseUrl};
use crate::outbound;

/// Run a command and tell its heartbeat: when it began, how it ended, what it wrote last
///
/// The command's output passes through, its exit code is passed on (128 + n where a signal ended it). Where tocsin is
/// not reached, the command runs all the same, and standard error says so.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// A slug of the ping key's project, the last part of a heartbeat's ping address, or all of it
    #[arg(long, value_name = "SLUG|ID|URL")]
    heartbeat: String,
    #[arg(long, value_name = "URL", help = URL_HELP)]
    url: Option<String>,
    #[arg(long, value_name = "KEY", help = KEY_HELP)]
    ping_key: Option<String>,
    #[arg(long, value_name = "FILE", help = CA_HELP)]
    ca: Option<PathBuf>,
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

const URL_HELP: &str = "Where tocsin is reached [default: TOCSIN_BASE_URL, else where the configuration of this machine listens]";
const KEY_HELP: &str = "The project's ping key, for a slug [default: TOCSIN_PING_KEY]";
const CA_HELP: &str = "Certificate authorities of your own to trust, a PEM file [default: TOCSIN_CA_FILE]";

impl Run {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let pinger = self.pinger(session);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (code, note) = runtime.block_on(self.around(pinger));
        // What the job left open behind it must not hold us.
        runtime.shutdown_background();
        if let Some(note) = note.filter(|_| !self.quiet) {
            session.output.note(&format!("tocsin run: {note}"))?;
        }
        Ok(ExitCode::from(code))
    }

    /// Who tells the heartbeat; where nobody can, why. The job runs either way.
    fn pinger(&self, session: &Session<'_>) -> Result<Pinger, String> {
        let set = |name: &str| session.environment.get(name).filter(|text| !text.is_empty()).cloned();
        let base = self.url.clone().or_else(|| set("TOCSIN_BASE_URL")).or_else(|| local(session));
        let key = self.ping_key.clone().or_else(|| set("TOCSIN_PING_KEY"));
        let place = Place::find(&self.heartbeat, base.as_deref(), key.as_deref(), self.create)?;
        let ca = self.ca.clone().or_else(|| set("TOCSIN_CA_FILE").map(PathBuf::from));
        let authorities = ca.map(|file| read_authorities(&file)).transpose()?;
        let entropy = Entropy::system().map_err(|error| format!("no randomness: {error}"))?;
        Pinger::new(place, authorities, &entropy, Clock::system())
    }

    /// The exit code of the command, and what is to be said of its pings: one thing at most.
    async fn around(&self, pinger: Result<Pinger, String>) -> (u8, Option<String>) {
        let mut pinger = match pinger {
            Ok(pinger) => pinger,
            Err(why) => {
                let Ended { code, .. } = child::run(&self.command).await;
                return (code, Some(format!("no ping is sent: {why}")));
            }
        };
        let (Ended { code, tail }, start) = tokio::join!(child::run(&self.command), pinger.start());
        let end = pinger.end(code, &tail).await;
        (code, end.or(start))
    }
}

/// Where a tocsin of this machine listens, as far as whoever runs the job may read it.
fn local(session: &Session<'_>) -> Option<String> {
    let loaded = config::load(&session.flags, session.environment).ok()?;
    Some(BaseUrl::of_address(loaded.config.server.listen).as_str().to_owned())
}

fn read_authorities(file: &Path) -> Result<Vec<u8>, String> {
    let refuse = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| refuse(&error))?;
    outbound::check_authorities(&pem).map_err(|error| refuse(&error))?;
    Ok(pem)
}

#[cfg(test)]
mod tests;
