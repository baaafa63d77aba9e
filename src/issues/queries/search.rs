//! The search line: `is:unresolved environment:production payment failed`.

use super::super::{Level, rows::Status};

/// What a search line asks for. Words that are no known filter are looked for in title and culprit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    pub status: Option<Status>,
    pub environment: Option<String>,
    pub release: Option<String>,
    pub level: Option<Level>,
    pub text: String,
    /// The first word that looks like a filter and is none. It stays in the text.
    pub unknown: Option<String>,
}

/// What a search line may ask for, for people.
pub const FILTERS_KNOWN: &str = "is: (unresolved, resolved, ignored), environment:, release:, level: (fatal, error, warning, info, debug)";

/// A search line is typed by a person.
const SEARCH_CHARS_MAX: usize = 200;

impl Search {
    pub fn parse(line: &str) -> Self {
        let mut search = Self::default();
        let mut words = Vec::new();
        let line: String = line.chars().take(SEARCH_CHARS_MAX).collect();
        for word in line.split_whitespace() {
            let known = match word.split_once(':') {
                Some(("is" | "status", name)) => {
                    Status::parse(name).map(|status| search.status = Some(status)).is_some()
                }
                Some(("environment" | "env", name)) if !name.is_empty() => {
                    search.environment = Some(name.to_owned());
                    true
                }
                Some(("release", name)) if !name.is_empty() => {
                    search.release = Some(name.to_owned());
                    true
                }
                Some(("level", name)) => Level::parse(name).map(|level| search.level = Some(level)).is_some(),
                Some(_) | None => false,
            };
            if !known {
                if search.unknown.is_none() && looks_like_filter(word) {
                    search.unknown = Some(word.to_owned());
                }
                words.push(word);
            }
        }
        search.text = words.join(" ");
        search
    }
}

/// Whether a word was meant as a filter: one of the names that are known, or `foo:bar`. `TypeError:`, `a::b`,
/// `host:8080` and `https://…` are text.
fn looks_like_filter(word: &str) -> bool {
    let Some((name, value)) = word.split_once(':') else { return false };
    let known = ["is", "status", "environment", "env", "release", "level"].contains(&name);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
    known || (is_name && value.starts_with(char::is_alphabetic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_taken_out_and_the_rest_is_text() {
        let search = Search::parse("is:resolved  env:staging payment failed: 50%");
        assert_eq!(search.status, Some(Status::Resolved));
        assert_eq!(search.environment.as_deref(), Some("staging"));
        assert_eq!(search.text, "payment failed: 50%");
    }

    #[test]
    fn what_looks_like_a_filter_but_is_none_stays_text() {
        assert_eq!(Search::parse("TypeError: is:odd level:9x").text, "TypeError: is:odd level:9x");
        assert_eq!(Search::parse("").text, "");
    }

    #[test]
    fn a_filter_that_is_none_is_named() {
        for word in ["is:foo", "foo:bar", "level:", "env:", "status:open"] {
            assert_eq!(Search::parse(&format!("paid {word}")).unknown.as_deref(), Some(word));
        }
        for word in
            ["TypeError:", "failed:", "a::b", "localhost:8080", "https://a.example", "is:ignored", "12:30"]
        {
            assert_eq!(Search::parse(word).unknown, None, "{word}");
        }
    }
}
