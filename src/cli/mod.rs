//! The command line: one file per command. Answers go to standard output, everything else to standard error.
//!
//! Exit codes: 0 done · 1 not done, or a check failed · 2 wrong usage. `status` has its own: 0 healthy,
//! 1 degraded, 2 unhealthy; and so has `diff`: 0 nothing differs, 1 not done, 2 something does.

mod apply;
mod check;
mod config;
mod demo;
mod export;
mod output;
mod project;
mod run;
mod send_test;
mod serve;
mod session;
mod sql;
mod status;
mod token;
mod user;
mod welcome;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use output::Output;

use crate::config::{Environment, Flags};
use session::Session;

/// The alarm bell for small teams: one binary, one data folder.
#[derive(Debug, Parser)]
#[command(name = "tocsin", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Which installation is meant.
#[derive(Args, Debug)]
struct Place {
    #[arg(long, global = true, value_name = "DIR", help = DATA_HELP)]
    data: Option<PathBuf>,
    /// The configuration [default: tocsin.toml in the data folder, else /etc/tocsin/tocsin.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

const DATA_HELP: &str =
    "The data folder [default: TOCSIN_DATA, else `data` in /etc/tocsin/tocsin.toml, else ./tocsin-data]";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Project(project::Project),
    Token(token::Token),
    User(user::User),
    SendTest(send_test::SendTest),
    Status(status::Status),
    Check(check::Check),
    Config(config::Config),
    Apply(apply::Apply),
    Diff(apply::Diff),
    Export(export::Export),
    Sql(sql::Sql),
    Run(run::Run),
}

/// For machines.
#[derive(Args, Clone, Copy, Debug)]
struct AsJson {
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Parses `arguments`, runs the one command they name, and returns the exit code.
///
/// Must be called from a process with one thread: run as root it becomes the data folder's owner.
pub fn run(arguments: impl Iterator<Item = OsString>, environment: &Environment, output: Output) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => {
            // Nobody can be told when even this cannot be written.
            usage.print().ok();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let flags = Flags { data: cli.place.data, config: cli.place.config, listen: None };
    let mut session = Session { flags, environment, output };
    let done = match cli.command {
        Command::Serve(serve) => serve.run(&mut session),
        Command::Demo(demo) => demo.run(&mut session),
        Command::Project(project) => project.run(&mut session),
        Command::Token(token) => token.run(&mut session),
        Command::User(user) => user.run(&mut session),
        Command::SendTest(send_test) => send_test.run(&mut session),
        Command::Status(status) => status.run(&mut session),
        Command::Check(check) => check.run(&mut session),
        Command::Config(config) => config.run(&mut session),
        Command::Apply(apply) => apply.run(&mut session),
        Command::Diff(diff) => diff.run(&mut session),
        Command::Export(export) => export.run(&mut session),
        Command::Sql(sql) => sql.run(&mut session),
        Command::Run(run) => run.run(&mut session),
    };
    done.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        // As above: the exit code says it all the same.
        session.output.note(&format!("error: {}", told(&error))).ok();
        ExitCode::FAILURE
    })
}

/// The error with its causes. Many a message ends with its cause already: that one is not said again.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| {
        if said.is_empty() {
            cause
        } else if said.ends_with(&cause) {
            said
        } else {
            format!("{said}: {cause}")
        }
    })
}

/// Whoever read the answer had enough of it, as `head` has.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
