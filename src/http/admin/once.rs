//! What is shown once: a sign-in link or a token, just made. Only the answer to the form carries it.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use askama::Template;

use super::super::Problem;
use super::frame::{Frame, page};

/// The page after something secret was made.
#[derive(Template)]
#[template(path = "once.html", config = "src/http/admin/askama.toml")]
pub(super) struct OncePage {
    pub(super) frame: Frame,
    pub(super) title: String,
    /// What the secret is called: `Link`, `Token`.
    pub(super) what: &'static str,
    pub(super) secret: String,
    /// What it opens and how long, in sentences.
    pub(super) notes: Vec<String>,
    pub(super) back: String,
    pub(super) back_label: &'static str,
}

/// Shows it. No cache keeps the answer.
pub(super) fn show_once(shown: &OncePage) -> Result<HttpResponse, Problem> {
    let mut response = page(shown)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
