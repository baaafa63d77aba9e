//! Secrets by reference: `file:PATH` and `cred:NAME`, so that no secret need stand in a file or an environment.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::Environment;

/// A private key is a few kB; nothing that is larger is a secret of ours.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret's text is to be found.
#[derive(Debug, PartialEq, Eq)]
pub enum Reference {
    /// `file:PATH`
    File(PathBuf),
    /// `cred:NAME`: a systemd credential, a file of that name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl Reference {
    /// `None` where the text is the secret itself.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("file:") {
            return Some(Self::File(PathBuf::from(path)));
        }
        text.strip_prefix("cred:").map(|name| Self::Credential(name.to_owned()))
    }

    /// Reads the secret; one line end at its end is not part of it.
    ///
    /// # Errors
    /// Says what could not be read and the cure.
    pub fn read(&self, environment: &Environment) -> Result<String, String> {
        match self {
            Self::File(path) => read_secret(path),
            Self::Credential(name) => {
                let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
                if !plain {
                    return Err("cred: takes the plain name of a systemd credential".to_owned());
                }
                let folder = environment.get("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
                let folder = folder.ok_or_else(|| {
                    format!(
                        "cred:{name} needs systemd: CREDENTIALS_DIRECTORY is not set; \
                         add `LoadCredential={name}:PATH` to the unit, or use file:PATH"
                    )
                })?;
                read_secret(&Path::new(folder).join(name))
            }
        }
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut text = String::new();
    let opened = File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    // One byte more than allowed tells a file that is too large.
    opened
        .take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > SECRET_BYTES_MAX) {
        return Err(format!("{shown} is larger than {SECRET_BYTES_MAX} bytes"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let secret = line.strip_suffix('\r').unwrap_or(line);
    if secret.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        for (content, secret) in [("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" a b ", " a b ")] {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            assert_eq!(Reference::File(path).read(&Environment::new()).unwrap(), secret);
        }
    }

    #[test]
    fn a_credential_is_a_file_in_the_folder_that_systemd_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("smtp"), "pw\n").unwrap();
        let mut environment = Environment::new();
        let reference = Reference::parse("cred:smtp").unwrap();
        assert!(reference.read(&environment).unwrap_err().contains("LoadCredential=smtp:PATH"));
        environment.insert("CREDENTIALS_DIRECTORY".to_owned(), folder.path().display().to_string());
        assert_eq!(reference.read(&environment).unwrap(), "pw");
        for name in ["cred:", "cred:../shadow", "cred:.."] {
            assert!(Reference::parse(name).unwrap().read(&environment).is_err(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for content in ["\n".to_owned(), String::new(), "x".repeat(70_000)] {
            std::fs::write(&path, content).unwrap();
            assert!(Reference::File(path.clone()).read(&Environment::new()).is_err());
        }
        let missing = Reference::parse("file:/nonexistent/secret").unwrap();
        assert!(missing.read(&Environment::new()).unwrap_err().starts_with("cannot read /nonexistent"));
        assert_eq!(Reference::parse("filexyz"), None);
    }
}
