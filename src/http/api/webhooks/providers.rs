//! `/api/v1/webhooks/providers`: those whose webhooks are understood, and how to set them up.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::http::api::list::{Asked, Items};
use crate::http::{AppState, Problem};
use crate::webhooks::providers::{self, Provider};
use crate::webhooks::scheme::Scheme;

#[derive(Serialize)]
struct View {
    id: &'static str,
    name: &'static str,
    documented_at: Option<&'static str>,
    /// What the secret is called at the provider; nothing where there is none.
    secret: Option<SecretView>,
    scheme: &'static Scheme,
    /// What else it can be set up for, and when.
    other_schemes: Vec<OtherScheme>,
    order_key: Option<String>,
    retries: Option<&'static str>,
    late: Option<&'static str>,
    /// What to do there, line by line; `{url}` stands for the address of the source.
    steps: &'static [String],
    tells_deploys: bool,
    tells_mails: bool,
}

#[derive(Serialize)]
struct SecretView {
    label: &'static str,
    begins_with: &'static [String],
}

#[derive(Serialize)]
struct OtherScheme {
    when: &'static str,
    scheme: &'static Scheme,
}

/// `GET /webhooks/providers`
pub(super) async fn list(_: web::Data<AppState>, asked: Asked) -> Result<HttpResponse, Problem> {
    let all = providers::all().iter().map(View::new).collect();
    Ok(HttpResponse::Ok().json(Items::part(all, &asked, |view: &View| view.id.to_owned())?))
}

impl View {
    fn new(provider: &'static Provider) -> Self {
        let Provider { id, name, documented_at, secret, scheme, other_schemes, .. } = provider;
        Self {
            id,
            name,
            documented_at: Some(documented_at.as_str()).filter(|page| !page.is_empty()),
            secret: secret
                .as_ref()
                .map(|hint| SecretView { label: &hint.label, begins_with: &hint.begins_with }),
            scheme,
            other_schemes: other_schemes
                .iter()
                .map(|other| OtherScheme { when: &other.when, scheme: &other.scheme })
                .collect(),
            order_key: provider.order_key_suggested.first().map(ToString::to_string),
            retries: provider.retries.as_deref(),
            late: provider.late.as_deref(),
            steps: &provider.steps,
            tells_deploys: provider.deploy.is_some(),
            tells_mails: provider.mail.is_some(),
        }
    }
}
