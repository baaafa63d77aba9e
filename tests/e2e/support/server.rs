//! The real binary in a temporary folder: started, stopped, killed and started again on the same data.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    api::Api,
    tools::{clock_shim, json_of},
    wait_until,
};

/// A cold debug build on a busy machine; the product's own promise is measured elsewhere.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Longer than the product's own patience with open work.
const STOP_WITHIN: Duration = Duration::from_secs(40);
/// How much of the log a failure shows.
const LOG_LINES_SHOWN: usize = 40;
/// Linux gives clients ports from 32768 on.
const PORT_MIN: u32 = 20_000;
const PORTS: u32 = 12_000;
/// No test's load runs into the quota of a key unless it wants to.
const EVENTS_PER_MINUTE: &str = "1000000";

/// How a server is started: everything beyond the defaults.
#[derive(Default)]
pub(crate) struct Setup {
    /// Environment, such as `("TOCSIN_ISSUES__SAMPLE_FLOOR", "7")`.
    pub(crate) settings: Vec<(String, String)>,
    /// A program with arguments that starts the server, such as strace; it must `exec`, keeping its process id.
    pub(crate) wrapper: Vec<OsString>,
    /// The wrapper mounts another file system over the data folder, in a mount namespace of its own.
    pub(crate) is_mounted: bool,
}

impl Setup {
    pub(crate) fn with(settings: &[(&str, &str)]) -> Setup {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Setup { settings: settings.collect(), ..Setup::default() }
    }
}

/// A project as the command line made it.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) public_key: String,
}

/// A running (or stopped, or killed) server with its folder. Dropping stops it gracefully.
pub(crate) struct Server {
    root: TempDir,
    address: SocketAddr,
    pub(crate) setup: Setup,
    child: Option<Child>,
    /// What it last said about being ready, for the report of a failure.
    last_health: String,
}

impl Server {
    pub(crate) fn start(setup: Setup) -> Server {
        let root = TempDir::new().expect("a temporary folder can be made");
        fs::create_dir(root.path().join("data")).expect("a temporary folder can be filled");
        let mut server =
            Server { root, address: free_address(), setup, child: None, last_health: "nothing".to_owned() };
        server.launch();
        server
    }

    /// Starts on the same folder and address, and waits until it is ready.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log()).expect("the log can be written");
        let mut command = match self.setup.wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(binary());
                command
            }
            None => Command::new(binary()),
        };
        self.set_environment(&mut command);
        command.arg("serve").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let api = Api::stranger(self.address);
        wait_until("the server is ready", READY_WITHIN, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the server ended with {ended:?}:\n{}", self.log_tail());
            let answer = api.try_get("/health/ready");
            let said =
                answer.as_ref().map_or("nothing".to_owned(), |it| format!("{} {}", it.status, it.text()));
            self.last_health = said;
            answer.filter(|answer| answer.status == 200)
        });
    }

    /// Starts where it cannot start, and waits until it gave up; returns what it said.
    pub(crate) fn refuse_to_start(&mut self) -> String {
        assert!(self.child.is_none(), "the server runs already");
        let mut command = Command::new(binary());
        self.set_environment(&mut command);
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.child.insert(command.spawn().expect("the binary can be run"));
        let ended = wait_until("the server gives up", READY_WITHIN, || child.try_wait().unwrap());
        let said = self.child.take().unwrap().wait_with_output().unwrap();
        assert!(!ended.success(), "it ended as if all were well");
        format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
    }

    /// SIGTERM, then waits for its end; returns whether it ended as asked.
    pub(crate) fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return true };
        if let Some(status) = child.try_wait().expect("its end can be seen") {
            return status.success();
        }
        kill_process(pid_of(&child), Signal::TERM).expect("the server can be stopped");
        for _ in 0..STOP_WITHIN.as_millis() / 20 {
            if let Some(status) = child.try_wait().expect("its end can be seen") {
                return status.success();
            }
            thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("the server can be killed");
        child.wait().expect("its end can be seen");
        false
    }

    /// kill -9: no goodbye, nothing flushed.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("the server can be killed");
        child.wait().expect("its end can be seen");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// The data folder, by the name that the server knows.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The data folder as seen from outside the server's mount namespace. Not for SQLite, which resolves it away.
    pub(crate) fn folder_from_outside(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.pid().to_string()).join("root");
        root.join(self.folder().strip_prefix("/").expect("the folder's path is absolute"))
    }

    /// Runs `tocsin ARGUMENTS` on the server's folder and reads its JSON.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(binary());
        if self.setup.is_mounted {
            command = Command::new("nsenter");
            command.args(["--target", &self.pid().to_string(), "--mount"]);
            if !rustix::process::geteuid().is_root() {
                command.args(["--user", "--preserve-credentials"]);
            }
            command.arg(binary());
        }
        self.set_environment(&mut command);
        json_of(command.args(arguments))
    }

    /// `tocsin` on the server's folder, with arguments to come.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        self.set_environment(&mut command);
        command
    }

    pub(crate) fn project(&self, name: &str) -> Project {
        let made = self.cli(&["project", "create", name, "--json"]);
        let text = |key: &str| made[key].as_str().unwrap_or_else(|| panic!("no {key} in {made}")).to_owned();
        let id = made["id"].as_u64().unwrap_or_else(|| panic!("no id in {made}"));
        Project { id, slug: text("slug"), public_key: text("public_key") }
    }

    /// The DSN by which a client on this machine reaches the server, whatever its base URL says.
    pub(crate) fn dsn(&self, project: &Project) -> String {
        format!("http://{}@{}/{}", project.public_key, self.address, project.id)
    }

    /// The API with a token that may do everything.
    pub(crate) fn api(&self) -> Api {
        let made = self.cli(&["token", "create", "--name", "e2e", "--scope", "read,write,admin", "--json"]);
        Api::with_token(self.address, made["token"].as_str().expect("the answer holds a token"))
    }

    /// The server as a client without any credentials sees it.
    pub(crate) fn stranger(&self) -> Api {
        Api::stranger(self.address)
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("server.log")
    }

    /// Nothing of the caller's own configuration reaches the server.
    fn set_environment(&self, command: &mut Command) {
        for (key, _) in env::vars_os() {
            let name = key.to_string_lossy();
            let is_alias = ["TEST_API_KEY", "ADMIN_API_KEY", "SLACK_BOT_TOKEN", "SLACK_ALERTS_CHANNEL"]
                .contains(&name.as_ref());
            if name.starts_with("TOCSIN_") || is_alias {
                command.env_remove(key);
            }
        }
        command
            .env("TOCSIN_DATA", self.folder())
            .env("TOCSIN_LISTEN", self.address.to_string())
            .env("TOCSIN_INGEST__EVENTS_PER_MINUTE", EVENTS_PER_MINUTE)
            .envs(self.setup.settings.iter().map(|(key, value)| (key, value)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended_as_asked = self.stop();
        if thread::panicking() {
            self.root.disable_cleanup(true);
            let folder = self.root.path().display();
            eprintln!("the server last said {:?} at {}/health/ready", self.last_health, self.address);
            eprintln!("its folder stays at {folder}; the end of its log:\n{}", self.log_tail());
        } else {
            assert!(ended_as_asked, "the server did not stop on SIGTERM:\n{}", self.log_tail());
        }
    }
}

/// Settings of a server whose wall clock is twelve minutes behind; time passes as it does.
pub(crate) fn twelve_minutes_ago() -> Vec<(String, String)> {
    assert!(env::var_os("LD_PRELOAD").is_none(), "something is preloaded already");
    let shim = clock_shim().display().to_string();
    // The second name of the last one is that of older versions.
    [
        ("LD_PRELOAD", &*shim),
        ("FAKETIME", "-12m"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec()
}

/// The binary under test: `TOCSIN_BIN`, else the one that was built with these suites.
pub(crate) fn binary() -> OsString {
    env::var_os("TOCSIN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_tocsin").into())
}

/// A free port below those that the system gives to clients: none takes it while the server is down.
pub(crate) fn free_address() -> SocketAddr {
    let first = getrandom::u32().expect("the system gives random bytes") % PORTS;
    (0..PORTS)
        .map(|step| PORT_MIN + (first + step) % PORTS)
        .filter_map(|port| TcpListener::bind(("127.0.0.1", u16::try_from(port).ok()?)).ok())
        .find_map(|listener| listener.local_addr().ok())
        .expect("a port is free")
}

fn pid_of(child: &Child) -> Pid {
    let id = i32::try_from(child.id()).expect("a process id fits");
    Pid::from_raw(id).expect("a process id is not zero")
}
