//! Targets that are a connection and a dialogue.

use super::{host, port, refused};
use crate::probes::definition::Invalid;
use crate::probes::secrets::with_stand_ins;
use crate::probes::target::{TURNS_MAX, Tcp, bytes_of};

/// Of each `send` and `expect`.
const TURN_BYTES_MAX: usize = 4 * 1024;

pub(super) fn check(target: &Tcp) -> Result<(), Invalid> {
    host("host", &with_stand_ins(&target.host))?;
    port("port", target.port)?;
    if target.dialogue.len() > TURNS_MAX {
        return Err(refused("dialogue", format!("use at most {TURNS_MAX} turns")));
    }
    for (at, turn) in target.dialogue.iter().enumerate() {
        let turn_refused = |reason: &str| refused("dialogue", format!("turn {}: {reason}", at + 1));
        let texts = [turn.send.as_deref(), turn.expect.as_deref()];
        if texts.iter().all(Option::is_none) {
            return Err(turn_refused("say what is sent (`send`) or what must come (`expect`)"));
        }
        for text in texts.into_iter().flatten() {
            if text.is_empty() {
                return Err(turn_refused("an empty text says nothing: take it out"));
            }
            if text.len() > TURN_BYTES_MAX {
                return Err(turn_refused("use at most 4 KiB"));
            }
            bytes_of(text).map_err(|bad| turn_refused(&bad.to_string()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(field: &str, value: Value) -> Option<String> {
        let mut target = json!({"host": "db.example.com", "port": 25});
        target[field] = value;
        check(&serde_json::from_value(target).unwrap()).err().map(|invalid| invalid.to_string())
    }

    #[test]
    fn a_dialogue_is_checked_turn_by_turn() {
        assert_eq!(
            said("dialogue", json!([{"expect": "220 "}, {"send": "QUIT\\r\\n", "expect": "221"}])),
            None
        );
        let cases = [
            ("host", json!(""), "host: write a name"),
            ("host", json!("tcp://x"), "host: write the name alone"),
            ("host", json!("a b"), "host: “a b” is no name"),
            ("port", json!(0), "port: use a port"),
            ("dialogue", json!([{}]), "dialogue: turn 1: say what"),
            ("dialogue", json!([{"send": "a"}, {"expect": ""}]), "dialogue: turn 2: an empty text"),
            ("dialogue", json!([{"send": "\\q"}]), "dialogue: turn 1: “\\q” is no escape"),
            ("dialogue", json!(vec![json!({"send": "a"}); 17]), "dialogue: use at most 16"),
            ("dialogue", json!([{"send": "a".repeat(5000)}]), "dialogue: turn 1: use at most 4 KiB"),
        ];
        for (field, value, says) in cases {
            let told = said(field, value.clone()).unwrap_or_else(|| panic!("{value} was taken"));
            assert!(told.starts_with(says), "{value}: {told}");
        }
    }
}
