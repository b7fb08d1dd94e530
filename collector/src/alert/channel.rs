//! Channels: from a rendered notice to its receiver. Each try ends in an [`Outcome`]; nothing is tried twice in here.
//!
//! A channel is opened at its first try, and anew until that works: an authority's file that is missing is a try that failed. Secrets are
//! read for each try, and stand in no outcome: what is told of an error leaves the address out where that may hold one.

pub mod alertmanager;
pub mod command;
pub mod expect;
pub mod http;
pub mod smtp;
pub mod webhook;

use std::time::Duration;

use serde::Serialize;
use wan_wire::UnixMillis;

use crate::alert::notice::Notice;
use crate::alert::text::{Engine, Rendered, Setting, one_line, page_link};
use crate::config::alerts::{Channel, Kind};

/// How one try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it; or all that could get it have, and why others could not.
    Delivered(Option<String>),
    /// So many of its recipients are done with; the rest is for the next try, at once.
    Progress(u32),
    /// It may work later.
    Again {
        /// Not before, as the receiver asks.
        after: Option<Duration>,
        /// What went wrong.
        why: String,
    },
    /// It will never work.
    Never(String),
}

impl Outcome {
    /// It may work later; nobody says when.
    #[must_use]
    pub fn again(why: impl AsRef<str>) -> Self {
        Self::Again { after: None, why: one_line(why.as_ref()) }
    }
}

/// One notice for one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'l> {
    /// The notice.
    pub notice: &'l Notice,
    /// As subject, text and HTML.
    pub rendered: &'l Rendered,
    /// For whom it is.
    pub setting: &'l Setting<'l>,
    /// How many of the recipients are done with.
    pub progress: u32,
}

/// A channel that can be used.
#[derive(Debug)]
pub enum Sender {
    /// The API of Alertmanager.
    Alertmanager(alertmanager::Alertmanagers),
    /// E-mail.
    Smtp(smtp::Mail),
    /// An HTTP request.
    Webhook(webhook::Hook),
    /// A program.
    Command(command::Program),
}

impl Sender {
    /// The sender of a channel. Nothing is connected or read yet.
    #[must_use]
    pub fn new(channel: &Channel) -> Self {
        match &channel.kind {
            Kind::Alertmanager(settings) => {
                Self::Alertmanager(alertmanager::Alertmanagers::new(settings.clone()))
            }
            Kind::Smtp(settings) => Self::Smtp(smtp::Mail::new(settings.clone())),
            Kind::Webhook(settings) => Self::Webhook(webhook::Hook::new(settings.clone())),
            Kind::Command(settings) => {
                Self::Command(command::Program::new(settings.clone(), channel.name.clone()))
            }
        }
    }

    /// Tries once.
    pub async fn send(&self, letter: Letter<'_>, engine: &Engine, now: UnixMillis) -> Outcome {
        match self {
            Self::Alertmanager(managers) => managers.send(letter, now).await,
            Self::Smtp(mail) => mail.send(letter).await,
            Self::Webhook(hook) => hook.send(letter, engine, now).await,
            Self::Command(program) => program.send(letter).await,
        }
    }
}

/// A notice with its texts: the body of a webhook that has no template, and what a command reads.
#[derive(Debug, Serialize)]
struct Payload<'p> {
    #[serde(flatten)]
    notice: &'p Notice,
    title: &'p str,
    text: &'p str,
    url: Option<String>,
}

impl Letter<'_> {
    /// Where the page tells more.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        page_link(self.notice, self.setting.page)
    }

    /// The notice and its texts as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let Rendered { subject: title, text, html: _ } = self.rendered;
        serde_json::to_string(&Payload { notice: self.notice, title, text, url: self.link() })
            .unwrap_or_default()
    }
}
