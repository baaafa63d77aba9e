//! Carries commands out: the one function that the socket and a command without a server both call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Answer, Command, StatusOf, StatusReport, TestKind, accounts, manifest};
use crate::base::{Clock, Entropy};
use crate::config::BaseUrl;
use crate::manifest::{How, Means};
use crate::store::Store;

/// What carrying out a command needs. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub store: Store,
    pub clock: Clock,
    pub entropy: Entropy,
    /// Stands in DSNs and links.
    pub base_url: BaseUrl,
    /// What files need to be applied; otherwise why they cannot be.
    pub means: Result<Means, String>,
    /// `None`: no server runs, the command does it itself.
    pub live: Option<Live>,
}

/// What only a running server can do.
#[derive(Clone)]
pub struct Live {
    pub status: Arc<dyn Fn(StatusOf) -> Later<StatusReport> + Send + Sync>,
    /// Sends for real, waits, and tells where it arrived.
    pub send_test: Arc<dyn Fn(TestKind) -> Later<Answer> + Send + Sync>,
    /// Called after a commit that changed users, keys or tokens: what caches remember of them is void.
    pub forget: Arc<dyn Fn() + Send + Sync>,
}

pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Does what `command` says and tells how it went.
pub async fn carry_out(desk: Desk, command: Command) -> Answer {
    let answer = match command {
        Command::ProjectCreate { name } => accounts::create_project(&desk, name).await,
        Command::ProjectList => accounts::list_projects(&desk).await,
        Command::ProjectKeys { project } => accounts::list_keys(&desk, project).await,
        Command::TokenCreate { name, scopes, project } => {
            accounts::create_token(&desk, name, scopes, project).await
        }
        Command::TokenList => accounts::list_tokens(&desk).await,
        Command::TokenRevoke { id } => accounts::revoke_token(&desk, id).await,
        Command::UserCreate { email, role, password } => {
            accounts::create_user(&desk, email, role, password).await
        }
        Command::UserList => accounts::list_users(&desk).await,
        Command::UserLink { email } => accounts::create_link(&desk, email).await,
        Command::UserDisable { email, tokens } => accounts::disable_user(&desk, email, tokens).await,
        Command::UserRemove { email, tokens } => accounts::remove_user(&desk, email, tokens).await,
        Command::Apply { document, dry, prune } => manifest::apply(&desk, document, How { dry, prune }).await,
        Command::Export { project } => manifest::export(&desk, project).await,
        Command::SendTest { what } => return with_server(&desk, |live| (live.send_test)(what)).await,
        Command::Status { of } => {
            let status = |live: &Live| (live.status)(of);
            return match &desk.live {
                Some(live) => Answer::Status(status(live).await),
                None => no_server(),
            };
        }
    };
    if let Some(live) = &desk.live {
        (live.forget)();
    }
    answer
}

async fn with_server(desk: &Desk, work: impl FnOnce(&Live) -> Later<Answer>) -> Answer {
    match &desk.live {
        Some(live) => work(live).await,
        None => no_server(),
    }
}

fn no_server() -> Answer {
    Answer::Refused { text: "this needs a running server: start it with `tocsin serve`".to_owned() }
}
