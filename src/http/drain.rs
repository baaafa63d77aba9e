//! Stopping without cutting anybody off. A server that closes its connections at the stop also closes those whose
//! request has arrived and was not read yet: so nobody new is let in first, whoever is connected is answered and told
//! that the connection ends, and only what is still open a second later is closed.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use rustix::net::{Shutdown, shutdown};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Where connections come in.
#[derive(Debug)]
pub struct Door {
    pub(super) listener: TcpListener,
    /// The service manager's: what waits there is for the process that comes next.
    is_shared: bool,
}

/// The connections of a server, and whether they are to end.
#[derive(Clone, Default)]
pub(super) struct Drain {
    open: TaskTracker,
    closing: CancellationToken,
}

/// A client that works sends its next request within this time; one that sends nothing is not cut off.
const GRACE: Duration = Duration::from_secs(1);
/// The thread that accepts hears of a pause a moment later.
const PAUSE_HEARD: Duration = Duration::from_millis(10);

impl Door {
    /// A socket that a service manager keeps open while tocsin restarts.
    pub fn shared(listener: TcpListener) -> Self {
        Self { listener, is_shared: true }
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// A second handle on the socket, where it is ours to shut.
    pub(super) fn lock(&self) -> std::io::Result<Option<TcpListener>> {
        if self.is_shared { Ok(None) } else { self.listener.try_clone().map(Some) }
    }
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self { listener, is_shared: false }
    }
}

impl Drain {
    /// Held by a connection as long as it is open.
    pub(super) fn connection(&self) -> TaskTrackerToken {
        self.open.token()
    }

    /// Lets nobody new in, then waits until whoever is connected was answered and left, for a second at most.
    pub(super) async fn run(&self, server: &ServerHandle, lock: Option<&TcpListener>) {
        server.pause().await;
        tokio::time::sleep(PAUSE_HEARD).await;
        // Only now: clients that are told to leave come back at once, and would wait at a door that nobody opens.
        if let Some(Err(error)) = lock.map(|listener| shutdown(listener, Shutdown::Read)) {
            tracing::debug!(%error, "the listening socket could not be shut early");
        }
        self.closing.cancel();
        self.open.close();
        if tokio::time::timeout(GRACE, self.open.wait()).await.is_err() {
            tracing::debug!(connections = self.open.len(), "what is still open is closed");
        }
    }
}

/// Tells clients with every answer that the connection ends, once it is to.
pub(super) async fn tell_end(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let drain = request.app_data::<web::Data<Drain>>().cloned();
    let mut response = next.call(request).await?;
    if drain.is_some_and(|drain| drain.closing.is_cancelled()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}
