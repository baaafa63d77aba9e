//! One channel: its form, how it is, and what became of its last message.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::channel_form::{self, Content, Draft, Known, preset_key};
use super::channel_words::{Outcome, changed_elsewhere, kind_name, outcome, standing, state_badge};
use super::channels::{find, target};
use super::form::{Form, Wrongs};
use super::frame::{Frame, Place, form_page, page, page_with, see_other};
use super::from_file;
use super::incident::{MessageLine, message_line};
use super::incident_words::Badge;
use super::wording::counted;
use crate::accounts::access::{Permission, Subject};
use crate::accounts::audit::{self, Change};
use crate::accounts::projects;
use crate::base::Uid;
use crate::http::auth::{Caller, SignedIn};
use crate::http::{AppState, Problem};
use crate::incidents::channels::{self, Channel, ChannelKind, ChannelOwner, ChannelState, NewChannel};
use crate::incidents::queries::Scope;
use crate::incidents::{self, ChannelId, DeliveryState, messages, routes, trials};
use crate::notify::email::{PRESETS, Preset};
use crate::notify::outbox::seal_secrets;
use crate::store::{ReadTx, WriteTx};

#[derive(Template)]
#[template(path = "channel_new.html", config = "src/http/admin/askama.toml")]
struct NewPage {
    frame: Frame,
    form: FormView,
}

#[derive(Template)]
#[template(path = "channel_made.html", config = "src/http/admin/askama.toml")]
struct MadePage {
    frame: Frame,
    id: String,
    name: String,
    signing_secret: String,
    waited: String,
}

#[derive(Template)]
#[template(path = "channel.html", config = "src/http/admin/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks is yes or no")]
struct ChannelPage {
    frame: Frame,
    id: String,
    name: String,
    kind: &'static str,
    target: String,
    owner: &'static str,
    /// Where a file names it; empty where none does.
    file: String,
    badge: Badge,
    standing: String,
    is_ready: bool,
    may_edit: bool,
    may_remove: bool,
    is_absent: bool,
    /// What the form was made of: whoever saves it later than somebody else is told.
    seen: String,
    /// What removing it would hand on.
    undelivered: String,
    /// Which projects chose it, and what they would ring instead; empty where none did.
    choosers: String,
    /// What the page says once: that it is saved, that messages waited.
    said: String,
    last: Option<LastMessage>,
    form: FormView,
}

/// The newest message of the channel and what became of it.
struct LastMessage {
    outcome: Outcome,
    sentence: String,
    cure: String,
    line: MessageLine,
}

/// A channel's fields, as the template asks for them.
struct FormView {
    kind: &'static str,
    is_new: bool,
    /// Somebody else saved first.
    is_changed: bool,
    draft: Draft,
    wrongs: Wrongs,
    presets: Vec<PresetChoice>,
    preset: Option<&'static Preset>,
    kept: Option<Known>,
}

struct PresetChoice {
    key: String,
    name: &'static str,
    is_chosen: bool,
}

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    kind: Option<String>,
    preset: Option<String>,
    /// Messages that waited when the channel came.
    waited: Option<i64>,
    saved: Option<String>,
}

impl ChannelPage {
    fn last_is(&self, wanted: Outcome) -> bool {
        self.last.as_ref().is_some_and(|last| last.outcome == wanted)
    }

    fn is_under_way(&self) -> bool {
        self.last_is(Outcome::UnderWay)
    }

    fn has_arrived(&self) -> bool {
        self.last_is(Outcome::Arrived)
    }

    fn was_refused(&self) -> bool {
        self.last_is(Outcome::Refused)
    }
}

impl FormView {
    fn new(kind: ChannelKind, draft: Draft, kept: Option<Known>) -> Self {
        let preset = draft.preset();
        let chosen = preset.map(|preset| preset.name);
        let presets = PRESETS.iter().map(|preset| PresetChoice {
            key: preset_key(preset),
            name: preset.name,
            is_chosen: chosen == Some(preset.name),
        });
        Self {
            kind: kind.as_str(),
            is_new: kept.is_none(),
            is_changed: false,
            presets: presets.collect(),
            preset,
            draft,
            wrongs: Wrongs::default(),
            kept,
        }
    }

    fn with(mut self, wrongs: Wrongs) -> Self {
        self.wrongs = wrongs;
        self
    }

    /// Whether a secret of this name is stored and kept where its field is left empty.
    fn keeps(&self, name: &str) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.has(name))
    }
}

/// `GET /channels/new?kind=email&preset=gmail`
pub(super) async fn show_new(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::ManageInstance, Subject::Instance)?;
    let kind = asked.kind.as_deref().and_then(ChannelKind::parse).unwrap_or(ChannelKind::Email);
    let preset = PRESETS.iter().find(|preset| asked.preset.as_deref() == Some(preset_key(preset).as_str()));
    let form = FormView::new(kind, Draft::new(kind, preset), None);
    let frame = Frame::read(&state, &signed_in, Place::Channels).await?;
    page(&NewPage { frame, form })
}

/// `POST /channels`
pub(super) async fn create(state: web::Data<AppState>, form: Form) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let kind = ChannelKind::parse(form.text("kind"))
        .ok_or_else(|| Problem::bad_request("Choose mail, Slack or webhook."))?;
    let content = match channel_form::read(kind, &form.fields, None, &state.entropy) {
        Ok(content) => content,
        Err(wrongs) => return refuse_new(&state, &form, kind, wrongs).await,
    };
    let uid = state.entropy.uid(state.clock.now());
    let new = sealed(&state, uid, kind, &content)?;
    match save(&state, &caller, None, new, &content.target).await {
        Ok(waited) => saved(&state, &form.signed_in, uid, content, ("new", waited)).await,
        Err(error) => refuse_new(&state, &form, kind, told(error)?).await,
    }
}

async fn refuse_new(
    state: &AppState,
    form: &Form,
    kind: ChannelKind,
    wrongs: Wrongs,
) -> Result<HttpResponse, Problem> {
    let view = FormView::new(kind, Draft::typed_again(&form.fields), None).with(wrongs);
    let frame = Frame::read(state, &form.signed_in, Place::Channels).await?;
    form_page(true, &NewPage { frame, form: view })
}

/// `GET /channels/{id}`
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    id: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::Configure, Subject::Instance)?;
    let said = match asked.saved.as_deref() {
        Some("new") => {
            format!("Saved. {}Send a test to see that it arrives.", adopted(asked.waited.unwrap_or(0)))
        }
        Some(_) => format!("Saved. {}", adopted(asked.waited.unwrap_or(0))),
        None => String::new(),
    };
    let loaded = load(&state, signed_in, id.into_inner(), None).await?;
    page(&ChannelPage { said, ..loaded })
}

/// `POST /channels/{id}`
pub(super) async fn update(
    state: web::Data<AppState>,
    id: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    let id = id.into_inner();
    let named = id.clone();
    let channel = state.store.read(move |tx| find(tx, &named)).await?;
    match channel.owner {
        ChannelOwner::Page => {}
        ChannelOwner::Environment => return Err(incidents::Error::OwnedElsewhere("configuration").into()),
        ChannelOwner::File => return Err(incidents::Error::OwnedByFile.into()),
    }
    if form.is_stale(version(&channel)) {
        let now_is = Some((Draft::of(&channel), Wrongs::stale("channel")));
        let mut page = load(&state, form.signed_in, id, now_is).await?;
        page.form.is_changed = true;
        return page_with(StatusCode::CONFLICT, &page);
    }
    let known = known(&state, &channel);
    let content = match channel_form::read(channel.kind, &form.fields, Some(&known), &state.entropy) {
        Ok(content) => content,
        Err(wrongs) => return refuse(&state, &form, id, wrongs).await,
    };
    let new = sealed(&state, channel.uid, channel.kind, &content)?;
    match save(&state, &caller, Some(channel.id), new, &content.target).await {
        Ok(waited) => saved(&state, &form.signed_in, channel.uid, content, ("again", waited)).await,
        Err(error) => refuse(&state, &form, id, told(error)?).await,
    }
}

/// Writes a channel, `known` or a new one, and the line of the audit log. Answers how many messages waited for it.
async fn save(
    state: &AppState,
    caller: &Caller,
    known: Option<ChannelId>,
    channel: NewChannel,
    target: &str,
) -> Result<i64, incidents::Error> {
    let now = state.clock.now();
    let (by, incidents) = (caller.by(now), Arc::clone(&state.incidents));
    let action = if known.is_some() { "channel.update" } else { "channel.create" };
    let detail = json!({ "kind": channel.kind.as_str(), "target": target });
    let write = move |tx: &WriteTx<'_>| {
        let waited = messages::count(tx, Scope::All, &[DeliveryState::Waiting])?;
        match known {
            Some(id) => incidents.update_channel(tx, now, id, &channel)?,
            None => incidents.create_channel(tx, now, &channel).map(drop)?,
        }
        let change = Change { action, subject: &channel.name, project: None, detail };
        audit::append(tx, &by, &change).map_err(|error| incidents::Error::Store(error.into()))?;
        Ok(waited)
    };
    state.store.write(action, write).await
}

/// What follows a saved channel: its page, or its new signing secret first, which is shown once.
async fn saved(
    state: &AppState,
    signed_in: &SignedIn,
    uid: Uid,
    content: Content,
    (how, waited): (&str, i64),
) -> Result<HttpResponse, Problem> {
    let Some(secret) = content.new_signing_secret else {
        return Ok(see_other(&format!("/channels/{uid}?saved={how}&waited={waited}")));
    };
    page(&MadePage {
        frame: Frame::read(state, signed_in, Place::Channels).await?,
        id: uid.to_string(),
        name: content.name,
        signing_secret: secret.expose().to_owned(),
        waited: adopted(waited),
    })
}

async fn refuse(state: &AppState, form: &Form, id: String, wrongs: Wrongs) -> Result<HttpResponse, Problem> {
    let typed = Some((Draft::typed_again(&form.fields), wrongs));
    let loaded = load(state, form.signed_in.clone(), id, typed).await?;
    form_page(true, &loaded)
}

/// Another text for each thing that a form can change.
fn version(channel: &Channel) -> String {
    let mut hash = Sha256::new();
    hash.update(&channel.name);
    hash.update(channel.settings.to_string());
    hash.update(channel.sealed.as_deref().unwrap_or_default());
    let first = hash.finalize()[..8].iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{first:016x}")
}

/// What a person may mend in the form; everything else is a refusal.
fn told(error: incidents::Error) -> Result<Wrongs, Problem> {
    let mut wrongs = Wrongs::default();
    match error {
        incidents::Error::NameTaken => wrongs.add("name", "Another channel has this name. Choose another."),
        incidents::Error::Invalid(text) if text.starts_with("name") => {
            wrongs.add("name", "A name has at most 80 characters.");
        }
        incidents::Error::Invalid(text) => wrongs.add("form", text),
        other => return Err(other.into()),
    }
    Ok(wrongs)
}

/// What became of the messages that no channel could take so far.
fn adopted(waited: i64) -> String {
    match waited {
        ..=0 => String::new(),
        1 => "One message waited: it goes out now. ".to_owned(),
        many => format!("{} waited: they go out as one digest. ", counted(many, "message")),
    }
}

fn sealed(state: &AppState, uid: Uid, kind: ChannelKind, content: &Content) -> Result<NewChannel, Problem> {
    let secrets = content.parts.secrets.as_ref();
    let sealed = seal_secrets(&state.sealer, &state.entropy, secrets, uid);
    Ok(NewChannel {
        uid,
        name: content.name.clone(),
        kind,
        settings: content.parts.settings.clone(),
        sealed: sealed.map_err(|error| Problem::internal(&error))?,
        owner: ChannelOwner::Page,
    })
}

fn known(state: &AppState, channel: &Channel) -> Known {
    let secrets = state.outbox.open(channel).ok().and_then(|opened| opened.parts().secrets);
    Known::new(channel.settings.clone(), secrets.as_ref())
}

async fn load(
    state: &AppState,
    signed_in: SignedIn,
    id: String,
    typed: Option<(Draft, Wrongs)>,
) -> Result<ChannelPage, Problem> {
    let (now, outbox) = (state.clock.now(), state.outbox.clone());
    let named = id.clone();
    let (channel, file, undelivered, choosers, last, frame) = state
        .store
        .read(move |tx| {
            let channel = find(tx, &named)?;
            let undelivered = channels::count_undelivered(tx, channel.id)?;
            let frame = Frame::load(tx, &signed_in, Place::Channels)?;
            // A message of a project is for those who may see the project; tests are nobody's secret.
            let last =
                find_last(tx, &channel)?.filter(|last| frame.is_owner || last.delivery.cause == "test");
            let choosers = find_choosers(tx, &channel)?;
            let of_file = channel.owner == ChannelOwner::File;
            let file = from_file::told(tx, of_file, "channels", &channel.name)?;
            Ok::<_, Problem>((channel, file, undelivered, choosers, last, frame))
        })
        .await?;
    let target = target(&outbox, &channel);
    let (draft, wrongs) = typed.unwrap_or_else(|| (Draft::of(&channel), Wrongs::default()));
    let last = last.map(|proof| {
        let (outcome, sentence, cure) = outcome(&proof, &target, now);
        LastMessage { outcome, sentence, cure, line: message_line(proof, now) }
    });
    Ok(ChannelPage {
        id,
        kind: kind_name(channel.kind),
        owner: changed_elsewhere(channel.owner),
        file,
        badge: state_badge(&channel, now),
        standing: standing(&channel, now),
        is_ready: channel.state == ChannelState::Ready,
        may_edit: frame.is_owner && channel.owner == ChannelOwner::Page,
        may_remove: frame.is_owner
            && (channel.owner == ChannelOwner::Page || channel.state == ChannelState::Absent),
        is_absent: channel.state == ChannelState::Absent,
        seen: version(&channel),
        choosers: choosers_told(&choosers),
        undelivered: match undelivered {
            0 => "No message waits in it.".to_owned(),
            1 => "One message waits in it and goes to the next channel.".to_owned(),
            many => format!("{} wait in it and go to the next channel.", counted(many, "message")),
        },
        said: String::new(),
        form: FormView::new(channel.kind, draft, Some(known(state, &channel))).with(wrongs),
        name: channel.name,
        target,
        last,
        frame,
    })
}

/// The names of the projects that chose the channel.
fn find_choosers(tx: &ReadTx<'_>, channel: &Channel) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for id in routes::find_choosers(tx, channel.id)? {
        names.extend(projects::find(tx, id)?.map(|project| project.name));
    }
    Ok(names)
}

fn choosers_told(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => {
            format!("{one} chose it; with nothing left of its choice it rings the first channel that can.")
        }
        many => format!(
            "{} chose it; with nothing left of their choice they ring the first channel that can.",
            many.join(", ")
        ),
    }
}

fn find_last(tx: &ReadTx<'_>, channel: &Channel) -> Result<Option<incidents::views::DeliveryProof>, Problem> {
    match trials::find_last(tx, channel.id)? {
        Some(uid) => Ok(messages::find(tx, Scope::All, uid)?),
        None => Ok(None),
    }
}
