//! Which data folder and which file: chosen once, with the reason, before anything else is read.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::{Environment, Flags, Invalid, Problem};

/// The configuration of an installed tocsin.
pub const SYSTEM_FILE: &str = "/etc/tocsin/tocsin.toml";
/// A configuration is a page of text; more is a mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const FOLDER_DEFAULT: &str = "tocsin-data";

/// The data folder and why it is this one. Printed on stderr by every command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    pub path: PathBuf,
    pub reason: FolderReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderReason {
    /// `--data`
    Flag,
    /// `TOCSIN_DATA`
    Environment,
    /// `data` in this file.
    File(PathBuf),
    /// Nothing else was said: `./tocsin-data`.
    Default,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            FolderReason::Flag => write!(f, "{path} (--data)"),
            FolderReason::Environment => write!(f, "{path} (TOCSIN_DATA)"),
            FolderReason::File(file) => write!(f, "{path} (data in {})", file.display()),
            FolderReason::Default => write!(f, "{path} (the default; --data chooses another)"),
        }
    }
}

/// A file as read, and what must be known of it before the rest.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    data: Option<PathBuf>,
}

/// What is known before the data folder is looked into.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) folder: Folder,
    /// The file of `--config`, else the system's.
    file: Option<ConfigFile>,
    /// The file was named with `--config`.
    is_named: bool,
    pub(super) notes: Vec<String>,
}

/// Chooses the folder: `--data`, `TOCSIN_DATA`, the file's `data`, `./tocsin-data`. Reads nothing inside it.
///
/// # Errors
/// A file that was asked for or is needed for the choice cannot be read.
pub(super) fn choose(
    flags: &Flags,
    environment: &Environment,
    system_file: &Path,
) -> Result<Choice, Invalid> {
    let explicit = explicit_folder(flags, environment);
    if let Some(path) = &flags.config {
        let file = read(path)?.ok_or_else(|| Problem::new("--config", missing(path)))?;
        let folder = explicit.unwrap_or_else(|| folder_of(Some(&file)));
        return Ok(Choice { folder, file: Some(file), is_named: true, notes: Vec::new() });
    }
    let mut notes = Vec::new();
    let file = match read(system_file) {
        Ok(system) => system,
        // The folder is known without it; its owner will read it.
        Err(problem) if explicit.is_some() => {
            notes.push(format!("{problem}; it was not used"));
            None
        }
        Err(problem) => return Err(problem.into()),
    };
    let folder = explicit.unwrap_or_else(|| folder_of(file.as_ref()));
    Ok(Choice { folder, file, is_named: false, notes })
}

impl Choice {
    /// The one file that counts: `--config`, else `tocsin.toml` in the folder, else the system's unless that one
    /// is about another folder.
    pub(super) fn settle_file(&mut self) -> Result<Option<ConfigFile>, Invalid> {
        if self.is_named {
            return Ok(self.file.take());
        }
        if let Some(own) = read(&self.folder.path.join("tocsin.toml"))? {
            return Ok(Some(own));
        }
        let Some(system) = self.file.take() else { return Ok(None) };
        if system.data.as_ref().is_none_or(|data| same_folder(data, &self.folder.path)) {
            return Ok(Some(system));
        }
        let shown = system.path.display();
        self.notes.push(format!("{shown} is about another data folder; it was not used"));
        Ok(None)
    }
}

fn explicit_folder(flags: &Flags, environment: &Environment) -> Option<Folder> {
    if let Some(path) = &flags.data {
        return Some(Folder { path: path.clone(), reason: FolderReason::Flag });
    }
    let path = environment.get("TOCSIN_DATA").filter(|path| !path.is_empty())?;
    Some(Folder { path: PathBuf::from(path), reason: FolderReason::Environment })
}

fn folder_of(file: Option<&ConfigFile>) -> Folder {
    let named = file.and_then(|file| Some((file.data.clone()?, file.path.clone())));
    match named {
        Some((path, file)) => Folder { path, reason: FolderReason::File(file) },
        None => Folder { path: PathBuf::from(FOLDER_DEFAULT), reason: FolderReason::Default },
    }
}

fn same_folder(left: &Path, right: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(left) == real(right)
}

fn missing(path: &Path) -> String {
    format!("there is no file {}", path.display())
}

/// `None` where there is no such file.
fn read(path: &Path) -> Result<Option<ConfigFile>, Problem> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| {
        let cure = match error.kind() {
            ErrorKind::PermissionDenied => "; the data folder's owner must be able to read it",
            _ => "",
        };
        Problem::new(shown.clone(), format!("cannot be read: {error}{cure}"))
    };
    let bytes = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if bytes > FILE_BYTES_MAX {
        return Err(Problem::new(shown, format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    // What is wrong with the file is told when it is read as a whole.
    let data = DeTable::parse(&text)
        .ok()
        .and_then(|table| table.get_ref().get("data")?.get_ref().as_str().map(PathBuf::from));
    Ok(Some(ConfigFile { path: path.to_owned(), text, data }))
}
