//! This machine: its disks, memory and load, processes, and files.
//!
//! A file system that hangs, hangs whoever asks it: such looks run aside, a few at a time, so that one that never comes
//! back costs one of their places and nothing else.

mod disk;
mod file;
mod machine;
mod process;

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use tokio::sync::Semaphore;

use super::question::Looking;
use crate::probes::condition::{Unit, Value};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{Disk, File, Process};

/// Looks at the same time, those that hang among them.
const LOOKS_MAX: usize = 16;
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKS_MAX)));

/// What was found: facts, and how they read.
#[derive(Debug, Default)]
struct Found {
    facts: Vec<(&'static str, Value)>,
    /// What there is and could not be found, with the cure.
    untold: Vec<(&'static str, String)>,
    head: String,
    lines: Vec<(String, String)>,
}

pub(super) async fn ask_disk(target: &Disk, looking: &mut Looking) -> Result<(), Failed> {
    let path = target.path.clone();
    look(move || disk::look(&path), looking).await
}

pub(super) async fn ask_machine(looking: &mut Looking) -> Result<(), Failed> {
    look(|| machine::look(Path::new("/proc")), looking).await
}

pub(super) async fn ask_process(target: &Process, looking: &mut Looking) -> Result<(), Failed> {
    let target = target.clone();
    look(move || process::look(Path::new("/proc"), &target), looking).await
}

pub(super) async fn ask_file(target: &File, looking: &mut Looking) -> Result<(), Failed> {
    let (path, now) = (target.path.clone(), looking.now);
    look(move || file::look(Path::new(&path), now), looking).await
}

/// Looks on a thread that may block. Whoever asked waits no longer than its time limit; the place is held until the
/// look ends.
async fn look(
    work: impl FnOnce() -> Result<Found, String> + Send + 'static,
    looking: &mut Looking,
) -> Result<(), Failed> {
    looking.phase = Phase::Answer;
    let place = Arc::clone(&PLACES).acquire_owned().await;
    let result = tokio::task::spawn_blocking(move || {
        let _place = place;
        work()
    });
    let found = match result.await {
        Ok(result) => result.map_err(|reason| looking.failed(reason))?,
        Err(_) => return Err(looking.failed("the look broke off")),
    };
    for (field, value) in found.facts {
        looking.facts.set(field, value);
    }
    for (field, why) in found.untold {
        looking.facts.cannot_tell(field, why);
    }
    looking.sample.head = found.head;
    looking.sample.lines = found.lines;
    Ok(())
}

impl Found {
    /// A fact, and its line under a name that people read.
    fn add(&mut self, field: &'static str, value: Value) {
        self.lines.push((field.to_owned(), value.to_string()));
        self.facts.push((field, value));
    }
}

/// The beginning of a file of the kernel, which says no length ahead.
fn read_start(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn reason(path: &Path, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "tocsin's user may not look there: let it read the folder".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{}: {what}", path.display())
}

#[expect(clippy::cast_precision_loss, reason = "sizes and counts beyond 2^53 need no last digit")]
fn bytes(count: u64) -> Value {
    Value::Number(count as f64, Unit::Bytes)
}

/// `part` of `whole`, which is not 0.
#[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
fn share(part: u64, whole: u64) -> Value {
    Value::Number(part as f64 / whole as f64 * 100.0, Unit::Percent)
}
