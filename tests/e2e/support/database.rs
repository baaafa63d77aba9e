//! Servers that probes look at: PostgreSQL, Redis, an S3-compatible one. Each has a folder and a port of its own and is
//! killed at the end.

use std::{
    fs,
    net::TcpStream,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::json;
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    server::free_address,
    tools::{output_of, postgres, redis_server, weed},
    wait_until,
};

/// A cold start on a busy machine.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// `nobody`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A server's process, as long as it runs.
pub(crate) struct Daemon {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    folder: TempDir,
}

impl Daemon {
    pub(crate) fn start(mut command: Command, port: u16, folder: TempDir) -> Daemon {
        let log = fs::File::create(folder.path().join("log")).expect("the log can be written");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Daemon { child, port, folder }
    }

    pub(crate) fn wait_for(mut self, what: &str, mut is_ready: impl FnMut(u16) -> bool) -> Daemon {
        wait_until(what, READY_WITHIN, || {
            let ended = self.child.try_wait().expect("its end can be seen");
            assert!(ended.is_none(), "{what}: it ended with {ended:?}:\n{}", self.log());
            is_ready(self.port).then_some(())
        });
        self
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// It keeps its connections and answers nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("it has a process id");
        kill_process(pid, signal).expect("it can be told");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("its end can be seen");
    }
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// PostgreSQL with a database and a user, both called `shop`.
pub(crate) struct Postgres {
    pub(crate) daemon: Daemon,
}

impl Postgres {
    pub(crate) const PASSWORD: &str = "p@ss/w:rd%41";

    pub(crate) fn start(tls: Option<&Certificates>) -> Postgres {
        let folder = folder_for_nobody();
        let data = folder.path().join("data");
        let secret = folder.path().join("password");
        fs::write(&secret, "root").expect("a temporary folder can be filled");
        let mut initdb = as_nobody(postgres("initdb"), folder.path());
        initdb.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]);
        output_of(initdb.arg("--pwfile").arg(&secret).arg("-D").arg(&data));
        let port = free_address().port();
        let mut server = as_nobody(postgres("postgres"), folder.path());
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-p", &port.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        if let Some(tls) = tls {
            tls.write_to(folder.path());
            let key = folder.path().join("key.pem");
            make_private(&key);
            server.args(["-c", "ssl=on", "-c"]).arg(format!("ssl_key_file={}", key.display()));
            let certificate = folder.path().join("cert.pem");
            server.arg("-c").arg(format!("ssl_cert_file={}", certificate.display()));
        }
        let daemon = Daemon::start(server, port, folder);
        let postgres = Postgres { daemon: daemon.wait_for("PostgreSQL listens", is_listening) };
        wait_until("PostgreSQL answers", READY_WITHIN, || {
            let mut psql = postgres.psql("postgres", "SELECT 1");
            psql.output().expect("psql can be run").status.success().then_some(())
        });
        postgres.run_in("postgres", &format!("CREATE USER shop PASSWORD '{}'", Self::PASSWORD));
        postgres.run_in("postgres", "CREATE DATABASE shop OWNER shop");
        postgres
    }

    /// From now on nobody is let in without TLS.
    pub(crate) fn insist_on_encryption(&self) {
        let rules = self.daemon.path().join("data/pg_hba.conf");
        fs::write(rules, "hostssl all all all scram-sha-256\n").expect("its folder can be written");
        self.run("SELECT pg_reload_conf()");
    }

    /// Runs statements as the first user.
    #[track_caller]
    pub(crate) fn run(&self, statements: &str) -> String {
        self.run_in("shop", statements)
    }

    #[track_caller]
    fn run_in(&self, database: &str, statements: &str) -> String {
        String::from_utf8_lossy(&output_of(&mut self.psql(database, statements)).stdout).trim().to_owned()
    }

    fn psql(&self, database: &str, statements: &str) -> Command {
        let mut psql = Command::new(postgres("psql"));
        psql.env("PGPASSWORD", "root").args(["-h", "127.0.0.1", "-U", "postgres", "-qAtX"]);
        psql.args(["-v", "ON_ERROR_STOP=1", "-p", &self.daemon.port.to_string()]);
        psql.args(["-d", database, "-c", statements]);
        psql
    }

    /// Its address, the password left out.
    pub(crate) fn url(&self, more: &str) -> String {
        format!("postgres://shop:{{{{password}}}}@127.0.0.1:{}/shop{more}", self.daemon.port)
    }
}

/// Not below `target`: `nobody` may not be let through the folders above it.
fn folder_for_nobody() -> TempDir {
    if geteuid().is_root() {
        let folder = TempDir::new_in("/tmp").expect("a temporary folder can be made");
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may give it away");
        folder
    } else {
        TempDir::new().expect("a temporary folder can be made")
    }
}

fn as_nobody(program: PathBuf, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give it away");
    }
}

/// Redis, told by the words of its configuration.
pub(crate) struct Redis {
    pub(crate) daemon: Daemon,
}

impl Redis {
    pub(crate) fn start(settings: &[&str]) -> Redis {
        Redis::start_in(TempDir::new().expect("a temporary folder can be made"), settings)
    }

    /// On a folder that may hold the data of another one.
    pub(crate) fn start_in(folder: TempDir, settings: &[&str]) -> Redis {
        let port = free_address().port();
        let mut command = Command::new(redis_server());
        command.current_dir(folder.path()).args(["--bind", "127.0.0.1", "--save", "", "--dir", "."]);
        command.args(["--port", &port.to_string()]).args(settings);
        Redis { daemon: Daemon::start(command, port, folder).wait_for("Redis listens", is_listening) }
    }

    /// With TLS and nothing else.
    pub(crate) fn start_encrypted(tls: &Certificates) -> Redis {
        let folder = TempDir::new().expect("a temporary folder can be made");
        tls.write_to(folder.path());
        let port = free_address().port();
        let mut command = Command::new(redis_server());
        command.current_dir(folder.path()).args(["--bind", "127.0.0.1", "--save", "", "--port", "0"]);
        command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
        command.args([
            "--tls-cert-file",
            "cert.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-ca-cert-file",
            "ca.pem",
        ]);
        Redis { daemon: Daemon::start(command, port, folder).wait_for("Redis listens", is_listening) }
    }

    /// Says commands, one a line, and returns what came to all of them.
    #[track_caller]
    pub(crate) fn say(&self, commands: &[&str]) -> String {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(("127.0.0.1", self.daemon.port)).expect("it listens");
        let lines = [commands, &["QUIT", ""]].concat().join("\r\n");
        stream.write_all(lines.as_bytes()).expect("it hears");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it answers");
        assert!(!said.contains("-ERR"), "{commands:?}: {said}");
        said
    }
}

/// An S3-compatible server (`SeaweedFS`) that checks signatures and clocks. It knows one key, which may do everything,
/// and has no bucket yet.
pub(crate) struct ObjectStore {
    pub(crate) daemon: Daemon,
    /// Of its parts among each other; each leaves a socket in /tmp that is called by it.
    inner_ports: Vec<u16>,
}

impl ObjectStore {
    pub(crate) const ACCESS_KEY: &str = "AKIASHOP";
    pub(crate) const SECRET_KEY: &str = "s3cret/key+with=signs";
    /// May do nothing.
    pub(crate) const GUEST: &str = "AKIAGUEST";

    pub(crate) fn start() -> ObjectStore {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let keys = |access_key, actions| {
            let credentials = json!([{"accessKey": access_key, "secretKey": Self::SECRET_KEY}]);
            json!({"name": access_key, "credentials": credentials, "actions": actions})
        };
        let identities = [keys(Self::ACCESS_KEY, vec!["Admin"]), keys(Self::GUEST, vec!["Read:elsewhere"])];
        fs::write(folder.path().join("s3.json"), json!({"identities": identities}).to_string())
            .expect("a temporary folder can be filled");
        let port = free_address().port();
        let mut command = weed();
        command.current_dir(folder.path()).args(["server", "-dir=.", "-filer", "-s3", "-s3.config=s3.json"]);
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        command.args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-metricsPort=0"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        command.args(["-s3.localSocket=s3.sock", "-filer.localSocket=filer.sock"]);
        command.arg(format!("-s3.port={port}"));
        let parts = ["master.port", "volume.port", "filer.port", "s3.port.grpc"];
        let parts = parts.into_iter().chain(["master.port.grpc", "volume.port.grpc", "filer.port.grpc"]);
        let inner_ports: Vec<u16> = parts
            .map(|part| {
                let port = free_address().port();
                command.arg(format!("-{part}={port}"));
                port
            })
            .collect();
        let daemon = Daemon::start(command, port, folder).wait_for("S3 listens", is_listening);
        ObjectStore { daemon, inner_ports }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.daemon.port)
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        for (part, port) in ["master", "volume", "filer", "s3"]
            .iter()
            .flat_map(|part| self.inner_ports.iter().map(move |port| (part, port)))
        {
            // Most of these are none.
            fs::remove_file(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")).ok();
        }
    }
}
