//! A new source begins with who calls.

use actix_web::HttpResponse;
use askama::Template;

use crate::http::admin::frame::{Frame, Place, page};
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};
use crate::webhooks::providers::{self, Provider};

#[derive(Template)]
#[template(path = "webhook_choose.html", config = "src/http/admin/askama.toml")]
struct ChoosePage {
    frame: Frame,
    cards: Vec<Card>,
}

struct Card {
    place: String,
    name: &'static str,
    says: String,
}

/// Everybody who is known by name, and last whoever is not.
pub(super) async fn show(state: &AppState, signed_in: &SignedIn) -> Result<HttpResponse, Problem> {
    let frame = Frame::read(state, signed_in, Place::Webhooks).await?;
    if !frame.is_member {
        return Err(Problem::forbidden(super::source_edit::NOBODY));
    }
    page(&ChoosePage { frame, cards: providers::all().iter().map(card).collect() })
}

fn card(provider: &'static Provider) -> Card {
    Card {
        place: format!("/webhooks/new?provider={}", provider.id),
        name: &provider.name,
        says: match &provider.secret {
            _ if provider.id == "generic" => {
                "A signature, a token or nothing: you say how it is proved.".to_owned()
            }
            Some(secret) => format!("Needs its {}.", lower_first(&secret.label)),
            None => "Needs no secret.".to_owned(),
        },
    }
}

/// Abbreviations stay as they are.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
