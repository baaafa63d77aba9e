use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use super::session::Session;
use super::welcome::welcome;
use crate::app::{App, Surroundings, first_words, own_address, send_test};
use crate::base::{Clock, Entropy};
use crate::config::{Loaded, Mode};
use crate::health::own::status_line;
use crate::health::services::ServiceStatus;
use crate::health::services::snapshot::Seen;
use crate::http::AppState;
use crate::http::drain::Door;
use crate::lifecycle::control::{
    self, ControlSocket, Desk, Health, Live, PartHealth, StatusOf, StatusReport,
};
use crate::lifecycle::{
    Ended, InheritedSockets, Lifecycle, Proof, ServiceManager, Signals, StopReason, prepare_folder,
    sealing_key, watch,
};
use crate::manifest::Means;
use crate::store::{Error, FolderLock, Store};
use crate::telemetry::{self, Destination, Format, Logging};
use crate::webhooks::queries;

/// Run everything
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address and port to listen on, such as 127.0.0.1:8787
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Stop when standard input ends, because the program that started this one is gone
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

/// The status line of the service manager is this fresh.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// Some tasks are due every second; a scheduler that ran none for so long is stuck.
const IDLE_MAX: Duration = Duration::from_secs(10);
/// A full queue says nothing about the writer: the proof tries again.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
/// Somebody waits for `tocsin status`.
const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

impl Serve {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        session.flags.listen = self.listen;
        let loaded = session.open()?;
        let log = loaded.config.log;
        let on_terminal = std::io::stdout().is_terminal();
        let format = log.format.unwrap_or(if on_terminal { Format::Text } else { Format::Json });
        let _last_lines = telemetry::init(&Logging { level: log.level, format, to: Destination::Stdout })?;
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        let folder = &loaded.folder.path;
        control::check_path(folder)?;
        prepare_folder(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = FolderLock::take(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let lifecycle = Lifecycle::default();
        if self.until_stdin_ends {
            stop_with_stdin(lifecycle.clone());
        }
        let served = runtime.block_on(serve(folder, &loaded, lifecycle, session));
        if let Err(error) = &served {
            ServiceManager.status(&format!("not started: {error:#}"));
        }
        drop(lock);
        served
    }
}

/// Builds every part in the order of what it needs, tells the service manager, and stops in reverse.
async fn serve(
    folder: &Path,
    loaded: &Loaded,
    lifecycle: Lifecycle,
    session: &mut Session<'_>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let manager = ServiceManager;
    let clock = Clock::system();
    let entropy = Entropy::system().map_err(|error| anyhow!("no randomness: {error}"))?;
    let door = listen(loaded.config.server.listen)?;
    let sealing_key = sealing_key(folder, &entropy)?;
    let mut config = loaded.config.clone();
    config.server.listen = door.address()?;
    check_address(config.server.mode, config.server.listen)?;
    let own_address = own_address(config.server.listen);
    let app = App::build(Surroundings { folder, config, clock, entropy, sealing_key }).await?;
    app.start(&lifecycle, door)?;
    let socket = ControlSocket::bind(folder).context("cannot open the control socket")?;
    let desk = desk(&app, own_address);
    let answer = move |command| control::carry_out(desk.clone(), command);
    lifecycle.spawn("control socket", socket.serve(lifecycle.soft(), answer));
    tell_manager(&lifecycle, manager, &app.state);
    manager.ready("ready");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %own_address, base_url = %app.state.base_url, "ready");
    if session.output.is_terminal {
        match first_words(&app.state).await {
            Ok(words) => session.output.say(&welcome(&app.state.base_url, &words))?,
            Err(error) => tracing::warn!(%error, "the first words could not be put together"),
        }
    }
    let reason = lifecycle.wait(&mut signals).await;
    tracing::info!(reason = ?reason, "stopping");
    manager.stopping();
    let timeout = loaded.config.limits.stop_timeout;
    match lifecycle.finish(&mut signals, timeout).await {
        Ended::Drained => tracing::info!("stopped"),
        Ended::TimedOut(tasks) => tracing::warn!(tasks, "stopped; tasks were dropped at the deadline"),
        Ended::Hurried(tasks) => tracing::warn!(tasks, "stopped; tasks were dropped at a second signal"),
    }
    Ok(if reason.is_failure() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The kernel closes the pipe however the other program ends. A thread of its own: nothing else can end a read.
fn stop_with_stdin(lifecycle: Lifecycle) {
    std::thread::spawn(move || {
        if let Err(error) = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()) {
            tracing::warn!(%error, "standard input cannot be read");
        }
        lifecycle.stop(StopReason::Requested("standard input ended"));
    });
}

/// The service manager's socket where there is one, else one of our own.
fn listen(address: SocketAddr) -> anyhow::Result<Door> {
    let names = std::env::var("LISTEN_FDNAMES").ok();
    if let Some(inherited) = InheritedSockets::take(names.as_deref())?.http() {
        return Ok(Door::shared(inherited));
    }
    let bound = TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address}: is another program there, or is it not an address of this machine?"
        )
    })?;
    Ok(bound.into())
}

/// The configured address was checked with the configuration; a service manager's socket may listen elsewhere.
fn check_address(mode: Mode, address: SocketAddr) -> anyhow::Result<()> {
    if mode == Mode::Development && !address.ip().to_canonical().is_loopback() {
        bail!(
            "mode is development, and the inherited socket listens on {address}: give it a loopback address, \
             or set mode to production"
        );
    }
    Ok(())
}

/// The status line, fresh every few seconds, and the watchdog, fed with proof of work.
fn tell_manager(lifecycle: &Lifecycle, manager: ServiceManager, state: &web::Data<AppState>) {
    let (shown, stop) = (state.clone(), lifecycle.soft());
    lifecycle.spawn("status line", async move {
        while stop.run_until_cancelled(tokio::time::sleep(STATUS_EVERY)).await.is_some() {
            manager.status(&status_line(&shown.own.known(), &shown.own_parts(None)));
        }
    });
    if let Some(period) = manager.watchdog() {
        let proven = state.clone();
        let prove = move || prove(proven.clone());
        lifecycle.spawn("watchdog", watch(period, lifecycle.soft(), prove, move |fed| manager.tell(&fed)));
    }
}

/// What the control socket's commands work with.
fn desk(app: &App, door: SocketAddr) -> Desk {
    let state = app.state.clone();
    let (proving, testing, started) = (state.clone(), state.clone(), Instant::now());
    let cache = Arc::clone(&state.cache);
    let live = Live {
        status: Arc::new(move |of| Box::pin(status(proving.clone(), of, started.elapsed()))),
        send_test: Arc::new(move |what| {
            let state = testing.clone();
            Box::pin(async move { send_test(&state, door, what).await })
        }),
        forget: Arc::new(move || {
            cache.keys.forget_all();
            cache.sessions.forget_all();
            cache.tokens.forget_all();
        }),
    };
    Desk {
        store: state.store.clone(),
        clock: state.clock.clone(),
        entropy: state.entropy.clone(),
        base_url: state.base_url.clone(),
        means: Ok(Means {
            incidents: Arc::clone(&state.incidents),
            entropy: state.entropy.clone(),
            sealer: state.sealer.clone(),
        }),
        live: Some(live),
    }
}

/// How tocsin is, part by part, proven now; or how the services are.
async fn status(state: web::Data<AppState>, of: StatusOf, uptime: Duration) -> StatusReport {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let parts = match of {
        StatusOf::Services => {
            let snapshot = state.watched.get();
            let parts = snapshot.services.iter().map(service_part).collect();
            return StatusReport {
                status: word(snapshot.status),
                version,
                uptime_s: uptime.as_secs(),
                parts,
            };
        }
        StatusOf::Itself => {
            let proof = tokio::time::timeout(STATUS_TIMEOUT, prove_work(&state.store)).await;
            let silent = || Err(format!("no write was committed within {} s", STATUS_TIMEOUT.as_secs()));
            state.own_parts(proof.unwrap_or_else(|_| silent()).err())
        }
    };
    let status = Health::of(&parts);
    let parts = parts.into_iter().chain(webhooks(&state).await).collect();
    StatusReport { status, version, uptime_s: uptime.as_secs(), parts }
}

/// How webhooks are, where there are any. It is shown beside what tocsin itself is, and does not count for that: an app
/// that fails is not tocsin's own trouble.
async fn webhooks(state: &AppState) -> Option<PartHealth> {
    let ready = state.store.read(queries::readiness).await.ok()?;
    if ready.sources == 0 {
        return None;
    }
    let troubles: Vec<String> = ready.all().into_iter().map(|trouble| trouble.text).collect();
    let (status, text) = if troubles.is_empty() {
        (Health::Healthy, format!("sources: {}, destinations: {}", ready.sources, ready.destinations))
    } else {
        (Health::Degraded, format!("{} (`tocsin check` names the cures)", troubles.join("; ")))
    };
    Some(PartHealth { name: "webhooks".to_owned(), status, text })
}

fn service_part(seen: &Seen) -> PartHealth {
    let service = &seen.service;
    let text = match service.reason.as_str() {
        "" => seen.latency_ms().map_or_else(String::new, |ms| format!("answers in {ms} ms")),
        reason => reason.to_owned(),
    };
    PartHealth { name: service.key.clone(), status: word(service.status), text }
}

/// In the four words that the command knows; planned work is nothing that anybody can judge.
fn word(status: ServiceStatus) -> Health {
    match status {
        ServiceStatus::Healthy => Health::Healthy,
        ServiceStatus::Unknown | ServiceStatus::Maintenance => Health::Unknown,
        ServiceStatus::Degraded => Health::Degraded,
        ServiceStatus::Unhealthy => Health::Unhealthy,
    }
}

/// What feeds the watchdog: the writer commits, the readers read, the scheduler runs tasks.
async fn prove(state: web::Data<AppState>) -> Proof {
    prove_work(&state.store).await?;
    let idle = state.engine.idle_for();
    if idle > IDLE_MAX {
        return Err(format!("no background task ran for {} s", idle.as_secs()));
    }
    Ok(status_line(&state.own.known(), &state.own_parts(None)))
}

/// The writer commits a row and the readers read. A full disk is no fault of the process, nor is one
/// that is read-only: a restart would not mend it, and what is stored can be read meanwhile.
async fn prove_work(store: &Store) -> Result<(), String> {
    loop {
        match store.prove().await {
            Ok(()) | Err(Error::DiskFull | Error::ReadOnly) => break,
            Err(Error::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            Err(error) => return Err(format!("no write was committed: {error}")),
        }
    }
    let read = store.read_reserved(|tx| tx.one("SELECT 1", [], |row| row.get::<_, i64>(0))).await;
    read.map_err(|error: Error| format!("nothing can be read: {error}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_is_not_shown_to_others_even_through_an_inherited_socket() {
        for (mode, address, allowed) in [
            (Mode::Production, "0.0.0.0:8787", true),
            (Mode::Development, "127.0.0.1:8787", true),
            (Mode::Development, "[::1]:8787", true),
            (Mode::Development, "0.0.0.0:8787", false),
            (Mode::Development, "[::]:8787", false),
            (Mode::Development, "192.0.2.1:8787", false),
        ] {
            assert_eq!(check_address(mode, address.parse().unwrap()).is_ok(), allowed, "{mode:?} {address}");
        }
    }
}
