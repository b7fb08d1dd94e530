//! Channels: by what a receiver is told.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{ChannelName, PathSlot, Place};
use crate::lang::Lang;

/// One way to tell a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name in routes, metrics and the log.
    pub name: ChannelName,
    /// In which language; that of `alerts.lang` unless given.
    pub lang: Lang,
    /// How.
    pub kind: Kind,
    /// What replaces the built-in texts.
    pub templates: Templates,
}

/// The kinds of channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The API of Alertmanager.
    Alertmanager(Alertmanager),
    /// E-mail.
    Smtp(Smtp),
    /// An HTTP request.
    Webhook(Webhook),
    /// A program of this machine.
    Command(Command),
}

/// Templates of texts; what is not given is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// One line: the subject of an e-mail.
    pub subject: Option<Source>,
    /// Plain text.
    pub text: Option<Source>,
    /// HTML.
    pub html: Option<Source>,
}

/// The source of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The text, or where it is.
    pub text: SourceText,
    /// Where the configuration says so.
    pub place: Place,
}

/// A template's text.
#[derive(Clone, PartialEq, Eq)]
pub enum SourceText {
    /// It stands in the configuration.
    Inline(String),
    /// It stands in a file.
    File(PathBuf),
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Somebody may have written a password into it.
            Self::Inline(_) => f.write_str("Inline(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// Text that is not shown: a URL may be as good as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a secret is: read anew for each use, so that a changed one holds at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// In a file; line breaks at its end are no part of it.
    File(PathBuf),
    /// In a variable of the collector's environment.
    Env(String),
}

/// Alertmanagers, each of which is told everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Their addresses, as `http://127.0.0.1:9093`; a path prefix may follow.
    pub urls: Vec<String>,
    /// How the collector logs in, as to a proxy in front of them; the same to each. Default not at all.
    pub login: Option<Login>,
    /// How often alerts that fire are sent again: well within Alertmanager's `resolve_timeout` of 5 min. Default 1 min.
    pub resend: Duration,
    /// Further authorities that are trusted, as PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one try may take. Default 10 s.
    pub timeout: Duration,
}

/// A login by a header of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By name and password (RFC 7617).
    Basic(String, SecretFrom),
    /// By a token (RFC 6750).
    Bearer(SecretFrom),
}

impl Login {
    /// The file that holds its secret, where one does.
    pub(in crate::config) fn file(&mut self) -> Option<&mut PathBuf> {
        match self.secret() {
            SecretFrom::File(path) => Some(path),
            SecretFrom::Env(_) => None,
        }
    }

    fn secret(&mut self) -> &mut SecretFrom {
        match self {
            Self::Basic(_, secret) | Self::Bearer(secret) => secret,
        }
    }
}

/// E-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// The server's name or address.
    pub host: String,
    /// Its port. Default 587 for STARTTLS, 465 for TLS, 25 for none.
    pub port: u16,
    /// How the connection is secured. Default STARTTLS, without which nothing is sent.
    pub security: Security,
    /// Who logs in, and by what password. Default nobody.
    pub login: Option<(String, SecretFrom)>,
    /// The sender, as `Wanwatch <wanwatch@example.vn>` or the address alone.
    pub from: String,
    /// The recipients, each once.
    pub to: Vec<String>,
    /// What the collector calls itself. Default: the sender's domain.
    pub helo: Option<String>,
    /// Further authorities that are trusted, as PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one try of one envelope may take. Default 30 s: mail servers hold up strangers on purpose.
    pub timeout: Duration,
}

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// By STARTTLS, which the server must offer.
    Starttls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all: for a server on this machine.
    None,
}

/// An HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to, as a template; or the file that says it.
    pub url: WebhookUrl,
    /// `POST`, `PUT` or `GET`. Default `POST`.
    pub method: String,
    /// Further headers; the values are templates.
    pub headers: Vec<Header>,
    /// The body, as a template. Default: the notice as JSON with its subject and text.
    pub body: Option<Source>,
    /// What `secret` is in the templates of URL, headers and body.
    pub secret: Option<SecretFrom>,
    /// What a 2xx answer must say for the message to be delivered. Default: the status alone decides.
    pub expect: Option<Expect>,
    /// Further authorities that are trusted, as PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one try may take. Default 10 s.
    pub timeout: Duration,
}

/// What an answer must say ([`crate::alert::channel::expect`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// A value of its JSON.
    Json {
        /// Where that is: a JSON pointer (RFC 6901), such as `/error`.
        pointer: String,
        /// What it must be: one of these, as text.
        equals: Vec<String>,
        /// What says that it will never be taken.
        refused: Vec<String>,
    },
    /// A text in it.
    Contains(String),
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookUrl {
    /// A template in the configuration.
    Inline(Hidden, Place),
    /// In a file, as it is: for addresses that are secrets themselves.
    File(PathBuf),
}

/// A header of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, as a template.
    pub value: Hidden,
    /// Where the value stands.
    pub place: Place,
}

/// A program of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments; no shell reads them.
    pub run: Vec<String>,
    /// How long it may run. Default 10 s; then it is killed with all that it started.
    pub timeout: Duration,
}

impl Channel {
    /// How long one try may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match &self.kind {
            Kind::Alertmanager(alertmanager) => alertmanager.timeout,
            Kind::Smtp(smtp) => smtp.timeout,
            Kind::Webhook(webhook) => webhook.timeout,
            Kind::Command(command) => command.timeout,
        }
    }

    /// The files that hold its templates.
    pub fn template_files(&self) -> impl Iterator<Item = &PathBuf> {
        let Templates { subject, text, html } = &self.templates;
        let body = match &self.kind {
            Kind::Webhook(webhook) => &webhook.body,
            Kind::Alertmanager(_) | Kind::Smtp(_) | Kind::Command(_) => &None,
        };
        [subject, text, html, body].into_iter().flatten().filter_map(|source| match &source.text {
            SourceText::File(path) => Some(path),
            SourceText::Inline(_) => None,
        })
    }

    /// All paths in it, to have them start at the configuration's folder.
    pub(super) fn paths(&mut self) -> Vec<PathSlot<'_>> {
        fn source(source: &mut Option<Source>) -> Option<PathSlot<'_>> {
            match source {
                Some(Source { text: SourceText::File(path), .. }) => Some(path),
                Some(Source { text: SourceText::Inline(_), .. }) | None => None,
            }
        }
        fn secret(secret: &mut SecretFrom) -> Option<PathSlot<'_>> {
            match secret {
                SecretFrom::File(path) => Some(path),
                SecretFrom::Env(_) => None,
            }
        }
        let Templates { subject, text, html } = &mut self.templates;
        let mut found: Vec<PathSlot<'_>> = [subject, text, html].into_iter().filter_map(source).collect();
        match &mut self.kind {
            Kind::Alertmanager(alertmanager) => {
                found.extend(&mut alertmanager.ca_file);
                found.extend(alertmanager.login.as_mut().and_then(Login::file));
            }
            Kind::Smtp(smtp) => {
                found.extend(&mut smtp.ca_file);
                found.extend(smtp.login.as_mut().and_then(|(_, password)| secret(password)));
            }
            Kind::Webhook(webhook) => {
                found.extend(&mut webhook.ca_file);
                found.extend(webhook.secret.as_mut().and_then(secret));
                found.extend(source(&mut webhook.body));
                match &mut webhook.url {
                    WebhookUrl::Inline(..) => {}
                    WebhookUrl::File(path) => found.push(path),
                }
            }
            Kind::Command(_) => {}
        }
        found
    }
}
