//! What a signed-in person does with an incident.

use actix_web::{HttpResponse, web};

use super::form::Form;
use super::frame::see_other;
use crate::base::Uid;
use crate::http::acts::incident::Act;
use crate::http::acts::silence::Lasting;
use crate::http::{AppState, Problem, acts};
use crate::incidents::WitnessId;

/// `POST /incidents/{id}/acknowledge`
pub(super) async fn acknowledge(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let back = (form.text("to") == "list").then_some("/incidents");
    let done = act(&state, &id, &form, Act::Acknowledge).await?;
    Ok(back.map_or(done, see_other))
}

/// `POST /incidents/{id}/unacknowledge`
pub(super) async fn unacknowledge(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, &id, &form, Act::Unacknowledge).await
}

/// `POST /incidents/{id}/resolve`
pub(super) async fn resolve(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, &id, &form, Act::Resolve).await
}

/// `POST /incidents/{id}/split`: the field `witness` is its number.
pub(super) async fn split(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let witness = form.text("witness").parse().map_err(|_| Problem::not_found("witness"))?;
    act(&state, &id, &form, Act::Split(WitnessId(witness))).await
}

/// `POST /incidents/{id}/silence`: the incident with what joins it later, for some hours, while it lasts.
pub(super) async fn silence(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    act(&state, &id, &form, Act::Silence(lasting(&form)?)).await
}

/// The fields `hours` and `reason` of a form that begins a silence.
pub(super) fn lasting(form: &Form) -> Result<Lasting, Problem> {
    Lasting::new(form.text("hours").parse().ok(), form.text("reason"))
}

async fn act(state: &AppState, id: &str, form: &Form, act: Act) -> Result<HttpResponse, Problem> {
    let id: Uid = id.parse().map_err(|_| Problem::not_found("incident"))?;
    acts::incident::act(state, form.caller(), id, act).await?;
    Ok(see_other(&format!("/incidents/{id}")))
}
