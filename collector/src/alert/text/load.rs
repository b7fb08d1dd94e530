//! Takes a channel's templates in: those of the configuration, and those in files of their own.

use std::path::Path;

use wan_settings::{CONFIGURATION_BYTES, Mistake, Mistakes, read_file, utf8};

use super::{BodyKind, Engine, Setting, Slot, Wrong};
use crate::config::alerts::{Channel, Kind, Place, Source, SourceText, Webhook, WebhookUrl};

/// A channel's templates.
#[derive(Debug)]
pub struct Loaded {
    /// Those without mistakes; built-in ones stand in for the others.
    pub engine: Engine,
    /// What is wrong with the others.
    pub mistakes: Vec<Mistake>,
}

/// Reads and tries all templates of a channel.
#[must_use]
pub fn load(channel: &Channel, setting: &Setting<'_>) -> Loaded {
    let mut loading =
        Loading { loaded: Loaded { engine: Engine::new(setting.lang), mistakes: Vec::new() }, setting };
    let templates = &channel.templates;
    let own =
        [(Slot::Subject, &templates.subject), (Slot::Text, &templates.text), (Slot::Html, &templates.html)];
    for (slot, source) in own {
        if let Some(source) = source {
            loading.source(slot, source);
        }
    }
    match &channel.kind {
        Kind::Webhook(webhook) => loading.webhook(webhook),
        Kind::Alertmanager(_) | Kind::Smtp(_) | Kind::Command(_) => {}
    }
    loading.loaded
}

/// What a webhook's body is.
pub(in crate::alert) fn body_kind(webhook: &Webhook) -> BodyKind {
    let said = webhook.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
    said.map_or(BodyKind::Json, |header| BodyKind::of(&header.value.0))
}

struct Loading<'s> {
    loaded: Loaded,
    setting: &'s Setting<'s>,
}

impl Loading<'_> {
    fn webhook(&mut self, webhook: &Webhook) {
        if let Some(body) = &webhook.body {
            self.source(Slot::Body(body_kind(webhook)), body);
        }
        match &webhook.url {
            WebhookUrl::Inline(url, place) => self.inline(Slot::Url, &url.0, place),
            WebhookUrl::File(_) => {}
        }
        for (number, header) in webhook.headers.iter().enumerate() {
            self.inline(Slot::Header(number), &header.value.0, &header.place);
        }
    }

    fn source(&mut self, slot: Slot, source: &Source) {
        match &source.text {
            SourceText::Inline(text) => self.inline(slot, text, &source.place),
            SourceText::File(path) => match read(path) {
                Ok(text) => {
                    let place = Place { file: path.display().to_string(), ..Place::default() };
                    self.add(slot, &text, |wrong| wrong.mistake(&place, None));
                }
                Err(mistakes) => self.loaded.mistakes.extend(mistakes.into_vec()),
            },
        }
    }

    fn inline(&mut self, slot: Slot, text: &str, place: &Place) {
        self.add(slot, text, |wrong| wrong.mistake(place, Some(text)));
    }

    fn add(&mut self, slot: Slot, text: &str, mistake: impl FnOnce(&Wrong) -> Mistake) {
        if let Err(wrong) = self.loaded.engine.add(slot, text, self.setting) {
            self.loaded.mistakes.push(mistake(&wrong));
        }
    }
}

fn read(path: &Path) -> Result<String, Mistakes> {
    let bytes = read_file(path, CONFIGURATION_BYTES)?;
    utf8(&path.display().to_string(), &bytes).map(str::to_owned)
}
