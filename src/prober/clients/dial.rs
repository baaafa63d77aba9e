//! Opening connections: names, addresses that may be dialled, TLS, and how long each took.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::lookup;
use super::question::Looking;
use super::reach::Reach;
use super::trust::{Shown, Trust};
use crate::outbound::{self, AddressClass, classify};
use crate::probes::seen::{Failed, Phase};
use crate::probes::target::normal_host;

/// How long an address is waited for before the next one is tried beside it (RFC 8305 §5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Looks a name up. Only addresses that may be dialled come out.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    reach: &Reach,
    looking: &mut Looking,
) -> Result<Vec<SocketAddr>, Failed> {
    looking.phase = Phase::Dns;
    let Some(host) = normal_host(host) else {
        return Err(Failed::setup(format!(
            "“{host}” is no name and no address: write one such as db.example.com"
        )));
    };
    let began = Instant::now();
    let found = match outbound::literal(&host) {
        Some(address) => Ok(vec![SocketAddr::new(address, port)]),
        None => lookup::addresses(&host, port).await,
    };
    if host.parse::<IpAddr>().is_err() {
        add(&mut looking.phases.dns, began);
    }
    reach.keep(&host, found?)
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
    // Named where the time runs out before any of them answers.
    looking.sample.address = addresses.first().map(SocketAddr::ip);
    let began = Instant::now();
    let result = first_to_answer(&addresses).await;
    add(&mut looking.phases.connect, began);
    let (stream, address) = result?;
    looking.sample.address = Some(address.ip());
    // A question is one small write; waiting for more to send would only add to its time.
    stream.set_nodelay(true).ok();
    Ok(stream)
}

/// Tries one after the other, each beside those that are still silent: one dead address of several costs little.
async fn first_to_answer(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Failed> {
    let mut left = addresses.iter().copied();
    let mut dialling = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        let next = left.next();
        let is_last = next.is_none();
        dialling.extend(next.map(|address| async move { (address, TcpStream::connect(address).await) }));
        let answer = if is_last {
            dialling.next().await
        } else {
            match tokio::time::timeout(NEXT_AFTER, dialling.next()).await {
                Ok(answer) => answer,
                Err(_) => continue,
            }
        };
        match answer {
            Some((address, Ok(stream))) => return Ok((stream, address)),
            Some((address, Err(error))) => failures.push((address, error)),
            None => return Err(nobody(&failures)),
        }
    }
}

/// No address took the connection. One that refuses says more than one that is silent.
fn nobody(failures: &[(SocketAddr, std::io::Error)]) -> Failed {
    let refusal = failures.iter().find(|(_, error)| error.kind() == std::io::ErrorKind::ConnectionRefused);
    match refusal.or(failures.first()) {
        Some((address, error)) => refused(*address, error),
        None => Failed::setup("there is no address to dial".to_owned()),
    }
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

/// Whether a lost uplink ends an open connection so. A reset is the other side's word, and so is the end of the stream.
pub(super) fn is_uplink_like(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable)
}

/// What becomes of a certificate that nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distrusted {
    Refused,
    /// What is wrong with it is known all the same.
    Taken,
}

/// Agrees on encryption.
pub(super) async fn encrypt(
    stream: TcpStream,
    server_name: &str,
    trust: &Trust,
    distrusted: Distrusted,
    looking: &mut Looking,
) -> Result<(TlsStream<TcpStream>, Shown), Failed> {
    looking.phase = Phase::Tls;
    let failed = |reason: String| Failed { phase: Phase::Tls, reason, may_be_ours: false };
    let name = certified_name(server_name)
        .ok_or_else(|| failed(format!("“{server_name}” is no name that a certificate can carry")))?;
    let began = Instant::now();
    let result = trust.connector().connect(name.clone(), stream).await;
    add(&mut looking.phases.tls, began);
    let stream = result
        .map_err(|error| Failed { may_be_ours: is_uplink_like(&error), ..failed(tls_reason(&error)) })?;
    let shown = trust.judge(stream.get_ref().1, &name, looking.now);
    shown.state(&mut looking.facts);
    match &shown.distrusted {
        Some(reason) if distrusted == Distrusted::Refused => Err(failed(reason.clone())),
        _ => Ok((stream, shown)),
    }
}

fn certified_name(host: &str) -> Option<ServerName<'static>> {
    let host = normal_host(host)?;
    // The dot that ends a full name is never part of a certificate (RFC 6066 §3).
    ServerName::try_from(host.trim_end_matches('.').to_owned()).ok()
}

/// Why there is no agreement, in words.
fn tls_reason(error: &std::io::Error) -> String {
    use rustls::{AlertDescription, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_)) => {
            "no version or cipher of TLS is known to both sides".to_owned()
        }
        Some(Error::AlertReceived(alert)) => format!("the server refused the handshake ({alert:?})"),
        Some(Error::InvalidMessage(_)) => "the other side does not speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None => io_reason(error),
    }
}

/// Redirects pass through a phase several times; it took as long as all of them.
fn add(phase: &mut Option<Duration>, since: Instant) {
    *phase = Some(phase.unwrap_or_default() + since.elapsed());
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn only_what_a_lost_uplink_could_do_is_blamed_on_it() {
        let blamed = |failures: &[(&str, ErrorKind)]| {
            let failures: Vec<_> = failures
                .iter()
                .map(|(address, kind)| (address.parse().unwrap(), Error::from(*kind)))
                .collect();
            nobody(&failures).may_be_ours
        };
        for kind in [ErrorKind::TimedOut, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable] {
            assert!(blamed(&[("8.8.8.8:1", kind)]), "{kind}");
            assert!(blamed(&[("10.0.0.1:1", kind), ("[2606:4700::1111]:1", kind)]), "{kind}");
            assert!(!blamed(&[("127.0.0.1:1", kind)]), "{kind}");
            // One that refuses was reached.
            assert!(!blamed(&[("[2606:4700::1111]:1", kind), ("8.8.8.8:1", ErrorKind::ConnectionRefused)]));
            assert!(is_uplink_like(&Error::from(kind)));
        }
        for kind in [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::InvalidData] {
            assert!(!is_uplink_like(&Error::from(kind)), "{kind}");
        }
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_living_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let living = listener.local_addr().unwrap();
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (_, address) = first_to_answer(&[refusing, living]).await.unwrap();
        assert_eq!(address, living);
        let failed = first_to_answer(&[refusing]).await.unwrap_err();
        assert_eq!(failed.reason, format!("{refusing}: connection refused"));
    }
}
