//! Runs one command and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .collect();
    tocsin::cli::run(std::env::args_os(), &environment, tocsin::cli::Output::standard())
}
