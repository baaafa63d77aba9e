//! What a file of the configuration names: shown, and changed there.

use crate::http::Problem;
use crate::manifest;
use crate::store::ReadTx;

/// Says where a thing is changed; empty where that is the page. `section` as in files, `key` as in a plan.
pub(super) fn told(tx: &ReadTx<'_>, of_file: bool, section: &str, key: &str) -> Result<String, Problem> {
    if !of_file {
        return Ok(String::new());
    }
    let place =
        manifest::place(tx, section, key)?.unwrap_or_else(|| "a file of the configuration".to_owned());
    Ok(format!("{place} names this: change it there and run tocsin apply."))
}
