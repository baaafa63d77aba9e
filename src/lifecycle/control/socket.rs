//! The control socket: who may speak, how long, how much.

use std::future::Future;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Answer, Command};
use crate::manifest;

const NAME: &str = "control.sock";
/// The longest command is a manifest: its files as JSON, in which a line end or a quote takes two bytes, and its secrets.
const LINE_BYTES_MAX: u64 = 2 * manifest::files::BYTES_MAX + 4 * 1024 * 1024;
/// The longest answer is everything that is stored, written as files.
const ANSWER_BYTES_MAX: u64 = LINE_BYTES_MAX;
/// `sun_path` of a socket's address, without the zero at its end.
const PATH_BYTES_MAX: usize = 107;
/// A command is one write of its sender; whoever takes longer holds a place for nothing.
const READ_TIME: Duration = Duration::from_secs(5);
/// Sending a test waits for a mail server, which may take its time.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// Answered from memory; whoever asks is often a script that watches tocsin.
const STATUS_TIME: Duration = Duration::from_secs(10);
/// A person types one command at a time; scripts may run a few side by side. More wait in the kernel's queue.
const PEERS_MAX: usize = 8;

/// The bound socket of a running server. Removed from the folder when dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The user who may command beside root.
    owner: u32,
}

impl ControlSocket {
    /// Binds the socket in `folder`; a socket left behind by a killed server is replaced. The caller holds the
    /// folder's lock.
    pub fn bind(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, owner: rustix::process::geteuid().as_raw() })
    }

    /// Answers until `stop`, then finishes what was begun.
    pub async fn serve<F, A>(self, stop: CancellationToken, answer: F)
    where
        F: Fn(Command) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let mut peers = JoinSet::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let (owner, answer) = (self.owner, Arc::clone(&answer));
                    peers.spawn(async move {
                        if let Err(error) = attend(stream, owner, answer.as_ref()).await {
                            tracing::debug!(error = %error, "a control connection broke");
                        }
                    });
                }
                Err(error) => {
                    // Out of descriptors, most likely: pause instead of spinning.
                    tracing::warn!(error = %error, "the control socket could not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            while peers.try_join_next().is_some() {}
            if peers.len() >= PEERS_MAX {
                peers.join_next().await;
            }
        }
        while peers.join_next().await.is_some() {}
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Without its file nobody finds the server; that it stays is harmless.
        std::fs::remove_file(&self.path).ok();
    }
}

async fn attend<F, A>(mut stream: UnixStream, owner: u32, answer: &F) -> io::Result<()>
where
    F: Fn(Command) -> A,
    A: Future<Output = Answer>,
{
    let peer = stream.peer_cred()?.uid();
    let reply = if may_command(peer, owner) {
        match tokio::time::timeout(READ_TIME, read_command(&mut stream)).await {
            Ok(Ok(command)) => {
                tokio::time::timeout(ANSWER_TIME, answer(command)).await.unwrap_or_else(|_| Answer::Failed {
                    text: format!("no answer within {} s", ANSWER_TIME.as_secs()),
                })
            }
            Ok(Err(refusal)) => refusal,
            Err(_) => return Ok(()),
        }
    } else {
        tracing::warn!(peer.uid = peer, "a stranger spoke to the control socket");
        Answer::Refused { text: "only root and the owner of the data folder may command tocsin".to_owned() }
    };
    let mut line = serde_json::to_vec(&reply).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

const fn may_command(peer: u32, owner: u32) -> bool {
    peer == 0 || peer == owner
}

async fn read_command(stream: &mut UnixStream) -> Result<Command, Answer> {
    let refused = |text: &str| Answer::Refused { text: text.to_owned() };
    let mut line = Vec::new();
    let mut reader = tokio::io::BufReader::new(stream.take(LINE_BYTES_MAX));
    reader.read_until(b'\n', &mut line).await.map_err(|_| refused("the command could not be read"))?;
    if line.last() != Some(&b'\n') {
        return Err(refused("a command is one line of at most 20 MiB"));
    }
    // What is wrong with it may hold a password: it is not repeated.
    serde_json::from_slice(&line).map_err(|_| {
        refused("the running server does not know this command: it is of another version; restart it")
    })
}

/// Whether a socket in `folder` can have an address at all.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] with the cure where its path is too long.
pub fn check_path(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAME);
    let length = path.as_os_str().len();
    if length <= PATH_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "{} has {length} bytes, and the path of a socket may have {PATH_BYTES_MAX}: choose a shorter data folder \
         with --data or TOCSIN_DATA",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens: take the folder's lock and do it yourself.
    #[error("no server runs on this data folder")]
    NotRunning,
    #[error("the control socket belongs to somebody else: run this as the data folder's owner or as root")]
    Forbidden,
    #[error("the running server broke off: {0}")]
    Broken(#[source] io::Error),
    #[error(
        "the running server did not answer within {} s: it hangs, or its machine is overloaded. Look at its log; \
         `systemctl restart tocsin` starts it anew",
        .0.as_secs()
    )]
    Silent(Duration),
    #[error(
        "the running server gave an answer that this program does not understand; it is of another version"
    )]
    Unintelligible,
}

/// Asks the server that runs on `folder`, blocking the thread.
pub fn ask(folder: &Path, command: &Command) -> Result<Answer, AskError> {
    let stream = BlockingStream::connect(folder.join(NAME)).map_err(|error| match error.kind() {
        // A path too long for a socket's address is invalid input: no server runs on such a folder.
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidInput => AskError::NotRunning,
        io::ErrorKind::PermissionDenied => AskError::Forbidden,
        _ => AskError::Broken(error),
    })?;
    let patience = patience(command);
    let line = converse(stream, command, patience).map_err(|error| silence_or_break(error, patience))?;
    serde_json::from_str(&line).map_err(|_| AskError::Unintelligible)
}

fn silence_or_break(error: io::Error, patience: Duration) -> AskError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AskError::Silent(patience),
        _ => AskError::Broken(error),
    }
}

/// How long whoever typed a command waits for a server that says nothing.
const fn patience(command: &Command) -> Duration {
    match command {
        Command::Status { .. } => STATUS_TIME,
        _ => ANSWER_TIME.saturating_add(READ_TIME),
    }
}

fn converse(mut stream: BlockingStream, command: &Command, patience: Duration) -> io::Result<String> {
    stream.set_write_timeout(Some(READ_TIME))?;
    stream.set_read_timeout(Some(patience))?;
    let mut request = serde_json::to_vec(command).map_err(io::Error::other)?;
    request.push(b'\n');
    // A stranger is answered without being read: the pipe may break while the answer is already there.
    let written = stream.write_all(&request);
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        written?;
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::lifecycle::control::{StatusOf, TestKind};

    async fn reply(command: Command) -> Answer {
        match command {
            Command::ProjectCreate { name } => Answer::Done { text: format!("made {name}") },
            _ => Answer::Refused { text: "not now".to_owned() },
        }
    }

    async fn asked(folder: &Path, command: Command) -> Result<Answer, AskError> {
        let folder = folder.to_owned();
        tokio::task::spawn_blocking(move || ask(&folder, &command)).await.unwrap()
    }

    #[test]
    fn whoever_asks_a_server_that_hangs_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        // Bound, and never served: the kernel takes the connection.
        let _hangs = std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap();
        let stream = BlockingStream::connect(folder.path().join(NAME)).unwrap();
        let moment = Duration::from_millis(10);
        let error = converse(stream, &Command::Status { of: StatusOf::Itself }, moment).unwrap_err();
        assert!(matches!(silence_or_break(error, moment), AskError::Silent(_)));
        assert!(
            patience(&Command::Status { of: StatusOf::Services })
                < patience(&Command::SendTest { what: TestKind::Email })
        );
    }

    #[tokio::test]
    async fn a_command_goes_to_the_server_and_its_answer_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), "left behind").unwrap();
        let socket = ControlSocket::bind(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(NAME)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(socket.serve(stop.clone(), reply));
        for number in 0..3 * PEERS_MAX {
            let command = Command::ProjectCreate { name: number.to_string() };
            let expected = Answer::Done { text: format!("made {number}") };
            assert_eq!(asked(folder.path(), command).await.unwrap(), expected);
        }
        let refused = asked(folder.path(), Command::SendTest { what: TestKind::Email }).await.unwrap();
        assert!(matches!(refused, Answer::Refused { .. }));
        stop.cancel();
        server.join_all().await;
        assert!(!folder.path().join(NAME).exists());
        let after = asked(folder.path(), Command::Status { of: StatusOf::Itself }).await;
        assert!(matches!(after, Err(AskError::NotRunning)));
    }

    #[tokio::test]
    async fn a_peer_who_is_neither_owner_nor_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut socket = ControlSocket::bind(folder.path()).unwrap();
        let own = socket.owner;
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open.clone()).unwrap();
        std::fs::set_permissions(folder.path().join(NAME), open).unwrap();
        if own != 0 {
            // Not root: this process itself is the stranger.
            socket.owner = own + 1;
        }
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(socket.serve(stop.clone(), reply));
        let path = folder.path().to_owned();
        let stranger = std::thread::spawn(move || {
            if own == 0 {
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(4711)).unwrap();
            }
            ask(&path, &Command::ProjectCreate { name: "x".to_owned() })
        });
        let answer = tokio::task::spawn_blocking(|| stranger.join().unwrap()).await.unwrap().unwrap();
        assert!(matches!(answer, Answer::Refused { text } if text.starts_with("only root")));
        stop.cancel();
        server.join_all().await;
    }

    #[tokio::test]
    async fn nonsense_and_endless_lines_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = ControlSocket::bind(folder.path()).unwrap();
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(socket.serve(stop.clone(), reply));
        let endless = vec![b'x'; usize::try_from(LINE_BYTES_MAX).unwrap() + 1];
        for (sent, expected) in [(&b"{}\n"[..], "another version"), (&endless, "one line of at most")] {
            let mut stream = UnixStream::connect(folder.path().join(NAME)).await.unwrap();
            // The server may close before it has read all of it.
            stream.write_all(sent).await.ok();
            let mut answer = String::new();
            tokio::io::BufReader::new(stream).read_line(&mut answer).await.unwrap();
            assert!(answer.contains(expected), "{answer}");
        }
        stop.cancel();
        server.join_all().await;
    }

    #[test]
    fn a_folder_whose_socket_has_too_long_a_path_is_refused_with_the_cure() {
        let parent = tempfile::tempdir().unwrap();
        let room = PATH_BYTES_MAX - parent.path().as_os_str().len() - NAME.len() - 2;
        let (fits, too_long) = ("x".repeat(room), "x".repeat(room + 1));
        assert!(check_path(&parent.path().join(&fits)).is_ok());
        let folder = parent.path().join(too_long);
        assert!(check_path(&folder).unwrap_err().to_string().contains("--data"));
        std::fs::create_dir(&folder).unwrap();
        assert!(BlockingStream::connect(folder.join(NAME)).is_err());
        let asked = ask(&folder, &Command::ProjectList);
        assert!(matches!(asked, Err(AskError::NotRunning)), "{asked:?}");
    }

    #[test]
    fn only_the_owner_and_root_may_command() {
        for (peer, owner, expected) in
            [(0, 1000, true), (1000, 1000, true), (1001, 1000, false), (1, 0, false)]
        {
            assert_eq!(may_command(peer, owner), expected);
        }
    }
}
