//! What a name resolves to, asked of one name server or of this machine's own.

mod message;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
pub use message::{Answer, Asked, Unfit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::dial;
use super::question::{Looking, With};
use crate::probes::condition::{Tree, Value};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::{Dns, host_and_port};

const PORT: u16 = 53;
/// Over UDP a question may get lost; it is sent again, and the next name server is asked beside, after this.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// As many as the C library asks.
const SERVERS_MAX: usize = 3;
/// More than is asked for (`message`), so that what is longer is seen to be.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// Answers to other questions that are passed over: a few are late ones, many are somebody who guesses.
const STRAYS_MAX: usize = 100;
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Of that file.
const RESOLV_CONF_BYTES_MAX: u64 = 64 * 1024;

/// Asks the target's name server, over UDP, and over TCP where the answer is longer.
pub(super) async fn ask(target: &Dns, with: With<'_>, looking: &mut Looking) -> Result<(), Failed> {
    let id = u16::from_le_bytes(with.entropy.bytes());
    let asked = Asked::new(id, &target.name, &target.record).map_err(Failed::setup)?;
    let servers = match &target.server {
        Some(server) => named(server, with, looking).await?,
        None => own_servers(Path::new(RESOLV_CONF)).await,
    };
    // This machine's own name server passes questions on: where it is silent, the uplink may be gone.
    let is_own = target.server.is_none();
    looking.phase = if is_own { Phase::Dns } else { Phase::Answer };
    looking.sample.address = servers.first().map(SocketAddr::ip);
    let began = Instant::now();
    let result = first_answer(&servers, &asked).await;
    looking.phases.answer = Some(began.elapsed());
    let (server, answer) = result.map_err(|fault| fault.failed(looking.phase))?;
    looking.sample.address = Some(server.ip());
    state(&answer, looking);
    if is_own && answer.rcode == "SERVFAIL" {
        let reason = "the name server of this machine got no answer (SERVFAIL)".to_owned();
        return Err(Failed { phase: Phase::Dns, reason, may_be_ours: true });
    }
    Ok(())
}

fn state(answer: &Answer, looking: &mut Looking) {
    let count = answer.records.len();
    looking.sample.head =
        format!("{}, {count} {}", answer.rcode, if count == 1 { "record" } else { "records" });
    looking.sample.body = answer.records.join("\n");
    looking.facts.set("rcode", Value::Text(answer.rcode.clone()));
    looking.facts.set_tree("records", Tree::of_json(answer.records.clone().into()));
    if let Some(ttl) = answer.ttl {
        looking.facts.set("ttl", Value::seconds(f64::from(ttl)));
    }
}

/// The name server that the target names, as far as it may be asked.
async fn named(server: &str, with: With<'_>, looking: &mut Looking) -> Result<Vec<SocketAddr>, Failed> {
    let (host, port) = host_and_port(server, PORT).ok_or_else(|| {
        Failed::setup("server: write a name or an address, and a port after a colon".to_owned())
    })?;
    let mut found = dial::resolve(host, port, with.reach, looking).await?;
    found.truncate(SERVERS_MAX);
    Ok(found)
}

/// Those that everything else on this machine asks too, wherever they are.
async fn own_servers(file: &Path) -> Vec<SocketAddr> {
    let configured = read_start(file).await.ok().and_then(|bytes| resolv_conf::Config::parse(bytes).ok());
    let mut servers: Vec<SocketAddr> = configured
        .iter()
        .flat_map(|config| &config.nameservers)
        .take(SERVERS_MAX)
        .map(|server| SocketAddr::new(server.into(), PORT))
        .collect();
    if servers.is_empty() {
        // As the C library does.
        servers.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT));
    }
    servers
}

async fn read_start(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(file).await?.take(RESOLV_CONF_BYTES_MAX).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Why a name server brought no answer.
#[derive(Debug)]
enum Fault {
    Io(SocketAddr, io::Error),
    Unreadable(SocketAddr),
    Strays(SocketAddr),
    NobodyToAsk,
}

impl Fault {
    fn failed(&self, phase: Phase) -> Failed {
        let (reason, may_be_ours) = match self {
            Self::Io(server, error) => {
                (format!("{server}: {}", dial::io_reason(error)), dial::is_uplink_like(error))
            }
            Self::Unreadable(server) => (format!("{server}: the answer cannot be read"), false),
            Self::Strays(server) => (format!("{server} answers other questions than the one asked"), false),
            Self::NobodyToAsk => ("there is no name server to ask".to_owned(), false),
        };
        Failed { phase, reason, may_be_ours }
    }
}

/// Asks one name server after the other, each beside those that are still silent.
async fn first_answer(servers: &[SocketAddr], asked: &Asked) -> Result<(SocketAddr, Answer), Fault> {
    let mut asking: FuturesUnordered<_> = (0..)
        .zip(servers)
        .map(|(place, server)| async move {
            tokio::time::sleep(AGAIN_AFTER * place).await;
            Ok((*server, answer_of(*server, asked).await?))
        })
        .collect();
    let mut first_fault = None;
    while let Some(result) = asking.next().await {
        match result {
            Ok(answer) => return Ok(answer),
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    Err(first_fault.unwrap_or(Fault::NobodyToAsk))
}

async fn answer_of(server: SocketAddr, asked: &Asked) -> Result<Answer, Fault> {
    let answer = over_udp(server, asked).await?;
    if answer.is_cut { over_tcp(server, asked).await } else { Ok(answer) }
}

async fn over_udp(server: SocketAddr, asked: &Asked) -> Result<Answer, Fault> {
    let failed = |error| Fault::Io(server, error);
    let here: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(here).await.map_err(failed)?;
    // From here on only what this server sends arrives.
    socket.connect(server).await.map_err(failed)?;
    let mut datagram = [0; DATAGRAM_BYTES_MAX];
    let mut strays = 0;
    loop {
        socket.send(asked.bytes()).await.map_err(failed)?;
        let until = tokio::time::Instant::now() + AGAIN_AFTER;
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv(&mut datagram)).await {
            let length = received.map_err(failed)?;
            match asked.read(&datagram[..length]) {
                Ok(answer) => return Ok(answer),
                Err(Unfit::Unreadable) => return Err(Fault::Unreadable(server)),
                Err(Unfit::Stray) if strays == STRAYS_MAX => return Err(Fault::Strays(server)),
                Err(Unfit::Stray) => strays += 1,
            }
        }
    }
}

async fn over_tcp(server: SocketAddr, asked: &Asked) -> Result<Answer, Fault> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(asked.bytes().len()).unwrap_or(u16::MAX);
        let mut question = length.to_be_bytes().to_vec();
        question.extend_from_slice(asked.bytes());
        stream.write_all(&question).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let bytes = exchange.await.map_err(|error| Fault::Io(server, error))?;
    asked.read(&bytes).map_err(|unfit| match unfit {
        Unfit::Unreadable => Fault::Unreadable(server),
        Unfit::Stray => Fault::Strays(server),
    })
}
