//! `tocsin demo`: the whole product in a minute, on this machine alone, with nothing left behind.
//!
//! The demo is a second program beside the server: it starts `tocsin serve` on a temporary folder, plays the shop that
//! sends errors, and is the mail server and the mailbox in which the alarm arrives.

mod client;
mod inbox;
mod kill;
mod mailbox;
mod prepare;
mod server;
mod shop;
mod smtp;
mod story;
mod tale;

use std::io::IsTerminal as _;
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use rustix::fs::Mode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Output;
use super::session::{Session, log_quietly};
use crate::base::{Clock, Entropy};
use crate::lifecycle::{Lifecycle, Signals};
use client::Client;
use inbox::Inbox;
use kill::{Kill, ROUNDS, SENDERS};
use mailbox::Mailbox;
use prepare::{Keys, prepare};
use server::{Scratch, Server};
use shop::Shop;
use story::Story;
use tale::Tale;

/// Watch an alarm from the first error to the recovery, in a temporary folder
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Kill the server with signal 9 ten times under load, and count what is left
    #[arg(long)]
    kill: bool,
    /// Ask for nothing: acknowledge by itself, as without a terminal
    #[arg(long)]
    yes: bool,
}

/// For the mailbox and its mail server; the server of the demo has its own patience.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// A person presses Enter now and then.
const ENTERS_MAX: usize = 4;

/// Everything that runs while a play is on.
struct Stage {
    server: Server,
    keys: Keys,
    inbox: Inbox,
    mailbox_url: String,
    clock: Clock,
    entropy: Entropy,
}

impl Demo {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        if session.flags.data.is_some() || session.flags.config.is_some() {
            bail!("the demo makes a folder and a configuration of its own: leave --data and --config out");
        }
        log_quietly()?;
        // As for every data folder: what is made is for its owner alone.
        rustix::process::umask(Mode::from_raw_mode(0o077));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.show(&mut session.output))
    }

    /// Builds the stage, plays until the end or until somebody interrupts, and takes everything down again.
    async fn show(&self, output: &mut Output) -> anyhow::Result<ExitCode> {
        let lifecycle = Lifecycle::default();
        let mut signals = Signals::listen()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut stage = Stage::build(&lifecycle, if self.kill { ROUNDS } else { 1 }).await?;
        let played = tokio::select! {
            played = self.play(&mut stage, output) => Some(played),
            _ = lifecycle.wait(&mut signals) => None,
            _ = hangup.recv() => None,
        };
        let last_words = stage.server.last_words();
        stage.server.stop().await?;
        drop(stage);
        lifecycle.finish(&mut signals, STOP_WITHIN).await;
        match played {
            Some(Ok(true)) => Ok(ExitCode::SUCCESS),
            Some(Ok(false)) => Ok(ExitCode::FAILURE),
            Some(Err(error)) => {
                Err(error.context(format!("the demo could not go on. The server said last:\n{last_words}\n")))
            }
            None => {
                output.note("interrupted: the server is stopped and its folder removed")?;
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    }

    /// Tells whether everything was as it should be.
    async fn play(&self, stage: &mut Stage, output: &mut Output) -> anyhow::Result<bool> {
        if self.kill { stage.kill(output).await } else { stage.tell(output, self.enter(output)).await }
    }

    /// The lines of a person at the terminal; `None` where nobody is there, or nobody is to be asked.
    fn enter(&self, output: &Output) -> Option<mpsc::Receiver<()>> {
        if self.yes || !output.is_terminal || !std::io::stdin().is_terminal() {
            return None;
        }
        let (sender, receiver) = mpsc::channel(ENTERS_MAX);
        // A thread of its own: nothing can end a read of the terminal, and nobody has to wait for this one.
        std::thread::spawn(move || {
            for line in std::io::stdin().lines() {
                if line.is_err() || sender.blocking_send(()).is_err() {
                    return;
                }
            }
        });
        Some(receiver)
    }
}

impl Stage {
    /// The folder, the mail server and the mailbox; the server does not run yet.
    async fn build(lifecycle: &Lifecycle, projects: usize) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let entropy = Entropy::system().map_err(|error| anyhow!("no randomness: {error}"))?;
        let scratch = Scratch::make(&entropy).context("no temporary folder could be made")?;
        let mail = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let server = Server::new(scratch, mail.local_addr()?, &entropy)?;
        let names: Vec<String> = match projects {
            1 => vec!["shop".to_owned()],
            _ => (1..=projects).map(|number| format!("shop {number}")).collect(),
        };
        let keys = prepare(server.folder(), &server.base_url(), &names).await?;
        let inbox = Inbox::new(&server.base_url());
        let receiving = smtp::receive(mail, inbox.clone(), clock.clone(), lifecycle.soft());
        lifecycle.spawn("mail server", receiving);
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let mailbox_url = format!("http://{}/", listener.local_addr()?);
        let admin = format!("http://{}{}", server.address(), keys.sign_in);
        let mailbox = Mailbox { inbox: inbox.clone(), server: server.address(), admin };
        let page = mailbox::serve(mailbox, listener, lifecycle.soft())?;
        lifecycle.spawn("mailbox", async move {
            if let Err(error) = page.await {
                tracing::error!(%error, "the mailbox's page ended");
            }
        });
        Ok(Self { server, keys, inbox, mailbox_url, clock, entropy })
    }

    async fn tell(&mut self, output: &mut Output, enter: Option<mpsc::Receiver<()>>) -> anyhow::Result<bool> {
        let client = self.client()?;
        self.server.launch(&client).await?;
        output.say(&self.introduction("This is a shop that tocsin watches. Soon its checkout breaks."))?;
        let [door] = self.keys.doors.as_slice() else { bail!("the shop has no project") };
        let story = Story {
            tale: self.tale(output),
            client,
            inbox: self.inbox.clone(),
            door: door.clone(),
            shop: Shop::open(self.entropy.clone())?,
            enter,
        };
        story.play().await.map(|()| true)
    }

    async fn kill(&mut self, output: &mut Output) -> anyhow::Result<bool> {
        let clients = (0..SENDERS).map(|_| self.client()).collect::<anyhow::Result<Vec<_>>>()?;
        self.server.launch(&clients[0]).await?;
        output.say(&self.introduction(&format!(
            "{SENDERS} connections send as fast as they can; the server is killed with signal 9 {ROUNDS} times, at \
             random moments.\nWhat was not answered is sent again."
        )))?;
        let doors = self.keys.doors.clone();
        let kill = Kill {
            tale: self.tale(output),
            clients,
            inbox: self.inbox.clone(),
            entropy: self.entropy.clone(),
        };
        kill.play(&mut self.server, doors).await
    }

    fn introduction(&self, about: &str) -> String {
        format!(
            "{about}\n\n  Mailbox  {}\n  Pages    http://{}{}\n           (signs you in once, within an hour)\n  \
             Folder   {}\n           (removed at the end; Ctrl-C ends everything)\n",
            self.mailbox_url,
            self.server.address(),
            self.keys.sign_in,
            self.server.folder().display(),
        )
    }

    fn tale<'o>(&self, output: &'o mut Output) -> Tale<'o> {
        Tale { output, inbox: self.inbox.clone(), clock: self.clock.clone() }
    }

    fn client(&self) -> anyhow::Result<Client> {
        Client::new(self.server.address(), self.clock.clone(), self.keys.token.clone())
    }
}
