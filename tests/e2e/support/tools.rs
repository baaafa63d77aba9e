//! Where `tests/run tools` put Python, Node and their packages, and how their programs are run.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// The folder with the installed packages: `TOCSIN_TOOLS`, else `target/tools`.
pub(crate) fn tools() -> PathBuf {
    let tools = env::var_os("TOCSIN_TOOLS").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies below target").join("tools"),
        PathBuf::from,
    );
    assert!(tools.join("python/.key").exists(), "no tools in {}. Run: tests/run tools", tools.display());
    tools
}

pub(crate) fn python() -> Command {
    Command::new(tools().join("python/bin/python"))
}

pub(crate) fn node() -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", tools().join("node/node_modules"));
    node
}

/// `SeaweedFS`, whose only program came as a Python package.
pub(crate) fn weed() -> Command {
    Command::new(tools().join("python/bin/weed"))
}

/// One of PostgreSQL's programs.
pub(crate) fn postgres(program: &str) -> PathBuf {
    let path = tools().join("postgres").join(program);
    assert!(path.exists(), "{program} is missing. Run: tests/run tools");
    path
}

/// The one on PATH, or the one that stands under another name there.
pub(crate) fn redis_server() -> PathBuf {
    let renamed = tools().join("redis/redis-server");
    if renamed.exists() { renamed } else { program(&["redis-server"]) }
}

/// A server out of an unpacked package, which finds the libraries that came with it.
pub(crate) fn unpacked(name: &str) -> Command {
    let folder = tools().join(name);
    let path = folder.join("usr/sbin").join(name);
    assert!(path.exists(), "{name} is missing. Run: tests/run tools");
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", folder.join("lib"));
    command
}

/// The one on PATH, or the one that was unpacked.
pub(crate) fn promtool() -> PathBuf {
    let unpacked = tools().join("promtool/promtool");
    if unpacked.exists() { unpacked } else { program(&["promtool"]) }
}

/// A file of the repository's `tests` folder.
pub(crate) fn tests_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The first of `names` on PATH; panics with the cure when there is none.
pub(crate) fn program(names: &[&str]) -> PathBuf {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{} is missing. Run: tests/run tools", names[0]))
}

/// Runs to the end; panics with what it printed when it fails.
#[track_caller]
pub(crate) fn output_of(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Runs to the end and reads the last line of its output as JSON.
#[track_caller]
pub(crate) fn json_of(command: &mut Command) -> Value {
    let output = output_of(command);
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.trim_end().lines().last().unwrap_or_default();
    serde_json::from_str(last)
        .or_else(|_| serde_json::from_str(&text))
        .unwrap_or_else(|error| panic!("{command:?} printed no JSON ({error}): {text}"))
}
