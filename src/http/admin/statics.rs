//! The files that pages load: style, scripts, icon. They live in the binary.

use std::fmt::Write as _;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::super::Problem;

/// The folder `static`, at compile time in releases, read from disk in development.
#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A year, the longest that caches promise: the address changes with the content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Asked under an address that does not name this content: ask again each time.
const ASK_AGAIN: &str = "no-cache";
/// Digits of the content's SHA-256 that stand in its address.
const MARK_BYTES: usize = 8;

/// The address of a file of `static/`, such as `app.css`; it names the content, so that caches keep it for good.
pub fn url(path: &str) -> String {
    let mark = Files::get(path).map_or_else(String::new, |file| mark(&file));
    format!("/static/{path}?v={mark}")
}

/// The text of a file of `static/`; empty where there is none.
pub(super) fn text(path: &str) -> String {
    Files::get(path).map_or_else(String::new, |file| String::from_utf8_lossy(&file.data).into_owned())
}

/// `GET /static/{path}`.
pub async fn file(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = Files::get(&path).ok_or_else(|| Problem::not_found("file"))?;
    let mark = mark(&file);
    let etag = format!("\"{mark}\"");
    let is_named = request.query_string().strip_prefix("v=") == Some(&mark);
    let cache = if is_named { FOREVER } else { ASK_AGAIN };
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.contains(&etag)) {
        return Ok(HttpResponse::NotModified()
            .insert_header((ETAG, etag))
            .insert_header((CACHE_CONTROL, cache))
            .finish());
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type(&path)))
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, cache))
        .body(file.data.into_owned()))
}

fn mark(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    hash.iter().take(MARK_BYTES).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// By the name's end. A general table would call `.ts` a video.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, end)| end) {
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "ts" | "py" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::{App, test};

    use super::*;

    async fn answer(uri: &str, known: Option<&str>) -> actix_web::dev::ServiceResponse {
        let app = test::init_service(App::new().route("/static/{path:.*}", web::get().to(file))).await;
        let mut request = test::TestRequest::get().uri(uri);
        if let Some(known) = known {
            request = request.insert_header((IF_NONE_MATCH, known));
        }
        test::call_service(&app, request.to_request()).await
    }

    #[actix_web::test]
    async fn a_file_is_kept_for_good_under_the_address_that_names_its_content() {
        let named = answer(&url("app.css"), None).await;
        assert_eq!(named.status(), StatusCode::OK);
        assert_eq!(named.headers().get(CACHE_CONTROL).unwrap(), FOREVER);
        assert_eq!(named.headers().get(CONTENT_TYPE).unwrap(), "text/css; charset=utf-8");
        let unnamed = answer("/static/app.css?v=0", None).await;
        assert_eq!(unnamed.headers().get(CACHE_CONTROL).unwrap(), ASK_AGAIN);
        let etag = unnamed.headers().get(ETAG).unwrap().to_str().unwrap().to_owned();
        assert_eq!(answer("/static/app.css", Some(&etag)).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[actix_web::test]
    async fn nothing_outside_the_folder_is_served() {
        for uri in ["/static/../Cargo.toml", "/static/%2e%2e/Cargo.toml", "/static/none.css"] {
            assert_eq!(answer(uri, None).await.status(), StatusCode::NOT_FOUND, "{uri}");
        }
    }
}
