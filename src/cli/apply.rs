use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::session::{DONE, Session, unexpected};
use super::{AsJson, Output};
use crate::lifecycle::control::{Answer, Command};
use crate::manifest::{Plan, Problem, What, files};

/// Make what is stored what files say: all of it, or nothing where something is wrong
#[derive(Args, Debug)]
pub(super) struct Apply {
    /// A TOML file, or a folder with files that end in .toml
    path: PathBuf,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Take away what files named once and no file names now; projects are handed back to their pages
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    format: AsJson,
}

/// Show what `apply` would change; exit code 0: nothing, 2: something
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// A TOML file, or a folder with files that end in .toml
    path: PathBuf,
    /// As `apply --prune` would do it
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    format: AsJson,
}

/// Exit code of `diff` where something differs; 1 is for what could not be told.
const DIFFERS: u8 = 2;

impl Apply {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let Self { path, dry_run, prune, format } = self;
        let Some(plan) = ask(session, &path, (dry_run, prune), format)? else { return Ok(ExitCode::FAILURE) };
        tell(&mut session.output, &plan, format, !dry_run)?;
        DONE
    }
}

impl Diff {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let Self { path, prune, format } = self;
        let Some(plan) = ask(session, &path, (true, prune), format)? else { return Ok(ExitCode::FAILURE) };
        tell(&mut session.output, &plan, format, false)?;
        if plan.is_empty() { DONE } else { Ok(ExitCode::from(DIFFERS)) }
    }
}

/// What was changed, or would be; nothing where the files are wrong, which is told then.
fn ask(
    session: &mut Session<'_>,
    path: &Path,
    (dry, prune): (bool, bool),
    format: AsJson,
) -> anyhow::Result<Option<Plan>> {
    let begun = Instant::now();
    // Read as the folder's owner, like everything else.
    session.enter()?;
    let document = match files::read(path, session.environment) {
        Ok(document) => document,
        Err(problems) => return tell_wrong(&mut session.output, &problems, format),
    };
    match session.carry_out(Command::Apply { document, dry, prune })? {
        Answer::Plan(plan) => {
            if !format.json {
                session.output.note(&format!("done in {} ms", begun.elapsed().as_millis()))?;
            }
            Ok(Some(plan))
        }
        Answer::Wrong { problems } => tell_wrong(&mut session.output, &problems, format),
        other => Err(unexpected(other)),
    }
}

fn tell_wrong<T>(output: &mut Output, problems: &[Problem], format: AsJson) -> anyhow::Result<Option<T>> {
    if format.json {
        output.json(&json!({ "applied": false, "problems": problems }))?;
        return Ok(None);
    }
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    output.note(&lines.join("\n"))?;
    Err(anyhow!("nothing was changed: correct {} and try again", counted(problems.len())))
}

fn counted(problems: usize) -> String {
    if problems == 1 { "this".to_owned() } else { format!("these {problems}") }
}

fn tell(output: &mut Output, plan: &Plan, format: AsJson, is_applied: bool) -> anyhow::Result<()> {
    if format.json {
        let counts = json!({
            "created": plan.count(What::Created),
            "changed": plan.count(What::Changed),
            "removed": plan.count(What::Removed),
            "handed_over": plan.count(What::HandedOver),
            "unchanged": plan.unchanged,
        });
        let all =
            json!({ "applied": is_applied, "counts": counts, "changes": plan.changes, "left": plan.left });
        return Ok(output.json(&all)?);
    }
    let text = plan.to_string();
    if !text.is_empty() {
        output.say(text.trim_end())?;
    }
    output.say(&summary(plan, is_applied))?;
    Ok(())
}

fn summary(plan: &Plan, is_applied: bool) -> String {
    if plan.is_empty() {
        return "nothing to change".to_owned();
    }
    let verbs =
        if is_applied { ["created", "changed", "removed"] } else { ["to create", "to change", "to remove"] };
    let counts = [
        plan.count(What::Created),
        plan.count(What::Changed),
        plan.count(What::Removed) + plan.count(What::HandedOver),
    ];
    let parts: Vec<String> =
        counts.iter().zip(verbs).map(|(count, verb)| format!("{count} {verb}")).collect();
    parts.join(", ")
}
