//! Configuration: built-in defaults < `tocsin.toml` < environment < flags, checked whole before anything starts.
//!
//! Every key stands once, with its kind, default and description, in the `KEYS` table of its section's file
//! ([`keys`]). The table drives reading, type checks, suggestions for misspelt keys, `config check` and the
//! documentation. A section's raw struct takes exactly its keys; its public struct holds only values that work.

mod alerts;
mod folder;
mod heartbeats;
mod http;
mod incidents;
mod ingest;
mod issues;
mod key;
mod layers;
mod limits;
mod log;
mod outbound;
mod probes;
mod problem;
mod reference;
mod retention;
mod server;
mod slack;
mod smtp;
mod webhooks;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use alerts::{Alerts, SlackTarget, WebhookTarget};
pub use folder::{Folder, FolderReason, SYSTEM_FILE};
pub use heartbeats::Heartbeats;
pub use http::{Http, Network};
pub use incidents::Incidents;
pub use ingest::Ingest;
pub use issues::Issues;
pub use key::{Key, Kind, keys, reference_markdown};
pub use layers::{Origin, Setting};
pub use limits::Limits;
pub use log::Log;
pub use outbound::Outbound;
pub use probes::Probes;
pub use problem::{Invalid, Problem};
pub use reference::Reference;
pub use retention::Retention;
pub use server::{BaseUrl, FirstOwner, Mode, Server};
pub use slack::Slack;
pub use smtp::{Smtp, SmtpTls};
pub use webhooks::Webhooks;

use layers::Values;

/// The environment of the process, as a value that tests can write down.
pub type Environment = BTreeMap<String, String>;

/// What the command line said; stronger than everything else.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--listen ADDR`
    pub listen: Option<String>,
}

/// The whole configuration, checked. What a domain needs of it is handed over as that domain's own struct.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub http: Http,
    pub log: Log,
    /// `None`: no mail server is configured.
    pub smtp: Option<Smtp>,
    pub alerts: Alerts,
    pub slack: Slack,
    pub outbound: Outbound,
    pub ingest: Ingest,
    pub issues: Issues,
    pub probes: Probes,
    pub heartbeats: Heartbeats,
    pub webhooks: Webhooks,
    pub incidents: Incidents,
    pub retention: Retention,
    pub limits: Limits,
}

/// The configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub folder: Folder,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Every key with its value as it may be shown and its origin, in the order of [`keys`].
    pub settings: Vec<Setting>,
    /// What is worth saying but stops nothing: aliases in use, names that were ignored.
    pub notes: Vec<String>,
}

/// Chooses the data folder without looking into it: a command run as root becomes its owner first, so that
/// nothing the owner wrote there is read with root's rights.
///
/// # Errors
/// As [`load`], for the file that the choice needs.
pub fn find_folder(flags: &Flags, environment: &Environment) -> Result<Folder, Invalid> {
    Ok(folder::choose(flags, environment, SYSTEM_FILE.as_ref())?.folder)
}

/// Reads and checks everything.
///
/// # Errors
/// All problems at once, each naming its place, its key and a cure.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Invalid> {
    load_from(flags, environment, SYSTEM_FILE.as_ref())
}

fn load_from(
    flags: &Flags,
    environment: &Environment,
    system_file: &std::path::Path,
) -> Result<Loaded, Invalid> {
    let mut problems = Vec::new();
    let mut choice = folder::choose(flags, environment, system_file)?;
    let file = choice.settle_file()?;
    let mut values = Values::of_defaults(&mut problems);
    if let Some(file) = &file {
        values.overlay_file(file, &mut problems);
    }
    values.overlay_environment(environment, &mut problems);
    values.overlay_flags(flags, &mut problems);
    values.resolve_references(environment, &mut problems);
    values.notes.splice(0..0, choice.notes);
    values.note_what_has_no_effect(server::NO_EFFECT_YET);
    let config = Config::check(&values, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            config,
            folder: choice.folder,
            file: file.map(|file| file.path),
            settings: values.settings(),
            notes: values.notes,
        }),
        _ => Err(Invalid { problems }),
    }
}

impl Config {
    /// What a new installation runs with: no file, no environment, no flags.
    ///
    /// # Errors
    /// Never in a released program: a test loads the defaults.
    pub fn defaults() -> Result<Self, Invalid> {
        let mut problems = Vec::new();
        let values = Values::of_defaults(&mut problems);
        Self::check(&values, &mut problems).ok_or(Invalid { problems })
    }

    /// Checks section by section, so that the problems of all of them are told.
    fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Self> {
        let server = server::check(values, problems);
        let http = http::check(values, problems);
        let log = log::check(values, problems);
        let smtp = smtp::check(values, problems);
        let alerts = alerts::check(values, problems);
        if matches!(smtp, Ok(None)) && alerts.as_ref().is_some_and(|alerts| !alerts.email.is_empty()) {
            let why = "needs smtp.host beside it: the mail server that carries the alarms";
            problems.push(values.problem("alerts.email", why));
        }
        let slack = slack::check(values, problems);
        let outbound = outbound::check(values, problems);
        let ingest = ingest::check(values, problems);
        let issues = issues::check(values, problems);
        let probes = probes::check(values, problems);
        let heartbeats = heartbeats::check(values, problems);
        let webhooks = webhooks::check(values, problems);
        let incidents = incidents::check(values, problems);
        let retention = retention::check(values, problems);
        let limits = limits::check(values, problems);
        Some(Self {
            server: server?,
            http: http?,
            log: log?,
            smtp: smtp.ok()?,
            alerts: alerts?,
            slack: slack?,
            outbound: outbound?,
            ingest: ingest?,
            issues: issues?,
            probes: probes?,
            heartbeats: heartbeats?,
            webhooks: webhooks?,
            incidents: incidents?,
            retention: retention?,
            limits: limits?,
        })
    }
}

#[cfg(test)]
mod tests;
