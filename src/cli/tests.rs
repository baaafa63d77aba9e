use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::CommandFactory as _;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct Ran {
    code: ExitCode,
    out: String,
    err: String,
}

fn ran(folder: &std::path::Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let (out, err) = (Buffer::default(), Buffer::default());
    let environment =
        environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let data = folder.display().to_string();
    let all = ["tocsin", "--data", &data].into_iter().chain(arguments.iter().copied()).map(OsString::from);
    let output = Output::to(Box::new(out.clone()), Box::new(err.clone()));
    let code = run(all, &environment, output);
    Ran { code, out: out.text(), err: err.text() }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does() {
    for command in Cli::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for inner in command.get_subcommands() {
            assert!(inner.get_about().is_some(), "{} {}", command.get_name(), inner.get_name());
        }
    }
}

#[test]
fn config_check_shows_values_with_their_origin_and_fails_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    let good = ran(folder.path(), &["config", "check", "--json"], &[("TOCSIN_TEST_API_KEY", "open-sesame")]);
    assert_eq!(good.code, ExitCode::SUCCESS);
    let shown: serde_json::Value = serde_json::from_str(&good.out).unwrap();
    let setting = |key: &str| {
        let settings = shown["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["key"] == key).unwrap().clone()
    };
    assert_eq!(setting("test_api_key")["value"], "••••");
    assert_eq!(setting("test_api_key")["origin"], "TOCSIN_TEST_API_KEY");
    assert_eq!(setting("listen")["origin"], "default");
    let bad = ran(folder.path(), &["config", "check"], &[("TOCSIN_SMTP__HOTS", "x"), ("TOCSIN_MODE", "x")]);
    assert_eq!(bad.code, ExitCode::FAILURE);
    assert!(bad.err.contains("TOCSIN_SMTP__HOST") && bad.err.contains("TOCSIN_MODE"), "{}", bad.err);
}

#[test]
fn without_a_server_status_is_unhealthy_and_a_test_names_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let status = ran(folder.path(), &["status", "--json"], &[]);
    assert_eq!(status.code, ExitCode::from(2));
    assert!(status.out.contains(r#""status":"unhealthy""#), "{}", status.out);
    assert!(status.err.starts_with("data folder: "));
    let sql = ran(folder.path(), &["sql", "SELECT 1"], &[]);
    assert_eq!(sql.code, ExitCode::FAILURE);
    assert!(sql.err.contains("start tocsin once"), "{}", sql.err);
}

#[test]
fn only_serve_makes_a_data_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let refused = ran(&folder, &["project", "create", "shop"], &[]);
    assert_eq!(refused.code, ExitCode::FAILURE);
    assert!(
        refused.err.contains("`tocsin serve` first") && refused.err.contains("--data"),
        "{}",
        refused.err
    );
    assert!(!folder.exists());
}

#[test]
fn without_a_server_a_command_lists_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::store::Store::open(folder.path(), &crate::store::Options::default()).unwrap();
    store.start().unwrap().stop();
    let listed = ran(folder.path(), &["token", "list"], &[]);
    assert_eq!(listed.code, ExitCode::SUCCESS, "{}", listed.err);
    assert!(listed.out.starts_with("ID") && listed.out.lines().count() == 1, "{}", listed.out);
}

#[test]
fn a_cause_is_told_once() {
    let refused = || std::io::Error::other("Read-only file system (os error 30)");
    let lock = crate::store::LockError::Io("/data".into(), refused());
    let text = "cannot lock /data: Read-only file system (os error 30)";
    assert_eq!(told(&lock.into()), text);
    assert_eq!(told(&anyhow::Error::from(refused()).context("cannot lock /data")), text);
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ran(folder.path(), &["token", "create"], &[]).code, ExitCode::from(2));
    assert_eq!(ran(folder.path(), &["nonsense"], &[]).code, ExitCode::from(2));
}
