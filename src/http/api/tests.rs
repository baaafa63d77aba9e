use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{openapi, table};
use crate::probes::{Kind, Target};

/// Answered by the intake, described here because people look for them under the same prefix.
const INTAKE: [(&str, &str); 3] = [("/errors", "post"), ("/metrics", "post"), ("/deploys", "post")];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(openapi::DOCUMENT).unwrap()
}

#[test]
fn the_document_describes_exactly_the_routes_that_exist() {
    let document = document();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            let methods = METHODS.into_iter().filter(|method| item.get(*method).is_some());
            methods.map(|method| (path.clone(), method.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    let mut answered: BTreeSet<(String, String)> = table()
        .into_iter()
        .flat_map(|(path, methods)| {
            methods.into_iter().map(move |(method, _)| (path.to_owned(), method.to_owned()))
        })
        .collect();
    answered.extend(INTAKE.map(|(path, method)| (path.to_owned(), method.to_owned())));
    assert_eq!(described, answered);
}

#[test]
fn every_part_of_a_path_is_described_and_every_reference_leads_somewhere() {
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            for operation in METHODS.into_iter().filter_map(|method| item.get(method)) {
                let parameters = operation["parameters"].as_array().unwrap();
                assert!(
                    parameters.iter().any(|known| known["name"] == name && known["in"] == "path"),
                    "{path}"
                );
            }
        }
    }
    let mut left = vec![&document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                left.extend(members.values());
            }
            Value::Array(items) => left.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[test]
fn a_refusal_names_no_type_of_ours() {
    let said =
        "Json deserialize error: invalid type: integer `1`, expected struct NewSilence at line 1 column 1";
    let expected =
        "The body cannot be taken: invalid type: integer `1`, expected a JSON object at line 1 column 1";
    assert_eq!(super::in_our_words(said), expected);
    assert_eq!(super::in_our_words("missing field `reason`"), "missing field `reason`");
}

#[test]
fn every_key_of_every_target_is_described() {
    let document = document();
    let variants = document["components"]["schemas"]["ProbeTarget"]["oneOf"].as_array().unwrap();
    assert_eq!(variants.len(), Kind::ALL.len());
    for (variant, kind) in variants.iter().zip(Kind::ALL) {
        let described = variant["properties"].as_object().unwrap();
        assert_eq!(described["kind"]["const"], kind.as_str());
        let wrong = json!({"kind": kind, "\0": 0});
        let error = serde_json::from_value::<Target>(wrong).unwrap_err().to_string();
        let known: BTreeSet<&str> = error.split('`').skip(3).step_by(2).collect();
        let described: BTreeSet<&str> =
            described.keys().map(String::as_str).filter(|name| *name != "kind").collect();
        assert_eq!(described, known, "{kind:?}");
    }
}
