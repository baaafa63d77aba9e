//! Names to addresses, as this machine resolves them.

use std::net::{SocketAddr, ToSocketAddrs as _};

use tokio::sync::Semaphore;

use crate::probes::seen::{Failed, Phase};

/// Look-ups at one time, of all questions together. The system's resolver holds a thread while it waits, for many
/// seconds where no name server answers, and the store's readers live on the same threads.
const LOOKUPS_MAX: usize = 64;
/// A name with more addresses than this is tried at the first ones.
const ADDRESSES_MAX: usize = 16;

static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

/// Every address of `host`, in the order in which they should be tried. Whether they may be dialled is for the caller.
///
/// # Errors
/// Where no address came; a name that does not exist is told from a name server that does not answer.
pub(super) async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failed> {
    let no_answer = |may_be_ours| failed(format!("the name server gave no answer for {host}"), may_be_ours);
    // Closed never; whoever is dropped while it waits leaves the line.
    let permit = LOOKUPS.acquire().await.map_err(|_| no_answer(true))?;
    let asked = (host.to_owned(), port);
    let asking = tokio::task::spawn_blocking(move || {
        // The thread is taken until it is done, whether or not somebody still waits.
        let _held = permit;
        asked.to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect::<Vec<_>>())
    });
    match asking.await {
        Ok(Ok(found)) if !found.is_empty() => Ok(found),
        Ok(Ok(_)) => Err(unknown(host)),
        Ok(Err(error)) if denies(&error) => Err(unknown(host)),
        Ok(Err(_)) | Err(_) => Err(no_answer(true)),
    }
}

/// A name server that denies a name was reached: the uplink works.
fn unknown(host: &str) -> Failed {
    failed(format!("the name {host} could not be found"), false)
}

fn failed(reason: String, may_be_ours: bool) -> Failed {
    Failed { phase: Phase::Dns, reason, may_be_ours }
}

/// Whether a name server said that there is no such name, or no address for it. The standard library passes on nothing
/// but the C library's words: glibc's, then musl's.
fn denies(error: &std::io::Error) -> bool {
    const DENIALS: [&str; 4] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
    ];
    let says = error.to_string();
    DENIALS.iter().any(|denial| says.contains(denial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_name_is_told_from_a_silent_name_server() {
        let says =
            |text: &str| std::io::Error::other(format!("failed to lookup address information: {text}"));
        assert!(denies(&says("Name or service not known")));
        assert!(!denies(&says("Temporary failure in name resolution")));
        assert!(!denies(&says("Non-recoverable failure in name resolution")));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_found() {
        let found = addresses("localhost", 80).await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{found:?}");
    }
}
