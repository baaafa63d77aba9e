//! What may stand behind the `?` of a question: for every `GET` the keys that `openapi.json` describes, and no other.
//!
//! A key that nobody reads would narrow nothing, and `?projekt=shop` would answer everything as if it were of that
//! project.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Error, Route, web};
use serde::Deserialize;

use super::openapi::DOCUMENT;
use crate::base::nearest::nearest;
use crate::base::text::clip;
use crate::http::Problem;

/// What a refusal shows of a key.
const SHOWN_CHARS_MAX: usize = 60;

/// The keys of every path that answers to `GET`.
static KNOWN: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(described);

/// `route`, which answers to `GET` at `path`, for those questions alone whose keys it knows.
pub(super) fn checked(path: &'static str, route: Route) -> Route {
    route.wrap(from_fn(move |request, next| check(path, request, next)))
}

async fn check(
    path: &'static str,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    match refuse_unknown(request.query_string(), KNOWN.get(path).map_or(&[], Vec::as_slice)) {
        // As an answer, for whoever stands around this one to name the request in it.
        Err(problem) => Ok(request.error_response(problem)),
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

fn refuse_unknown(query: &str, known: &[String]) -> Result<(), Problem> {
    // What is no query at all is told by whoever reads it.
    let Ok(asked) = web::Query::<Vec<(String, String)>>::from_query(query) else { return Ok(()) };
    match asked.iter().find(|(key, _)| !known.contains(key)) {
        Some((key, _)) => Err(Problem::bad_request(told(key, known))),
        None => Ok(()),
    }
}

fn told(key: &str, known: &[String]) -> String {
    let shown = clip(key, SHOWN_CHARS_MAX);
    if known.is_empty() {
        return format!("`{shown}` is not asked for here: leave out everything from the `?` on.");
    }
    let hint = nearest(key, known.iter().map(String::as_str))
        .map_or_else(|| ".".to_owned(), |near| format!("; did you mean `{near}`?"));
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    format!("`{shown}` is not asked for here{hint} Known: {}.", known.join(", "))
}

/// Of the document as much as says which keys there are.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, Item>,
    components: Components,
}

#[derive(Deserialize)]
struct Item {
    get: Option<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Parameter {
    Elsewhere {
        #[serde(rename = "$ref")]
        reference: String,
    },
    Here(Described),
}

#[derive(Deserialize)]
struct Components {
    parameters: BTreeMap<String, Described>,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    #[serde(rename = "in")]
    place: String,
}

/// Empty where the document is not what it should be, which a test rules out.
fn described() -> BTreeMap<String, Vec<String>> {
    let Ok(Document { paths, components }) = serde_json::from_str(DOCUMENT) else { return BTreeMap::new() };
    let found = |parameter: &Parameter| -> Option<String> {
        let described = match parameter {
            Parameter::Elsewhere { reference } => components.parameters.get(reference.rsplit('/').next()?)?,
            Parameter::Here(described) => described,
        };
        (described.place == "query").then(|| described.name.clone())
    };
    let keys = |operation: &Operation| operation.parameters.iter().filter_map(found).collect();
    let read = |(path, item): (String, Item)| Some((path, keys(&item.get?)));
    paths.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn the_keys_of_every_path_are_read_from_the_document() {
        let read =
            table().into_iter().filter(|(_, methods)| methods.iter().any(|(method, _)| *method == "get"));
        for (path, _) in read {
            assert!(KNOWN.contains_key(path), "{path}");
        }
        assert_eq!(
            KNOWN["/incidents"],
            ["project", "state", "limit", "cursor"],
            "described here and elsewhere"
        );
        assert_eq!(KNOWN["/incidents/{id}"], [] as [&str; 0], "a part of the path is no key");
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_the_one_that_was_meant() {
        let known = ["project", "limit"].map(str::to_owned);
        for (query, says) in [
            ("", None),
            ("limit=5&project=shop", None),
            (
                "limit=5&projekt=shop",
                Some("`projekt` is not asked for here; did you mean `project`? Known: `project`, `limit`."),
            ),
            ("whatever", Some("`whatever` is not asked for here. Known: `project`, `limit`.")),
            ("pro%6Aect=shop", None),
            ("%00=1", Some("`\0` is not asked for here. Known: `project`, `limit`.")),
        ] {
            let refused = refuse_unknown(query, &known).err().map(|problem| problem.detail);
            assert_eq!(refused.as_deref(), says, "{query}");
        }
        let refused = refuse_unknown("a=1", &[]).unwrap_err();
        assert_eq!(refused.detail, "`a` is not asked for here: leave out everything from the `?` on.");
        let long = "x".repeat(5_000);
        assert!(refuse_unknown(&long, &known).unwrap_err().detail.chars().count() < 150);
    }
}
