//! What strangers see: the status page, its feed, its machine-readable forms and badges.
//!
//! Everything is rendered by the task `status_page.render` and lies in memory: a flood of strangers costs no query. While
//! the page is off, nothing is there, and every address answers as one that never was.

mod facts;

mod badge;
mod feeds;
mod page;
mod words;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest as _, Sha256};

pub use facts::{Inputs, Shown};

use super::AppState;

/// The task that renders.
pub const RENDER_TASK: &str = "status_page.render";

/// Everything that strangers can get, by its address. Cheap to clone; clones share one.
#[derive(Clone, Default)]
pub struct StatusCache(Arc<RwLock<Arc<Documents>>>);

type Documents = HashMap<String, Document>;

/// One answer, ready to be sent.
pub(super) struct Document {
    content_type: &'static str,
    body: web::Bytes,
    etag: String,
    cache: &'static str,
}

const PAGE_CACHE: &str = "public, max-age=30";
const BADGE_CACHE: &str = "public, max-age=60";
/// Digits of the content's SHA-256 in its mark.
const MARK_BYTES: usize = 8;

impl StatusCache {
    /// Renders everything anew; `None`: the page is off.
    ///
    /// # Errors
    /// Where a template cannot be rendered; then what was there stays.
    pub fn render(&self, inputs: Option<&Inputs>) -> Result<(), askama::Error> {
        let mut documents = Documents::new();
        if let Some(inputs) = inputs {
            let facts = inputs.facts();
            page::render(&facts, &mut documents)?;
            feeds::render(&facts, &mut documents);
            badge::render(&facts, &mut documents);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(documents);
        Ok(())
    }

    fn get(&self) -> Arc<Documents> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Document {
    fn page(content_type: &'static str, body: String) -> Self {
        Self::new(content_type, body, PAGE_CACHE)
    }

    fn badge(content_type: &'static str, body: String) -> Self {
        Self::new(content_type, body, BADGE_CACHE)
    }

    fn new(content_type: &'static str, body: String, cache: &'static str) -> Self {
        let mark =
            Sha256::digest(body.as_bytes()).iter().take(MARK_BYTES).fold(String::new(), |mut text, byte| {
                // Writing to a String cannot fail.
                write!(text, "{byte:02x}").unwrap_or_default();
                text
            });
        Self { content_type, body: body.into(), etag: format!("\"{mark}\""), cache }
    }
}

/// The addresses of strangers.
pub fn routes(config: &mut web::ServiceConfig) {
    for path in ["/status", "/status/{rest:.*}", "/badge/{badge}"] {
        config.route(path, web::get().to(serve));
    }
}

/// Any of the addresses: from memory.
async fn serve(request: HttpRequest, state: web::Data<AppState>) -> HttpResponse {
    let documents = state.status.get();
    let Some(document) = find(&documents, &request) else { return HttpResponse::NotFound().finish() };
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.contains(&document.etag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((ETAG, document.etag.clone())).insert_header((CACHE_CONTROL, document.cache));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, document.content_type)).body(document.body.clone())
}

/// A badge may be asked for in several kinds; all other questions behind an address are none.
fn find<'d>(documents: &'d Documents, request: &HttpRequest) -> Option<&'d Document> {
    let path = request.path().trim_end_matches('/');
    let kind = request.query_string().split('&').find_map(|pair| pair.strip_prefix("show="));
    match kind {
        Some(kind) if path.starts_with("/badge/") => documents.get(&format!("{path}?show={kind}")),
        Some(_) | None => documents.get(path),
    }
}
