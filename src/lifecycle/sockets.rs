//! Listening sockets handed over by systemd: while tocsin restarts the kernel keeps the queue, no request is
//! refused. Protocol: `sd_listen_fds(3)`.

use std::net::TcpListener;

use listenfd::ListenFd;

/// The name of the socket that serves HTTP: `FileDescriptorName=http` in the socket unit.
const HTTP: &str = "http";

/// What was handed over.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    sockets: Vec<(String, TcpListener)>,
}

#[derive(Debug, thiserror::Error)]
#[error("the service manager handed over a socket (number {number}) that is not for TCP: {source}")]
pub struct SocketError {
    pub number: usize,
    source: std::io::Error,
}

impl InheritedSockets {
    /// Takes all sockets of this process; `names` is the text of `LISTEN_FDNAMES`.
    ///
    /// # Errors
    /// Where one of them is of another kind: listening elsewhere instead would hide the mistake.
    pub fn take(names: Option<&str>) -> Result<Self, SocketError> {
        let mut inherited = ListenFd::from_env();
        let mut sockets = Vec::new();
        for (number, name) in names_of(names, inherited.len()).into_iter().enumerate() {
            let taken = inherited.take_tcp_listener(number);
            let listener = taken.map_err(|source| SocketError { number, source })?;
            sockets.extend(listener.map(|listener| (name, listener)));
        }
        Ok(Self { sockets })
    }

    /// The socket for HTTP: the one of that name, or the only one whatever its name.
    pub fn http(&mut self) -> Option<TcpListener> {
        let names: Vec<_> = self.sockets.iter().map(|(name, _)| name.as_str()).collect();
        position_of(HTTP, &names).map(|at| self.sockets.swap_remove(at).1)
    }
}

fn position_of(wanted: &str, names: &[&str]) -> Option<usize> {
    let named = names.iter().position(|name| *name == wanted);
    named.or_else(|| (names.len() == 1).then_some(0))
}

/// One name per socket; missing ones are empty.
fn names_of(names: Option<&str>, count: usize) -> Vec<String> {
    let given = names.unwrap_or("").split(':').map(str::to_owned);
    given.chain(std::iter::repeat(String::new())).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_name_or_as_the_only_one() {
        for (names, expected) in [
            (&["http"][..], Some(0)),
            (&["tocsin.socket"], Some(0)),
            (&["admin", "http"], Some(1)),
            (&["a", "b"], None),
            (&[], None),
        ] {
            assert_eq!(position_of("http", names), expected, "{names:?}");
        }
    }

    #[test]
    fn there_are_as_many_names_as_sockets() {
        assert_eq!(names_of(Some("a:b"), 3), ["a", "b", ""]);
        assert_eq!(names_of(Some("a:b"), 1), ["a"]);
        assert_eq!(names_of(None, 0), Vec::<String>::new());
    }

    #[test]
    fn without_a_service_manager_there_are_none() {
        assert!(InheritedSockets::take(None).unwrap().http().is_none());
    }
}
