//! Which keys a silence or planned work names: one with what hangs on it, or all that begin alike.

use super::Error;

/// Longer than any key that incidents have.
const KEY_BYTES_MAX: usize = 200;

/// Whether what is named covers a key: the key itself, what hangs on it (`heartbeat:7` names `heartbeat:7:odd`), or what
/// begins as it does, where it ends in `*`.
pub(super) fn names(named: &str, key: &str) -> bool {
    match (named.strip_suffix('*'), key.strip_prefix(named)) {
        (Some(beginning), _) => key.starts_with(beginning),
        (None, Some(rest)) => rest.is_empty() || rest.starts_with(':'),
        (None, None) => false,
    }
}

/// As [`names`], of two columns; a key that is `NULL` names every one.
pub(super) fn sql_names(named: &str, key: &str) -> String {
    format!(
        "({named} IS NULL OR {named} = {key} OR substr({key}, 1, length({named}) + 1) = {named} || ':'
          OR (substr({named}, -1) = '*'
              AND substr({key}, 1, length({named}) - 1) = substr({named}, 1, length({named}) - 1)))"
    )
}

/// What is named is a key of an incident, or the beginning of some.
pub(super) fn check_key(key: Option<&str>) -> Result<(), Error> {
    let Some(key) = key else { return Ok(()) };
    let stem = key.strip_suffix('*').unwrap_or(key);
    if key.is_empty() || stem.contains('*') {
        return Err(Error::Invalid("the key is that of an incident, such as rate:1, or the beginning of some and then *, such as issue:1:*; leave it out \
             to silence every key"
                .to_owned()));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "the key is too long: those of incidents have at most {KEY_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_itself_by_what_it_hangs_on_and_by_its_beginning() {
        for (named, key, expected) in [
            ("probe:7", "probe:7", true),
            ("probe:7", "probe:77", false),
            ("heartbeat:7", "heartbeat:7:odd", true),
            ("heartbeat:7:odd", "heartbeat:7", false),
            ("issue:1:*", "issue:1:4", true),
            ("issue:1:*", "issue:11:4", false),
            ("*", "rate:1", true),
        ] {
            assert_eq!(names(named, key), expected, "{named} {key}");
        }
    }
}
