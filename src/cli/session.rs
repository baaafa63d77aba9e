//! What every command does first: find the data folder, become its owner, and reach whoever may write.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use rustix::fs::Mode;

use super::Output;
use crate::app;
use crate::base::seal::Sealer;
use crate::base::{Clock, Entropy};
use crate::config::{self, BaseUrl, Environment, Flags, Loaded};
use crate::incidents::{Incidents, Policy};
use crate::lifecycle::control::{self, Answer, AskError, Command, Desk};
use crate::lifecycle::{DATABASE_FILE, become_owner, prepare_folder, sealing_key};
use crate::manifest::Means;
use crate::store::{FolderLock, Options, Store};
use crate::telemetry::{Destination, Format, Level, Logging};

/// One run of the program.
pub(super) struct Session<'e> {
    pub(super) flags: Flags,
    pub(super) environment: &'e Environment,
    pub(super) output: Output,
}

impl Session<'_> {
    /// As [`Session::enter`], then reads the configuration.
    pub(super) fn open(&mut self) -> anyhow::Result<Loaded> {
        self.enter()?;
        Ok(config::load(&self.flags, self.environment)?)
    }

    /// Says which folder it is about and becomes the folder's owner, before anything in it is read.
    pub(super) fn enter(&mut self) -> anyhow::Result<()> {
        let folder = config::find_folder(&self.flags, self.environment)?;
        self.output.note(&format!("data folder: {folder}"))?;
        become_owner(&folder.path)?;
        // Whatever this process makes is for its owner alone.
        rustix::process::umask(Mode::from_raw_mode(0o077));
        Ok(())
    }

    /// Has `command` carried out: by the running server, else here under the folder's lock.
    pub(super) fn command(&mut self, command: Command) -> anyhow::Result<Answer> {
        self.enter()?;
        self.carry_out(command)
    }

    /// As [`Session::command`], for whoever has [entered](Session::enter) already.
    pub(super) fn carry_out(&mut self, command: Command) -> anyhow::Result<Answer> {
        let loaded = config::load(&self.flags, self.environment)?;
        log_quietly()?;
        let folder = &loaded.folder.path;
        let answer = match control::ask(folder, &command) {
            Err(AskError::NotRunning) => carry_out_here(folder, &loaded, command)?,
            answered => answered?,
        };
        Ok(answer)
    }
}

/// Warnings and worse on standard error, so that they never mix with the answer.
pub(super) fn log_quietly() -> anyhow::Result<()> {
    let logging = Logging { level: Level::WARN, format: Format::Text, to: Destination::Stderr };
    // On the way to standard error no line waits.
    drop(crate::telemetry::init(&logging)?);
    Ok(())
}

/// The folder's own writer, while no server runs.
pub(super) struct Here {
    pub(super) desk: Desk,
    _lock: FolderLock,
}

impl Here {
    /// Takes the folder's lock and opens its store. `base_url` stands in links and DSNs.
    pub(super) fn open(folder: &Path, base_url: BaseUrl, policy: Policy) -> anyhow::Result<Self> {
        prepare_folder(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = FolderLock::take(folder)?;
        let entropy = Entropy::system().map_err(|error| anyhow!("no randomness: {error}"))?;
        // Whoever makes the database makes its key: a server refuses one without.
        if !folder.join(DATABASE_FILE).exists() {
            sealing_key(folder, &entropy)?;
        }
        let desk = Desk {
            store: Store::open(folder, &Options::default())?.start()?,
            clock: Clock::system(),
            base_url,
            means: means(folder, &entropy, policy),
            entropy,
            live: None,
        };
        Ok(Self { desk, _lock: lock })
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.desk.store.stop();
    }
}

/// Most commands can do without the key.
fn means(folder: &Path, entropy: &Entropy, policy: Policy) -> Result<Means, String> {
    let key = sealing_key(folder, entropy).map_err(|error| error.to_string())?;
    let incidents = Incidents { policy, entropy: entropy.clone() };
    Ok(Means { incidents: Arc::new(incidents), entropy: entropy.clone(), sealer: Sealer::new(&key) })
}

fn carry_out_here(folder: &Path, loaded: &Loaded, command: Command) -> anyhow::Result<Answer> {
    // A wrong folder is likelier than the wish for a new one.
    if !folder.join(DATABASE_FILE).exists() {
        bail!(
            "{} holds no data of tocsin: name the right folder with --data or TOCSIN_DATA, or make it with \
             `tocsin serve` first",
            folder.display()
        );
    }
    let server = &loaded.config.server;
    let base_url = server.base_url.clone().unwrap_or_else(|| BaseUrl::of_address(server.listen));
    let here = Here::open(folder, base_url, app::policy(&loaded.config))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(control::carry_out(here.desk.clone(), command)))
}

/// Why an answer is not the one that was asked for.
pub(super) fn unexpected(answer: Answer) -> anyhow::Error {
    match answer {
        Answer::Refused { text } | Answer::Failed { text } => anyhow!(text),
        _ => anyhow!("the running server is of another version: restart it"),
    }
}

pub(super) const DONE: anyhow::Result<ExitCode> = Ok(ExitCode::SUCCESS);
