//! How refusals look to people: a page instead of JSON, and the sign-in page instead of 401.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, LOCATION};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::auth::SignedIn;
use super::super::request::RequestId;
use super::super::{AppState, Problem};
use super::frame::{Frame, Place, page_with};

/// As a stranger sees it.
#[derive(Template)]
#[template(path = "problem_plain.html", config = "src/http/admin/askama.toml")]
struct PlainPage {
    said: Said,
}

/// As somebody who is signed in sees it: with the way on.
#[derive(Template)]
#[template(path = "problem.html", config = "src/http/admin/askama.toml")]
struct ProblemPage {
    frame: Frame,
    said: Said,
}

struct Said {
    title: &'static str,
    detail: String,
    request_id: String,
    /// Where another try may help.
    again: bool,
}

/// Turns refusals into pages where a browser navigates. Machines, and scripts of our pages, get them as they are.
pub async fn for_people(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let navigates = is_navigation(&request);
    let is_read = request.method() == Method::GET;
    let here = request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if !navigates || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    // A page that speaks for itself, such as a refused form, stands.
    if problem.is_none() && status != StatusCode::NOT_FOUND {
        return Ok(response);
    }
    let page = match status {
        StatusCode::UNAUTHORIZED if is_read => Ok(to_sign_in(&here)),
        StatusCode::UNAUTHORIZED => Ok(to_sign_in("/")),
        _ => {
            let frame = frame_of(response.request()).await;
            show(problem, status, request_id(&response), frame)
        }
    };
    let page = page.unwrap_or_else(|problem| problem.response(None));
    Ok(response.into_response(page.map_into_boxed_body()))
}

/// Whether somebody looks at the answer. The machine faces stay what they are in every client.
fn is_navigation(request: &ServiceRequest) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    let is_machines = ["/api/", "/ping/", "/static/", "/metrics", "/health"];
    accepts.is_some_and(|accepts| accepts.contains("text/html"))
        && !request.headers().contains_key("hx-request")
        && !is_machines.iter().any(|path| request.path().starts_with(path))
}

fn to_sign_in(next: &str) -> HttpResponse {
    let place = match next {
        "/" => "/sign-in".to_owned(),
        next => format!("/sign-in?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
    };
    HttpResponse::SeeOther().insert_header((LOCATION, place)).finish()
}

/// The navigation; `None` for strangers, and where it cannot be read either.
async fn frame_of(request: &HttpRequest) -> Option<Frame> {
    let state = request.app_data::<web::Data<AppState>>()?.clone();
    let signed_in = SignedIn::extract(request).await.ok()?;
    state.store.read(move |tx| Frame::load(tx, &signed_in, Place::Elsewhere)).await.ok()
}

fn show(
    problem: Option<&Problem>,
    status: StatusCode,
    request_id: String,
    frame: Option<Frame>,
) -> Result<HttpResponse, Problem> {
    let title = match status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::FORBIDDEN => "Not yours to do",
        StatusCode::TOO_MANY_REQUESTS => "Too often",
        StatusCode::CONFLICT => "Not now",
        status if status.is_server_error() => "Something went wrong",
        _ => "That cannot be done",
    };
    let detail = problem.map_or("There is no such page.", |problem| &problem.detail).to_owned();
    let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let said = Said { title, detail, request_id, again };
    let mut page = match frame {
        Some(frame) => page_with(status, &ProblemPage { frame, said })?,
        None => page_with(status, &PlainPage { said })?,
    };
    for (name, value) in problem.map_or(&[][..], |problem| &problem.headers) {
        page.headers_mut().insert(name.clone(), value.clone());
    }
    Ok(page)
}

fn request_id(response: &ServiceResponse<BoxBody>) -> String {
    response.request().extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::middleware::from_fn;
    use actix_web::{App, test, web};

    use super::*;

    async fn answer(uri: &str, accept: &str) -> ServiceResponse<impl MessageBody> {
        let refuse = |problem: fn() -> Problem| {
            web::get().to(move || std::future::ready(Err::<HttpResponse, _>(problem())))
        };
        let app = test::init_service(
            App::new()
                .wrap(from_fn(for_people))
                .route("/issues", refuse(|| Problem::unauthorized("Sign in first.")))
                .route("/gone", refuse(|| Problem::not_found("issue")))
                .route("/api/v1/gone", refuse(|| Problem::not_found("issue"))),
        )
        .await;
        test::call_service(
            &app,
            test::TestRequest::get().uri(uri).insert_header((ACCEPT, accept)).to_request(),
        )
        .await
    }

    #[actix_web::test]
    async fn a_stranger_is_shown_the_sign_in_page_and_comes_back() {
        let refused = answer("/issues?query=a%20b", "text/html,*/*").await;
        assert_eq!(refused.status(), StatusCode::SEE_OTHER);
        assert_eq!(refused.headers().get(LOCATION).unwrap(), "/sign-in?next=%2Fissues%3Fquery%3Da%2520b");
    }

    #[actix_web::test]
    async fn people_get_pages_and_machines_get_problems() {
        let table = [
            ("/gone", "text/html", "text/html; charset=utf-8"),
            ("/nowhere", "text/html", "text/html; charset=utf-8"),
            ("/gone", "*/*", "application/problem+json"),
            ("/api/v1/gone", "text/html", "application/problem+json"),
        ];
        for (uri, accept, content_type) in table {
            let response = answer(uri, accept).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{uri}");
            assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), content_type, "{uri} {accept}");
        }
    }
}
