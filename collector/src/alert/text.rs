//! What a receiver reads: a notice as subject, plain text and HTML, by built-in templates or the user's own. Pure.
//!
//! # The user's own templates
//!
//! They are Jinja templates. All that they may use is in [`Words`]: every name is there for every notice, and is none where it does
//! not apply, so a name that is misspelt is a mistake in any case. Each is tried with [`samples`] when it is taken in:
//! one with a mistake is told with its file and line, and the built-in one stands in for it. Should one fail on a notice all the
//! same, that notice is told by the built-in ones.
//!
//! # What notices may hold
//!
//! Names of sites come from people, and what agents report from machines. Each word is [cleaned](clean) before any
//! template sees it, so that none adds a line; HTML, JSON, forms and addresses are escaped by the engine; a subject is one line
//! whatever its template says ([`one_line`]). How long a template may work, and how much it may write, is bounded.

mod load;
mod sample;
mod words;

use minijinja::value::{Serde, Value};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
};
use wan_settings::Mistake;

use crate::alert::notice::Notice;
use crate::config::alerts::Place;
use crate::lang::{Lang, is_hidden};

pub(in crate::alert) use load::body_kind;
pub use load::{Loaded, load};
pub use sample::samples;
#[cfg(test)]
pub(in crate::alert) use sample::{collector as collector_sample, link as link_sample};
pub use words::{Setting, Words, page_link};

/// Steps that a template may take; a step writes 64 bytes at most. The built-in ones take some hundreds.
const FUEL: u64 = 100_000;
/// Depth to which a template may call itself.
const RECURSION: usize = 20;
/// Most bytes of one rendered text: what lies beyond is no message that a person reads.
const MOST_BYTES: usize = 256 << 10;
/// Most characters of a subject.
const MOST_SUBJECT: usize = 200;

/// A template's place in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// One line.
    Subject,
    /// Plain text.
    Text,
    /// HTML.
    Html,
    /// The body of a webhook, of this kind.
    Body(BodyKind),
    /// The address of a webhook.
    Url,
    /// The value of a webhook's header of this number.
    Header(usize),
}

/// What the body of a webhook is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BodyKind {
    /// JSON: a value is written as JSON, text with its quotes.
    Json,
    /// A form: a value is percent-encoded.
    Form,
    /// HTML or XML: a value is escaped.
    Markup,
    /// Any other: a value is written as it is.
    Plain,
}

impl BodyKind {
    /// The kind of a `Content-Type`.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            other if other.ends_with("/json") || other.ends_with("+json") => Self::Json,
            other if other.ends_with("html") || other.ends_with("xml") => Self::Markup,
            _ => Self::Plain,
        }
    }
}

impl Slot {
    /// The engine's name for it, whose ending says how values are escaped.
    fn name(self) -> String {
        match self {
            Self::Subject => "subject.txt".to_owned(),
            Self::Text => "text.txt".to_owned(),
            Self::Html => "html.html".to_owned(),
            Self::Body(BodyKind::Json) => "body.json".to_owned(),
            Self::Body(BodyKind::Form) => "body.url".to_owned(),
            Self::Body(BodyKind::Markup) => "body.html".to_owned(),
            Self::Body(BodyKind::Plain) => "body.txt".to_owned(),
            Self::Url => "url.url".to_owned(),
            Self::Header(number) => format!("header{number}.txt"),
        }
    }

    fn builtin(self, lang: Lang) -> Option<&'static str> {
        match self {
            Self::Subject => Some(include_str!("text/subject.txt")),
            Self::Text => Some(lang.pick(include_str!("text/vi.txt"), include_str!("text/en.txt"))),
            Self::Html => Some(lang.pick(include_str!("text/vi.html"), include_str!("text/en.html"))),
            Self::Body(_) | Self::Url | Self::Header(_) => None,
        }
    }
}

/// A notice as a receiver reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// HTML.
    pub html: String,
}

/// The templates of one channel.
#[derive(Debug)]
pub struct Engine {
    own: Environment<'static>,
    builtin: Environment<'static>,
}

impl Engine {
    /// One with the built-in templates of a language.
    #[must_use]
    pub fn new(lang: Lang) -> Self {
        let mut builtin = environment();
        for slot in [Slot::Subject, Slot::Text, Slot::Html] {
            if let Some(source) = slot.builtin(lang) {
                // A test renders each: an error would fall back to `bare`.
                let _ = builtin.add_template_owned(slot.name(), source);
            }
        }
        Self { own: environment(), builtin }
    }

    /// Takes a template in, if it is without mistakes on every sample.
    ///
    /// # Errors
    /// What is wrong, and in which line of the template. The engine is as before then.
    pub fn add(&mut self, slot: Slot, source: &str, setting: &Setting<'_>) -> Result<(), Wrong> {
        self.own.add_template_owned(slot.name(), source.to_owned()).map_err(Wrong::of)?;
        let tried = samples().iter().try_for_each(|notice| {
            let words = Words::of(notice, setting);
            let words = match slot {
                Slot::Subject => words,
                Slot::Text => words.with("subject", "x"),
                Slot::Html => words.with("subject", "x").with("text", "x"),
                Slot::Body(_) | Slot::Url | Slot::Header(_) => {
                    words.with("subject", "x").with("text", "x").with("html", "x").with("secret", "x")
                }
            };
            let rendered = render(&self.own, slot, &words).map_err(Wrong::of)?;
            match slot {
                Slot::Body(BodyKind::Json) => match serde_json::from_str::<serde::de::IgnoredAny>(&rendered) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Wrong {
                        line: None,
                        what: format!(
                            "a template that makes no JSON ({error}): values bring their own quotes, as in {{\"text\": {{{{ text }}}}}}"
                        ),
                    }),
                },
                Slot::Subject
                | Slot::Text
                | Slot::Html
                | Slot::Body(BodyKind::Form | BodyKind::Markup | BodyKind::Plain)
                | Slot::Url
                | Slot::Header(_) => Ok(()),
            }
        });
        if tried.is_err() {
            self.own.remove_template(&slot.name());
        }
        tried
    }

    /// The notice as subject, text and HTML, and what is wrong with the templates of the user's if anything is.
    #[must_use]
    pub fn render(&self, notice: &Notice, setting: &Setting<'_>) -> (Rendered, Option<String>) {
        let words = Words::of(notice, setting);
        match parts(|slot, words| self.part(slot, words), &words) {
            Ok(rendered) => (rendered, None),
            Err(error) => {
                let plain = parts(|slot, words| render(&self.builtin, slot, words), &words);
                (plain.unwrap_or_else(|_| bare(notice, setting.lang)), Some(Wrong::of(error).to_string()))
            }
        }
    }

    /// One of the webhook's own templates, where the channel has it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn webhook_part(&self, slot: Slot, words: &Words) -> Option<Result<String, Wrong>> {
        self.own.get_template(&slot.name()).is_ok().then(|| render(&self.own, slot, words).map_err(Wrong::of))
    }

    fn part(&self, slot: Slot, words: &Words) -> Result<String, Error> {
        let own = self.own.get_template(&slot.name()).is_ok();
        render(if own { &self.own } else { &self.builtin }, slot, words)
    }
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", line.map(|line| format!(" in line {line}")).unwrap_or_default())]
pub struct Wrong {
    /// The line of the template, from 1.
    pub line: Option<usize>,
    /// What.
    pub what: String,
}

impl Wrong {
    #[expect(clippy::needless_pass_by_value, reason = "so that it can be given to map_err")]
    fn of(error: Error) -> Self {
        let what = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self { line: error.line(), what: one_line(&what) }
    }

    /// The mistake, for a template that stands in the configuration at `place`, or in the file of its own.
    #[must_use]
    pub fn mistake(&self, place: &Place, inline: Option<&str>) -> Mistake {
        let within = self.line.unwrap_or(1);
        // The text of a block (`|`) begins in the line below the key's.
        let line = match inline {
            Some(_) if place.line == 0 => 0,
            Some(text) => place.line + within - usize::from(!text.contains('\n')),
            None => within,
        };
        let column = 0;
        let place = Place { line, column, ..place.clone() };
        place.mistake(
            self.what.clone(),
            "a template without mistakes",
            "see deploy/alerts.md for what a template may use; the built-in text is used meanwhile",
        )
    }
}

/// `text` on one line: control characters, and what turns the direction of writing, become spaces; shortened to a subject's length.
#[must_use]
pub fn one_line(text: &str) -> String {
    let text = clean(text);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(MOST_SUBJECT) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// `text` without characters that would end a line, move a cursor or turn the direction of writing: each becomes a space.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

fn parts(part: impl Fn(Slot, &Words) -> Result<String, Error>, words: &Words) -> Result<Rendered, Error> {
    let subject = one_line(&part(Slot::Subject, words)?);
    let words = words.clone().with("subject", &subject);
    let text = part(Slot::Text, &words)?.trim().to_owned() + "\n";
    let html = part(Slot::Html, &words.with("text", &text))?;
    Ok(Rendered { subject, text, html })
}

/// What is told should even the built-in templates fail.
fn bare(notice: &Notice, lang: Lang) -> Rendered {
    let subject =
        one_line(&format!("{} {} {}", notice.event.name(lang), notice.rule.name(lang), notice.subject.key()));
    let text = format!("{subject}\n{}\n", clean(notice.why.get(lang)));
    Rendered { html: format!("<p>{}</p>", minijinja::HtmlEscape(&text)), subject, text }
}

fn render(environment: &Environment<'_>, slot: Slot, words: &Words) -> Result<String, Error> {
    let template = environment.get_template(&slot.name())?;
    let rendered = template.render(Value::from(Serde(words)))?;
    if rendered.len() > MOST_BYTES {
        let what = format!("it wrote {} bytes, {MOST_BYTES} are the most", rendered.len());
        return Err(Error::new(ErrorKind::InvalidOperation, what));
    }
    Ok(rendered)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_auto_escape_callback(|name| match name.rsplit('.').next() {
        Some("html") => AutoEscape::Html,
        Some("json") => AutoEscape::Json,
        Some("url") => AutoEscape::Custom("url".into()),
        Some(_) | None => AutoEscape::None,
    });
    environment.set_formatter(format_value);
    environment
}

/// Writes a value as its template's kind asks; none is nothing, but in JSON.
fn format_value(out: &mut Output, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let is_json = matches!(state.auto_escape(), AutoEscape::Json);
    if value.is_none() && !is_json {
        return Ok(());
    }
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) {
        return escape_formatter(out, state, value);
    }
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let text = value.to_string();
    let written = if value.is_safe() { out.write_str(&text) } else { out.write_str(&percent_encoded(&text)) };
    written.map_err(|_| Error::from(ErrorKind::WriteFailure))
}

/// RFC 3986: unreserved characters stay, and the colon, which is common in tokens and means nothing behind the host.
pub(in crate::alert) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
