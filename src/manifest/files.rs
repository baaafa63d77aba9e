//! The files as they lie on the disk, and the secrets that they name. Read by the command line, under its own rights.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::problem::Problem;
use super::tree::{Manifest, is_reference};
use crate::base::Secret;
use crate::config::{Environment, Reference};

/// Every file with the secrets that they name. Crosses the control socket.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub files: Vec<Source>,
    /// By their references, such as `file:/etc/tocsin/token`.
    #[serde(serialize_with = "exposed")]
    pub secrets: BTreeMap<String, Secret>,
    /// Why the others cannot be read, by their references.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// As a person finds it.
    pub name: String,
    pub text: String,
}

/// All files together: 10,000 probes take some megabytes.
pub const BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A folder with more is not the one that was meant.
const FILES_MAX: usize = 1000;
/// More secrets than things to watch.
const SECRETS_MAX: usize = 20_000;

/// Reads a file, or every `*.toml` of a folder in the order of their names, and the secrets that they name.
///
/// # Errors
/// Every file that cannot be read. What is wrong with what was read is told by whoever knows what is stored.
pub fn read(path: &Path, environment: &Environment) -> Result<Document, Vec<Problem>> {
    let mut document = Document { files: read_files(path)?, ..Document::default() };
    let (manifest, _) = Manifest::read(&document);
    for (place, reference) in manifest.references() {
        if document.secrets.contains_key(reference) || document.unread.contains_key(reference) {
            continue;
        }
        if document.secrets.len() + document.unread.len() >= SECRETS_MAX {
            return Err(vec![Problem::new(place, format!("at most {SECRETS_MAX} secrets"))]);
        }
        match resolve(reference, environment) {
            Ok(secret) => drop(document.secrets.insert(reference.to_owned(), Secret::new(secret))),
            Err(why) => drop(document.unread.insert(reference.to_owned(), why)),
        }
    }
    Ok(document)
}

fn read_files(path: &Path) -> Result<Vec<Source>, Vec<Problem>> {
    let refuse = |path: &Path, text: String| vec![Problem::new(path.display(), text)];
    let paths = list(path).map_err(|error| refuse(path, unreadable(&error)))?;
    if paths.is_empty() {
        return Err(refuse(path, "holds no file that ends in .toml".to_owned()));
    }
    if paths.len() > FILES_MAX {
        return Err(refuse(path, format!("holds more than {FILES_MAX} files: is it the right folder?")));
    }
    let (mut files, mut problems, mut left) = (Vec::new(), Vec::new(), BYTES_MAX);
    for path in paths {
        let mut text = String::new();
        // One byte more than allowed tells that there is too much.
        let opened = fs::File::open(&path).and_then(|file| file.take(left + 1).read_to_string(&mut text));
        match opened.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX)) {
            Ok(bytes) if bytes > left => {
                let text = format!("the files hold more than {} MiB together", BYTES_MAX >> 20);
                return Err(refuse(&path, text));
            }
            Ok(bytes) => {
                left -= bytes;
                files.push(Source { name: path.display().to_string(), text });
            }
            Err(error) => problems.push(Problem::new(path.display(), unreadable(&error))),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// The file itself, or what a folder holds, hidden files left out.
fn list(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path)?.take(FILES_MAX * 10) {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|ending| ending == "toml") && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "cannot be read by the owner of the data folder, as whom tocsin works: let that user read it"
                .to_owned()
        }
        std::io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

fn resolve(reference: &str, environment: &Environment) -> Result<String, String> {
    if let Some(name) = reference.strip_prefix("env:") {
        let set = environment.get(name).filter(|text| !text.is_empty());
        return set.cloned().ok_or_else(|| format!("the variable {name} is not set"));
    }
    debug_assert!(is_reference(reference), "only references are looked up");
    Reference::parse(reference).ok_or("is no reference")?.read(environment)
}

/// Secrets cross the socket: it stays between two processes of the same owner.
fn exposed<S: Serializer>(secrets: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(secrets.iter().map(|(reference, secret)| (reference, secret.expose())))
}
