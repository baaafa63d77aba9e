//! What `serve` says on a terminal. Holds a link that lets its reader in: never for a log.

use crate::accounts::links;
use crate::app::FirstWords;
use crate::base::Secret;
use crate::config::BaseUrl;

/// The way in, the DSN, a ready request, and what is still missing.
pub(super) fn welcome(base_url: &BaseUrl, words: &FirstWords) -> String {
    let FirstWords { link, project, dsn, public_key, channels_ready } = words;
    let sign_in = match link {
        Some(token) => sign_in(base_url, token),
        None => format!("  Sign in: {base_url}/ (a new link: tocsin user link EMAIL)\n"),
    };
    let mut text = format!(
        "\ntocsin {version} listens at {base_url}\n\n{sign_in}\n  The DSN of project {project}:\n    {dsn}\n\n  \
         A first error:\n    curl '{base_url}/api/v1/errors?sentry_key={public_key}' \\\n      \
         -H 'Content-Type: application/json' -d '{{\"error_type\":\"TestError\",\"message\":\"Hello, tocsin\"}}'\n",
        version = env!("CARGO_PKG_VERSION"),
    );
    let missing = missing(base_url, *channels_ready);
    if !missing.is_empty() {
        text.push_str("\n  Still missing:\n");
        for line in missing {
            text.push_str("    - ");
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn sign_in(base_url: &BaseUrl, token: &Secret) -> String {
    format!("  Sign in with this link; it works once, for one hour:\n    {base_url}{}\n", links::path(token))
}

fn missing(base_url: &BaseUrl, channels_ready: usize) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if channels_ready == 0 {
        missing.push(
            "Nobody can be rung yet: add a channel on the page Channels, or set TOCSIN_SMTP__HOST, TOCSIN_SMTP__FROM \
             and TOCSIN_ALERTS__EMAIL, or TOCSIN_ALERTS__SLACK_WEBHOOK_URL; then `tocsin send-test`",
        );
    }
    if base_url.is_loopback() {
        missing.push(
            "Only this machine can reach me: put a proxy in front, or set TOCSIN_LISTEN, and set TOCSIN_BASE_URL",
        );
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(link: Option<&str>, channels_ready: usize) -> FirstWords {
        FirstWords {
            link: link.map(Secret::new),
            project: "default".to_owned(),
            dsn: "http://0123@127.0.0.1:8787/1".to_owned(),
            public_key: "0123".to_owned(),
            channels_ready,
        }
    }

    #[test]
    fn a_first_start_says_everything_that_is_needed() {
        let base_url = BaseUrl::parse("http://127.0.0.1:8787").unwrap();
        let text = welcome(&base_url, &words(Some("token"), 0));
        for needed in [
            "http://127.0.0.1:8787/sign-in/token\n",
            "http://0123@127.0.0.1:8787/1\n",
            "curl 'http://127.0.0.1:8787/api/v1/errors?sentry_key=0123'",
            "Nobody can be rung yet",
            "Only this machine can reach me",
        ] {
            assert!(text.contains(needed), "{needed:?} is missing:\n{text}");
        }
    }

    #[test]
    fn a_server_that_is_set_up_misses_nothing_and_gives_no_link() {
        let base_url = BaseUrl::parse("https://tocsin.example.com").unwrap();
        let text = welcome(&base_url, &words(None, 2));
        assert!(!text.contains("missing") && !text.contains("/sign-in/"), "{text}");
        assert!(text.contains("tocsin user link"));
    }
}
