//! E-mail: a message as plain text and HTML, in envelopes of [`ENVELOPE`] recipients.
//!
//! ```text
//!  recipients:  0 … 49 | 50 … 99 | 100 …      one try: one envelope
//!                  ▲
//!               progress: what is done with, kept in the outbox after each envelope
//! ```
//!
//! - Up to [`ENVELOPE`] recipients see each other in `To`. A longer list is told in several envelopes, and nobody sees the others.
//! - **A recipient that the server refuses for good (5xx) costs no other**: the rest of the envelope is sent, and the refusal is told.
//!   One that it refuses for now (4xx), or any other trouble, has the whole envelope tried again.
//! - `Message-ID` is made of the notice's id, so that a mail server or reader knows a second copy; `In-Reply-To` names the alert, so that
//!   mail readers show its notices together.
//! - With STARTTLS nothing is sent, the password least of all, before the connection is secured; the server's certificate is
//!   verified by the system's authorities and those of `ca_file`.

use std::fmt;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::sync::OnceCell;

use super::{Letter, Outcome};
use crate::alert::notice::{Notice, Severity};
use crate::alert::text::{Rendered, one_line};
use crate::config::alerts::{Security, Smtp};
use crate::outgoing::{authorities, causes, read_secret};

/// Recipients of one envelope: RFC 5321 has every server take 100, and not all do.
pub const ENVELOPE: usize = 50;
/// How long a server that has the message may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(10);
/// So many refusals are told by name.
const MOST_NAMED: usize = 3;

/// A mail server, and to whom it is to deliver.
pub struct Mail {
    settings: Smtp,
    tls: OnceCell<Option<TlsParameters>>,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why an envelope was not delivered.
enum Failure {
    Later(String),
    Never(String),
}

impl Mail {
    pub(super) fn new(settings: Smtp) -> Self {
        Self { settings, tls: OnceCell::new() }
    }

    /// Sends the next envelope.
    pub(super) async fn send(&self, letter: Letter<'_>) -> Outcome {
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, self.envelope(letter)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(Failure::Later(why))) => Outcome::again(why),
            Ok(Err(Failure::Never(why))) => Outcome::Never(one_line(&why)),
            Err(_) => Outcome::again(format!("no answer within {limit:?}")),
        }
    }

    async fn envelope(&self, letter: Letter<'_>) -> Result<Outcome, Failure> {
        let all = &self.settings.to;
        let done = usize::try_from(letter.progress).unwrap_or(usize::MAX).min(all.len());
        let to = all.get(done..all.len().min(done + ENVELOPE)).unwrap_or_default();
        let mailboxes: Vec<Mailbox> = to.iter().filter_map(|to| Mailbox::from_str(to).ok()).collect();
        if mailboxes.is_empty() {
            return Ok(Outcome::Delivered(None));
        }
        let from =
            Mailbox::from_str(&self.settings.from).map_err(|error| Failure::Never(error.to_string()))?;
        let seen: &[Mailbox] = if all.len() > ENVELOPE { &[] } else { &mailboxes };
        let message = message(letter.notice, letter.rendered, &from, seen)
            .map_err(|error| Failure::Never(format!("no message can be made: {error}")))?;
        let mut connection = self.connect(&from).await?;
        let refused = transfer(&mut connection, &from.email, &mailboxes, &message.formatted()).await?;
        // It has the message: how the connection ends does not matter, and is not waited for.
        tokio::spawn(async move {
            let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
        });
        let complaint = (!refused.is_empty()).then(|| {
            let named: Vec<&str> = refused.iter().take(MOST_NAMED).map(String::as_str).collect();
            format!("{} of {} recipients were refused: {}", refused.len(), mailboxes.len(), named.join("; "))
        });
        let complaint = complaint.as_deref().map(one_line);
        let done = done + to.len();
        Ok(if done < all.len() {
            if let Some(complaint) = complaint {
                tracing::warn!(notice = %letter.notice.id, "{complaint}");
            }
            Outcome::Progress(u32::try_from(done).unwrap_or(u32::MAX))
        } else if refused.len() == all.len() {
            Outcome::Never(complaint.unwrap_or_default())
        } else {
            Outcome::Delivered(complaint)
        })
    }

    /// A connection that is secured and logged in, as configured.
    async fn connect(&self, from: &Mailbox) -> Result<AsyncSmtpConnection, Failure> {
        let Smtp { host, port, security, login, timeout, .. } = &self.settings;
        let tls = self.tls.get_or_try_init(|| async { self.tls() }).await.map_err(Failure::Later)?.clone();
        let name = self.settings.helo.clone().unwrap_or_else(|| from.email.domain().to_owned());
        let client = ClientId::Domain(name);
        let at_once = match security {
            Security::Tls => tls.clone(),
            Security::Starttls | Security::None => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(*timeout),
            &client,
            at_once,
            None,
        )
        .await
        .map_err(|error| failure("connect", &error))?;
        if let (Security::Starttls, Some(tls)) = (security, tls) {
            connection.starttls(tls, &client).await.map_err(|error| failure("STARTTLS", &error))?;
        }
        if let Some((user, password)) = login {
            let password = read_secret(password).map_err(Failure::Later)?;
            let credentials = Credentials::new(user.clone(), password);
            // A password that is wrong today is mended tomorrow: what waits is not lost by it.
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(|error| Failure::Later(format!("login: {}", causes(&error))))?;
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<Option<TlsParameters>, String> {
        match self.settings.security {
            Security::None => return Ok(None),
            Security::Starttls | Security::Tls => {}
        }
        let mut builder = TlsParameters::builder(self.settings.host.clone());
        if let Some(path) = &self.settings.ca_file {
            for authority in authorities(path)? {
                let certificate =
                    Certificate::from_der(authority.to_vec()).map_err(|error| causes(&error))?;
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build_rustls().map(Some).map_err(|error| causes(&error))
    }
}

/// Hands one envelope over, and says whom the server refused for good. All refused is no failure: nothing is sent then.
async fn transfer(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &[Mailbox],
    message: &[u8],
) -> Result<Vec<String>, Failure> {
    let mut parameters = Vec::new();
    // Encoded words and bodies are ASCII; only an address may need more.
    if connection.server_info().supports_feature(Extension::EightBitMime) {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = MailFrom::new(Some(from.clone()), parameters);
    connection.command(sender).await.map_err(|error| failure("MAIL FROM", &error))?;
    let mut refused = Vec::new();
    for recipient in to {
        match connection.command(Rcpt::new(recipient.email.clone(), Vec::new())).await {
            Ok(_) => {}
            Err(error) if error.is_permanent() => {
                refused.push(format!("{}: {}", recipient.email, causes(&error)))
            }
            Err(error) => return Err(failure("RCPT TO", &error)),
        }
    }
    if refused.len() < to.len() {
        connection.command(Data).await.map_err(|error| failure("DATA", &error))?;
        connection.message(message).await.map_err(|error| failure("the message", &error))?;
    }
    Ok(refused)
}

/// RFC 5321: a 5xx of the sender or the message will be repeated; all else may pass.
fn failure(step: &str, error: &lettre::transport::smtp::Error) -> Failure {
    let why = format!("{step}: {}", causes(error));
    if error.is_permanent() && matches!(step, "MAIL FROM" | "the message" | "DATA") {
        return Failure::Never(why);
    }
    Failure::Later(why)
}

/// The message; who `sees` each other is named in it.
fn message(
    notice: &Notice,
    rendered: &Rendered,
    from: &Mailbox,
    sees: &[Mailbox],
) -> Result<Message, lettre::error::Error> {
    let domain = from.email.domain();
    let since_epoch = Duration::from_millis(u64::try_from(notice.at.0).unwrap_or(0));
    let date = SystemTime::UNIX_EPOCH + since_epoch;
    // RFC 3834: no reply by a machine is wanted.
    let automatic =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{domain}>", notice.id)))
        .in_reply_to(format!("<{}@{domain}>", notice.alert))
        .references(format!("<{}@{domain}>", notice.alert))
        .date(date)
        .from(from.clone())
        .subject(one_line(&rendered.subject))
        .raw_header(automatic);
    if notice.severity == Severity::Critical && notice.event.goes_on() {
        let important = HeaderValue::new(HeaderName::new_from_ascii_str("Importance"), "high".to_owned());
        builder = builder.raw_header(important);
    }
    for mailbox in sees {
        builder = builder.to(mailbox.clone());
    }
    if sees.is_empty() {
        // RFC 5322 leaves `To` out where nobody is to see it; some servers take that for spam.
        let nobody =
            HeaderValue::new(HeaderName::new_from_ascii_str("To"), "undisclosed-recipients:;".to_owned());
        builder = builder.raw_header(nobody);
    }
    // Whom it is for stands in the envelope that is handed over, not in this one.
    builder = builder.envelope(Envelope::new(Some(from.email.clone()), vec![from.email.clone()])?);
    let html =
        lettre::message::SinglePart::builder().header(ContentType::TEXT_HTML).body(rendered.html.clone());
    let plain =
        lettre::message::SinglePart::builder().header(ContentType::TEXT_PLAIN).body(rendered.text.clone());
    builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::alert::text::{Engine, Setting, collector_sample, link_sample};
    use crate::lang::Lang;

    fn written(notice: &Notice, sees: &[&str]) -> String {
        let zone = TimeZone::get("Asia/Ho_Chi_Minh").unwrap();
        let setting = Setting { lang: Lang::Vi, zone: &zone, page: None };
        let (rendered, _) = Engine::new(Lang::Vi).render(notice, &setting);
        let sees: Vec<Mailbox> = sees.iter().map(|to| to.parse().unwrap()).collect();
        let from = "Wanwatch <wanwatch@example.vn>".parse().unwrap();
        let message = message(notice, &rendered, &from, &sees).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_name_of_a_site_adds_no_header() {
        let mut notice = link_sample();
        notice.site.as_mut().unwrap().name = "x\r\nBcc: y@example.vn\r\n\r\nbody".to_owned();
        let written = written(&notice, &["a@example.vn"]);
        let (head, _) = written.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert!(!names.contains(&"Bcc"), "{head}");
        assert!(names.contains(&"Subject") && names.contains(&"Message-ID"), "{head}");
        assert!(head.is_ascii(), "{head}");
        assert!(head.contains(&format!("Message-ID: <{}@example.vn>", notice.id)), "{head}");
    }

    #[test]
    fn a_long_list_is_not_shown_to_those_on_it() {
        let notice = collector_sample();
        assert!(written(&notice, &[]).contains("To: undisclosed-recipients:;"));
        let two = written(&notice, &["a@example.vn", "B <b@example.vn>"]);
        assert!(two.contains("a@example.vn") && two.contains("b@example.vn"), "{two}");
        assert!(two.contains("Importance: high"), "a collector that is cut off is critical");
    }
}
