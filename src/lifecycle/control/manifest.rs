//! The commands of configuration as code.

use super::{Answer, Desk};
use crate::accounts::projects::{self, ProjectRef};
use crate::accounts::{By, Error, Visible};
use crate::manifest::{self, Document, How, Manifest, Stop};
use crate::store::{self, WriteTx};

pub(super) async fn apply(desk: &Desk, document: Document, how: How) -> Answer {
    let means = match &desk.means {
        Ok(means) => means.clone(),
        Err(why) => return Answer::Refused { text: why.clone() },
    };
    let by = By::command_line(desk.clock.now());
    // Megabytes of text are not for the thread that answers.
    let reading = tokio::task::spawn_blocking(move || {
        let (manifest, problems) = Manifest::read(&document);
        (document, manifest, problems)
    });
    let Ok((document, manifest, problems)) = reading.await else {
        return Answer::Failed { text: "the files could not be read".to_owned() };
    };
    let work =
        move |tx: &WriteTx<'_>| manifest::apply(tx, &by, &means, (manifest, problems), (&document, how));
    match desk.store.write("manifest.apply", work).await {
        Ok(plan) | Err(Stop::Dry(plan)) => Answer::Plan(plan),
        Err(Stop::Wrong(problems)) => Answer::Wrong { problems },
        Err(Stop::Store(error)) => failed(&error),
    }
}

pub(super) async fn export(desk: &Desk, project: Option<String>) -> Answer {
    let means = match &desk.means {
        Ok(means) => means.clone(),
        Err(why) => return Answer::Refused { text: why.clone() },
    };
    let written = desk.store.read(move |tx| {
        let slug = match project {
            Some(text) => {
                let reference: ProjectRef = text.parse()?;
                let found = projects::find_visible(tx, &reference, &Visible::All)?;
                Some(found.ok_or(Error::UnknownProject)?.slug.to_string())
            }
            None => None,
        };
        Ok::<_, Error>(manifest::export(tx, &means, slug.as_deref())?)
    });
    match written.await {
        Ok(text) => Answer::Exported { text },
        Err(Error::Store(error)) => failed(&error),
        Err(error) => Answer::Refused { text: error.to_string() },
    }
}

fn failed(error: &store::Error) -> Answer {
    tracing::error!(error = error as &dyn std::error::Error, "a command failed");
    Answer::Failed { text: error.to_string() }
}
