//! `/api/v1/projects`.

use actix_web::{HttpResponse, web};

use super::list::{Asked, Items};
use crate::accounts::projects;
use crate::http::{AppState, Problem};

/// `GET /projects`: those that the caller may see, by name; archived ones are left out.
pub(super) async fn list(state: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let (all, asked) = state
        .store
        .read(move |tx| Ok::<_, Problem>((projects::list(tx, &asked.visible(tx)?)?, asked)))
        .await?;
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |project| project.id.to_string())?))
}
