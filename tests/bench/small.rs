//! A small machine made of this one: a control group of one processor and 512 MB, and a disk whose every
//! sync takes 10 ms longer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

pub(crate) const SYNC_DELAY: Duration = Duration::from_millis(10);
const MEMORY_BYTES: &str = "536870912";
const CPU_PERIOD_US: &str = "100000";

/// Stands before libc's own calls in a process started with `LD_PRELOAD`.
const SLOW_SYNC: &str = r"
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static void wait_for_the_disk(void) { struct timespec t = {0, DELAY_NS}; nanosleep(&t, 0); }
int fsync(int fd) { wait_for_the_disk(); return (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { wait_for_the_disk(); return (int)syscall(SYS_fdatasync, fd); }
";

pub(crate) struct SmallMachine {
    groups: Vec<PathBuf>,
    slow_sync: PathBuf,
}

impl SmallMachine {
    /// Makes the control group (as root; version 2 or 1) and compiles the slow sync with `cc` into `folder`.
    pub(crate) fn build(folder: &Path) -> Result<Self> {
        let slow_sync = compile_slow_sync(folder)?;
        let mut machine = Self { groups: Vec::new(), slow_sync };
        machine.join_groups().context("make a control group (are you root?)")?;
        Ok(machine)
    }

    /// A command that runs `program` on the small machine, under the process id it is started with.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let script = r#"while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift
            LD_PRELOAD=$SLOW_SYNC exec "$@""#;
        command.args(["-c", script, "sh"]).args(&self.groups).arg("--").arg(program);
        command.env("SLOW_SYNC", &self.slow_sync);
        command
    }

    fn join_groups(&mut self) -> Result<()> {
        let root = Path::new("/sys/fs/cgroup");
        let name = format!("tocsin-bench-{}", std::process::id());
        if root.join("cgroup.controllers").exists() {
            fs::write(root.join("cgroup.subtree_control"), "+cpu +memory")?;
            let group = self.make(root.join(name))?;
            fs::write(group.join("cpu.max"), format!("{CPU_PERIOD_US} {CPU_PERIOD_US}"))?;
            fs::write(group.join("memory.max"), MEMORY_BYTES)?;
            return Ok(());
        }
        // Version 1: the processor alone, for its memory tree is often another program's. The run's peak is
        // held against the 512 MB instead.
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let group = self.make(version_1(root, &own, "cpu")?.join(name))?;
        fs::write(group.join("cpu.cfs_period_us"), CPU_PERIOD_US)?;
        fs::write(group.join("cpu.cfs_quota_us"), CPU_PERIOD_US)?;
        Ok(())
    }

    fn make(&mut self, group: PathBuf) -> Result<PathBuf> {
        fs::create_dir(&group).with_context(|| format!("create {}", group.display()))?;
        self.groups.push(group.clone());
        Ok(group)
    }
}

impl Drop for SmallMachine {
    fn drop(&mut self) {
        for group in &self.groups {
            // A group that still holds a process stays behind; it takes nothing from anybody.
            drop(fs::remove_dir(group));
        }
    }
}

/// A command that runs `program` on `machine`, or on the whole of this one.
pub(crate) fn command(program: &Path, machine: Option<&SmallMachine>) -> Command {
    machine.map_or_else(|| Command::new(program), |machine| machine.command(program))
}

/// The folder of this process's own group in the version 1 hierarchy of one controller.
fn version_1(root: &Path, own: &str, controller: &str) -> Result<PathBuf> {
    let found = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let named = controllers.split(',').any(|one| one == controller);
        named.then(|| root.join(controllers).join(path.trim_start_matches('/')))
    });
    found.with_context(|| format!("no control group for {controller}"))
}

fn compile_slow_sync(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("slow_sync.c"), folder.join("slow_sync.so"));
    fs::write(&source, SLOW_SYNC)?;
    let delay = format!("-DDELAY_NS={}", SYNC_DELAY.as_nanos());
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O2", &delay, "-o"]).args([&library, &source]).status();
    ensure!(built.context("run cc")?.success(), "cc did not compile the slow sync");
    Ok(library)
}
