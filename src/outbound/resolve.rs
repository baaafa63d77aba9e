//! Names to addresses, checked: what comes out of here may be dialled.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Reach, classify};

/// A resolver that is silent for longer will not answer in time for an alarm.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// A name with more addresses than this is tried at the first ones.
const ADDRESSES_MAX: usize = 16;

/// Why a host has no address to dial. Names no more than the host that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("{host} points to {address}, where tocsin may not call{}", hint(*reach))]
    Forbidden { host: String, address: IpAddr, reach: Reach },
    #[error("the name {host} could not be found")]
    Unknown { host: String },
    #[error("the name server did not answer within {} s", LOOKUP_TIMEOUT.as_secs())]
    TimedOut,
}

fn hint(reach: Reach) -> &'static str {
    match reach {
        Reach::Public => {
            ": targets set on the page or by the API must be public; name a private one in the configuration file or the environment"
        }
        Reach::Private => ": link-local and metadata addresses are never called",
    }
}

/// Looks `host` up and keeps the addresses within `reach`. A literal address is checked the same way.
///
/// # Errors
/// [`NoAddress::Forbidden`] where every answer is outside `reach`.
pub async fn addresses(host: &str, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, NoAddress> {
    if let Some(address) = literal(host) {
        return permitted(host, vec![SocketAddr::new(address, port)], reach);
    }
    let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, port)));
    let answer = lookup.await.map_err(|_| NoAddress::TimedOut)?;
    let found = answer.map_err(|_| NoAddress::Unknown { host: host.to_owned() })?;
    permitted(host, found.take(ADDRESSES_MAX).collect(), reach)
}

/// Refuses at once what no lookup could make right: a literal address, or a name of this machine, outside `reach`.
/// Any other name is judged when it is dialled.
pub fn check_literal(host: &str, reach: Reach) -> Result<(), NoAddress> {
    let Some(address) = literal(host) else { return Ok(()) };
    permitted(host, vec![SocketAddr::new(address, 0)], reach).map(|_| ())
}

/// The address that `host` is, with or without the brackets of a URL. `localhost` and the names below it are
/// this machine whatever a name server says (RFC 6761 §6.3).
pub fn literal(host: &str) -> Option<IpAddr> {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn permitted(host: &str, found: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, NoAddress> {
    let Some(first) = found.first().copied() else {
        return Err(NoAddress::Unknown { host: host.to_owned() });
    };
    let kept: Vec<SocketAddr> =
        found.into_iter().filter(|address| classify(address.ip()).is_within(reach)).collect();
    if kept.is_empty() {
        return Err(NoAddress::Forbidden { host: host.to_owned(), address: first.ip(), reach });
    }
    Ok(kept)
}

/// The resolver of the HTTP client: it sees every name right before the dial, so a name that changes its mind
/// between check and call (DNS rebinding) gains nothing.
pub(super) struct CheckedResolver {
    pub(super) reach: Reach,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let kept = addresses(name.as_str(), 0, reach).await?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_answers_are_dropped_and_good_ones_kept() {
        let mixed: Vec<SocketAddr> =
            ["10.0.0.1:1", "1.1.1.1:1", "169.254.169.254:1"].map(|a| a.parse().unwrap()).to_vec();
        let kept = permitted("x", mixed.clone(), Reach::Public).unwrap();
        assert_eq!(kept, vec!["1.1.1.1:1".parse().unwrap()]);
        assert_eq!(permitted("x", mixed, Reach::Private).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_refused_unless_the_operator_named_it() {
        for host in ["localhost", "LocalHost.", "x.localhost", "127.0.0.1", "[::1]"] {
            let refused = addresses(host, 80, Reach::Public).await.unwrap_err();
            assert!(matches!(refused, NoAddress::Forbidden { .. }), "{host}: {refused}");
        }
        assert!(!addresses("localhost", 80, Reach::Private).await.unwrap().is_empty());
        assert!(addresses("169.254.169.254", 80, Reach::Private).await.is_err());
    }
}
