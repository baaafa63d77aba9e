//! The mailbox as a web page, in the look of the product's own.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::Server;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{App, HttpResponse, HttpServer, web};
use askama::Template;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::inbox::{Inbox, Mail};
use super::server::NAME;
use crate::http::Problem;
use crate::http::admin::{page_with, statics};
use crate::http::server::safe_headers;

/// More than one screen; the rest is counted.
const SHOWN_MAX: usize = 50;
/// One reader, whose browser asks once a second.
const WORKERS: usize = 1;
const CONNECTIONS_MAX: usize = 64;

/// What the page is about.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) inbox: Inbox,
    /// The server of the demo, where links in mails lead.
    pub(super) server: SocketAddr,
    /// The one-use link to its pages.
    pub(super) admin: String,
}

#[derive(Template)]
#[template(path = "mailbox.html", config = "src/cli/demo/askama.toml")]
struct MailboxPage {
    admin: String,
    view: View,
}

/// The part of the page that changes.
#[derive(Template)]
#[template(path = "mails.html", config = "src/cli/demo/askama.toml")]
struct MailsPart {
    view: View,
}

struct View {
    /// What the page has seen when it shows this.
    version: u64,
    said: String,
    /// The newest first.
    mails: Vec<Shown>,
    earlier: usize,
    host: &'static str,
}

struct Shown {
    subject: String,
    at: String,
    exact: String,
    is_urgent: bool,
    is_good: bool,
    text: String,
    button: Option<Button>,
}

struct Button {
    label: String,
    href: String,
    acknowledges: bool,
}

#[derive(Deserialize)]
struct Seen {
    seen: Option<u64>,
}

/// Serves the page on `listener` until `stop`.
pub(super) fn serve(
    mailbox: Mailbox,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<Server> {
    let mailbox = web::Data::new(mailbox);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(mailbox.clone())
            .wrap(safe_headers())
            .route("/", web::get().to(show))
            .route("/mails", web::get().to(follow))
            .route("/static/{path:.*}", web::get().to(statics::file))
    })
    .workers(WORKERS)
    .max_connections(CONNECTIONS_MAX)
    .shutdown_timeout(1)
    .shutdown_signal(stop.cancelled_owned())
    .listen(listener)?;
    Ok(server.run())
}

async fn show(mailbox: web::Data<Mailbox>) -> Result<HttpResponse, Problem> {
    page_with(
        actix_web::http::StatusCode::OK,
        &MailboxPage { admin: mailbox.admin.clone(), view: mailbox.view() },
    )
}

/// The changing part, or nothing where nothing changed: the page keeps what it shows.
async fn follow(mailbox: web::Data<Mailbox>, seen: web::Query<Seen>) -> Result<HttpResponse, Problem> {
    let view = mailbox.view();
    if seen.seen == Some(view.version) {
        return Ok(HttpResponse::NoContent().insert_header((CACHE_CONTROL, "no-store")).finish());
    }
    page_with(actix_web::http::StatusCode::OK, &MailsPart { view })
}

impl Mailbox {
    fn view(&self) -> View {
        // Read first: what comes in between is shown now and once more with the next look.
        let version = self.inbox.version();
        let mails = self.inbox.mails();
        let shown = mails.iter().rev().take(SHOWN_MAX).map(|mail| self.shown(mail)).collect();
        let earlier = mails.len().saturating_sub(SHOWN_MAX);
        View { version, said: self.inbox.said(), mails: shown, earlier, host: NAME }
    }

    fn shown(&self, mail: &Mail) -> Shown {
        let button = mail.link.as_ref().map(|link| Button {
            label: link.label.clone(),
            href: format!("http://{}{}", self.server, link.path),
            acknowledges: link.acknowledges(),
        });
        Shown {
            subject: mail.subject.clone(),
            at: mail.arrived_at.to_chrono().format("%H:%M:%S UTC").to_string(),
            exact: mail.arrived_at.to_rfc3339(),
            is_urgent: mail.is_urgent,
            is_good: mail.is_recovery(),
            text: mail.text.trim_end().to_owned(),
            button,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test;

    use super::*;
    use crate::base::Timestamp;

    const MAIL: &str = "From: a@b\r\nSubject: <b>down</b>\r\nImportance: high\r\n\r\nCritical: <i>\r\n\r\n\
                        Acknowledge: http://tocsin.example:1/ack/x\r\n";

    fn mailbox() -> Mailbox {
        let inbox = Inbox::new("http://tocsin.example:1");
        inbox.put(MAIL.as_bytes(), Timestamp::from_secs(1_790_000_000)).unwrap();
        Mailbox { inbox, server: "127.0.0.1:1".parse().unwrap(), admin: "http://127.0.0.1:1/".to_owned() }
    }

    async fn body_of(answer: HttpResponse) -> String {
        let bytes = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    async fn mails_are_shown_as_text_with_their_button() {
        let body = body_of(show(web::Data::new(mailbox())).await.unwrap()).await;
        assert!(body.contains("&#60;b&#62;down") && body.contains("Critical: &#60;i&#62;"), "{body}");
        assert!(body.contains(r#"href="http://127.0.0.1:1/ack/x""#), "{body}");
    }

    #[test]
    async fn a_page_that_has_seen_everything_gets_nothing_new() {
        let mailbox = web::Data::new(mailbox());
        let ask = |seen| follow(mailbox.clone(), web::Query(Seen { seen }));
        assert_eq!(ask(Some(1)).await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(ask(Some(0)).await.unwrap().status(), StatusCode::OK);
        mailbox.inbox.say("the checkout is broken");
        assert!(body_of(ask(Some(1)).await.unwrap()).await.contains("the checkout is broken"));
    }
}
