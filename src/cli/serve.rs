use std::future::ready;
use std::io::IsTerminal as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::session::Session;
use crate::app::{App, Surroundings};
use crate::base::{Clock, Entropy};
use crate::config::Loaded;
use crate::lifecycle::control::{
    self, Answer, ControlSocket, Desk, Health, Live, PartHealth, StatusOf, StatusReport,
};
use crate::lifecycle::{
    Ended, InheritedSockets, Lifecycle, ServiceManager, Signals, prepare_folder, sealing_key, watch,
};
use crate::store::{FolderLock, Store};
use crate::telemetry::{self, Destination, Format, Logging};

/// Run everything
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address and port to listen on, such as 127.0.0.1:8787
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        session.flags.listen = self.listen;
        let loaded = session.open()?;
        let log = loaded.config.log;
        let on_terminal = std::io::stdout().is_terminal();
        let format = log.format.unwrap_or(if on_terminal { Format::Text } else { Format::Json });
        telemetry::init(&Logging { level: log.level, format, to: Destination::Stdout })?;
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        let folder = &loaded.folder.path;
        prepare_folder(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = FolderLock::take(folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let code = runtime.block_on(serve(folder, &loaded))?;
        drop(lock);
        Ok(code)
    }
}

/// Builds every part in the order of what it needs, tells the service manager, and stops in reverse.
async fn serve(folder: &Path, loaded: &Loaded) -> anyhow::Result<ExitCode> {
    let lifecycle = Lifecycle::default();
    let mut signals = Signals::listen()?;
    let manager = ServiceManager;
    let clock = Clock::system();
    let entropy = Entropy::system().map_err(|error| anyhow!("no randomness: {error}"))?;
    let listener = listen(loaded.config.server.listen)?;
    let sealing_key = sealing_key(folder, &entropy)?;
    let config = loaded.config.clone();
    let app = App::build(Surroundings { folder, config, clock, entropy, sealing_key }).await?;
    let store = app.state.store.clone();
    app.start(&lifecycle, listener)?;
    let socket = ControlSocket::bind(folder).context("cannot open the control socket")?;
    let desk = desk(&app);
    let answer = move |command| control::carry_out(desk.clone(), command);
    lifecycle.spawn("control socket", socket.serve(lifecycle.soft(), answer));
    if let Some(period) = manager.watchdog() {
        let prove = move || prove_work(store.clone());
        lifecycle.spawn("watchdog", watch(period, lifecycle.soft(), prove, move |fed| manager.tell(&fed)));
    }
    manager.ready("ready");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %app.state.base_url, "ready");
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

/// The service manager's socket where there is one, else one of our own.
fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let names = std::env::var("LISTEN_FDNAMES").ok();
    if let Some(inherited) = InheritedSockets::take(names.as_deref())?.http() {
        return Ok(inherited);
    }
    TcpListener::bind(address).with_context(|| {
        format!(
            "cannot listen on {address}: is another program there, or is it not an address of this machine?"
        )
    })
}

/// What the control socket's commands work with.
fn desk(app: &App) -> Desk {
    let state = app.state.clone();
    let (proving, started) = (state.store.clone(), Instant::now());
    let cache = Arc::clone(&state.cache);
    let live = Live {
        status: Arc::new(move |of| Box::pin(status(proving.clone(), of, started.elapsed()))),
        send_test: Arc::new(|_| Box::pin(ready(no_channel()))),
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
        live: Some(live),
    }
}

fn no_channel() -> Answer {
    Answer::Refused { text: "there is no channel to send to: set one up first".to_owned() }
}

/// What this process can prove about itself; nothing is watched yet.
async fn status(store: Store, of: StatusOf, uptime: Duration) -> StatusReport {
    let parts = match of {
        StatusOf::Services => Vec::new(),
        StatusOf::Itself => {
            let (status, text) = match prove_work(store).await {
                Ok(text) => (Health::Healthy, text),
                Err(why) => (Health::Unhealthy, why),
            };
            vec![PartHealth { name: "store".to_owned(), status, text }]
        }
    };
    let status = parts.iter().map(|part| part.status).max().unwrap_or(Health::Healthy);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    StatusReport { status, version, uptime_s: uptime.as_secs(), parts }
}

/// The writer commits and the readers read.
async fn prove_work(store: Store) -> Result<String, String> {
    let written = store.write::<_, crate::store::Error>("watchdog", |_| Ok(())).await;
    written.map_err(|error| format!("no write was committed: {error}"))?;
    let read = store.read(|tx| tx.one("SELECT 1", [], |row| row.get::<_, i64>(0))).await;
    read.map_err(|error| format!("nothing can be read: {error}"))?;
    Ok("working".to_owned())
}
