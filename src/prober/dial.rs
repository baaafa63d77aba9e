//! Opening connections: names, addresses that may be dialled, TLS, and how long each took.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::question::Looking;
use super::trust::{Shown, Trust};
use crate::config::Network;
use crate::outbound::{self, AddressClass, NoAddress, classify};
use crate::probes::seen::{Failed, Phase};

/// How far a question may go.
#[derive(Clone, Debug)]
pub enum Reach {
    /// Also this machine and private networks: its target was named by a file, the environment or a flag.
    Private,
    /// The public internet, and the networks that the configuration opens to the page.
    Public(Arc<[Network]>),
}

impl Reach {
    /// Whether an address may be dialled. Link-local and metadata addresses never.
    pub fn permits(&self, address: IpAddr) -> bool {
        match (classify(address), self) {
            (AddressClass::Never, _) => false,
            (AddressClass::Public, _) | (_, Self::Private) => true,
            (AddressClass::Loopback | AddressClass::Private, Self::Public(opened)) => {
                opened.iter().any(|network| network.contains(address))
            }
        }
    }
}

/// Looks a name up. Only addresses that may be dialled come out.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    reach: &Reach,
    looking: &mut Looking,
) -> Result<Vec<SocketAddr>, Failed> {
    looking.phase = Phase::Dns;
    let began = Instant::now();
    let found = outbound::addresses(host, port, outbound::Reach::Private).await;
    if outbound::check_literal(host, outbound::Reach::Public).is_ok() && host.parse::<IpAddr>().is_err() {
        looking.phases.dns = Some(began.elapsed());
    }
    let found = found.map_err(|error| {
        let may_be_ours = !matches!(error, NoAddress::Forbidden { .. });
        Failed { phase: Phase::Dns, reason: error.to_string(), may_be_ours }
    })?;
    let kept: Vec<SocketAddr> = found.iter().copied().filter(|a| reach.permits(a.ip())).collect();
    if kept.is_empty() {
        let address = found.first().map_or_else(String::new, |a| a.ip().to_string());
        let reason = format!(
            "{host} points to {address}, where a probe made on the page may not look: open the network with `probes.private_targets`, or define the probe in a file"
        );
        return Err(Failed { phase: Phase::Setup, reason, may_be_ours: false });
    }
    Ok(kept)
}

/// Opens a connection to the first of the addresses that answers.
pub(super) async fn connect(
    host: &str,
    port: u16,
    reach: &Reach,
    looking: &mut Looking,
) -> Result<TcpStream, Failed> {
    let addresses = resolve(host, port, reach, looking).await?;
    looking.phase = Phase::Connect;
    let began = Instant::now();
    let mut last = None;
    for address in addresses {
        looking.sample.address = Some(address.ip());
        match TcpStream::connect(address).await {
            Ok(stream) => {
                looking.phases.connect = Some(began.elapsed());
                // A question is one small write; waiting for more to send would only add to its time.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Err(error) => last = Some((address, error)),
        }
    }
    looking.phases.connect = Some(began.elapsed());
    Err(last.map_or_else(
        || Failed { phase: Phase::Connect, reason: "no address".to_owned(), may_be_ours: false },
        |(address, error)| refused(address, &error),
    ))
}

fn refused(address: SocketAddr, error: &std::io::Error) -> Failed {
    // Whoever refuses is there: the uplink works. And this machine can always reach itself.
    let is_refusal = error.kind() == std::io::ErrorKind::ConnectionRefused;
    let may_be_ours = !is_refusal && classify(address.ip()) != AddressClass::Loopback;
    Failed { phase: Phase::Connect, reason: format!("{address}: {}", io_reason(error)), may_be_ours }
}

/// What went wrong with a connection, without the system's error number.
pub(super) fn io_reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "the connection was closed".to_owned()
        }
        ErrorKind::TimedOut => "timed out".to_owned(),
        ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
        _ => error.to_string(),
    }
}

/// Agrees on encryption. `verify` off takes any certificate; what was shown is known in either case.
pub(super) async fn encrypt(
    stream: TcpStream,
    server_name: &str,
    trust: &Trust,
    verify: bool,
    looking: &mut Looking,
) -> Result<(TlsStream<TcpStream>, Shown), Failed> {
    looking.phase = Phase::Tls;
    let failed = |reason: String| Failed { phase: Phase::Tls, reason, may_be_ours: false };
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| failed(format!("“{server_name}” is no name that a certificate can carry")))?;
    let began = Instant::now();
    let (connector, watcher) = trust.connector();
    let result = connector.connect(name, stream).await;
    looking.phases.tls = Some(began.elapsed());
    let stream = result.map_err(|error| failed(io_reason(&error)))?;
    let shown = watcher.shown(&stream, looking.now);
    shown.state(&mut looking.facts);
    match &shown.distrusted {
        Some(reason) if verify => Err(failed(reason.clone())),
        _ => Ok((stream, shown)),
    }
}
