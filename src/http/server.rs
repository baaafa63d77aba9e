//! Every route in one place, grouped by who calls it.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::{App, HttpServer, middleware, web};
use tokio_util::sync::CancellationToken;

use super::drain::{self, Door, Drain};
use super::ingest::{check_in, direct, envelope, sentry};
use super::{AppState, admin, api, hooks, own, ping, problem, push, request, services, status};

/// Longer than the 60 s for which proxies keep idle connections: else one of theirs dies under a request now and then.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Sockets that may wait for `accept` while the workers are busy or the process restarts.
const BACKLOG: u32 = 1024;

/// Serves at `door` until `stop`, then answers whoever is connected ([`drain`]).
pub fn run(
    state: web::Data<AppState>,
    door: Door,
    stop: CancellationToken,
) -> std::io::Result<impl Future<Output = std::io::Result<()>>> {
    let limits = state.config.limits;
    // actix counts the connections of each worker by itself.
    let connections_max = limits.connections_max.div_ceil(limits.http_threads);
    let stopping = web::Data::new(admin::live::Stopping(stop.clone()));
    let (drain, lock, drained) = (Drain::default(), door.lock()?, CancellationToken::new());
    let (connected, draining) = (drain.clone(), web::Data::new(drain.clone()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(stopping.clone())
            .app_data(draining.clone())
            .wrap(middleware::from_fn(admin::for_people))
            .wrap(safe_headers())
            .wrap(middleware::from_fn(request::identify))
            .wrap(middleware::from_fn(request::head_as_get))
            .wrap(middleware::from_fn(drain::tell_end))
            .configure(problem::parameters)
            .configure(machines)
            .configure(itself)
            .configure(api::routes)
            .configure(status::routes)
            .configure(admin::routes::routes)
    })
    .on_connect(move |_, connection| {
        connection.insert(connected.connection());
    })
    .workers(limits.http_threads)
    .max_connections(connections_max)
    .backlog(BACKLOG)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(limits.stop_timeout.as_secs())
    .shutdown_signal(drained.clone().cancelled_owned())
    .listen(door.listener)?
    .run();
    let handle = server.handle();
    Ok(async move {
        let stopping = async {
            stop.cancelled().await;
            drain.run(&handle, lock.as_ref()).await;
            drained.cancel();
        };
        tokio::pin!(server);
        tokio::select! {
            ended = &mut server => ended,
            () = stopping => server.await,
        }
    })
}

/// What a browser may do with our pages: load from here, send forms here, be framed nowhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// They stand on every answer.
pub fn safe_headers() -> middleware::DefaultHeaders {
    middleware::DefaultHeaders::new()
        .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), microphone=(), geolocation=()"))
}

/// SDKs and apps. Browsers ask before they send, and another method gets an answer in the words of the path.
fn machines(config: &mut web::ServiceConfig) {
    let preflight = || web::method(Method::OPTIONS).to(sentry::preflight);
    let of_sdks =
        |path| web::resource(path).default_service(web::to(sentry::wrong_method)).route(preflight());
    for path in ["/api/{project}/envelope", "/api/{project}/envelope/"] {
        config.service(of_sdks(path).route(web::post().to(envelope::envelope)));
    }
    for path in ["/api/{project}/store", "/api/{project}/store/"] {
        let resource = of_sdks(path).route(web::post().to(envelope::store_event));
        config.service(resource.route(web::get().to(envelope::store_pixel)));
    }
    for path in ["/api/{project}/cron/{slug}", "/api/{project}/cron/{slug}/"] {
        let resource = of_sdks(path).route(web::post().to(check_in::without_key));
        config.service(resource.route(web::get().to(check_in::without_key)));
    }
    for path in ["/api/{project}/cron/{slug}/{key}", "/api/{project}/cron/{slug}/{key}/"] {
        let resource = of_sdks(path).route(web::post().to(check_in::with_key));
        config.service(resource.route(web::get().to(check_in::with_key)));
    }
    let source = web::resource("/hooks/{key}").default_service(web::to(hooks::wrong_method));
    config.service(source.route(web::post().to(hooks::take)));
    config.service(web::resource("/ping/{tail:.*}").route(web::to(ping::take)));
    for path in ["/api/push/{token}", "/push/{token}"] {
        let resource = web::resource(path).default_service(web::to(push::wrong_method));
        let posted = resource.route(web::post().to(push::by_body));
        config.service(posted.route(web::get().to(push::by_address)));
    }
    let of_apps =
        |path| web::resource(path).default_service(web::to(direct::wrong_method)).route(preflight());
    config
        .service(of_apps("/api/v1/errors").route(web::post().to(direct::errors)))
        .service(of_apps("/api/v1/metrics").route(web::post().to(direct::metrics)))
        .service(of_apps("/api/v1/deploys").route(web::post().to(direct::deploys)));
}

/// systemd, probes, Prometheus.
fn itself(config: &mut web::ServiceConfig) {
    config
        .route("/api/ping", web::get().to(own::ping))
        .route("/api/health", web::get().to(services::overview))
        .route("/api/health/detailed", web::get().to(services::detailed))
        .route("/api/health/{service}", web::get().to(services::one))
        .route("/health/live", web::get().to(own::live))
        .route("/health/ready", web::get().to(own::ready))
        .route("/health/startup", web::get().to(own::ready))
        .route("/health", web::get().to(own::health))
        .route("/metrics", web::get().to(own::metrics))
        .route("/metrics/prometheus", web::get().to(own::metrics));
}
