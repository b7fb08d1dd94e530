//! An HTTP request for each notice: address, headers and body by templates.
//!
//! `Idempotency-Key` is the notice's id, so that a receiver that has it already can say so and do nothing.

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::Method;
use wan_wire::UnixMillis;

use super::http::{Http, exchange};
use super::{Letter, Outcome};
use crate::alert::text::{Engine, Slot, Words, Wrong, body_kind, one_line, percent_encoded};
use crate::config::alerts::{Webhook, WebhookUrl};
use crate::outgoing::{read_line, read_secret};

/// A receiver of HTTP requests.
#[derive(Debug)]
pub struct Hook {
    settings: Webhook,
    http: Http,
}

/// A request, before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<String>,
    /// What is not to be told, also where the receiver repeats it.
    secrets: Vec<String>,
    /// What is wrong with the template of the body, for which the built-in one stands in.
    wrong: Option<Wrong>,
}

impl Hook {
    pub(super) fn new(settings: Webhook) -> Self {
        let http = Http::new(settings.ca_file.clone(), settings.timeout);
        Self { settings, http }
    }

    pub(super) async fn send(&self, letter: Letter<'_>, engine: &Engine, now: UnixMillis) -> Outcome {
        let call = match self.call(letter, engine) {
            Ok(call) => call,
            Err(why) => return Outcome::again(why),
        };
        if let Some(wrong) = &call.wrong {
            tracing::error!(notice = %letter.notice.id, "the template of a body failed: {wrong}");
        }
        let client = match self.http.client().await {
            Ok(client) => client,
            Err(outcome) => return outcome,
        };
        let method = match self.settings.method.as_str() {
            "GET" => Method::GET,
            "PUT" => Method::PUT,
            _ => Method::POST,
        };
        let mut request = client.request(method, call.url);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        if let Some(body) = call.body {
            request = request.body(body);
        }
        exchange(request, self.settings.expect.as_ref(), &call.secrets, now).await
    }

    /// The request for a notice.
    fn call(&self, letter: Letter<'_>, engine: &Engine) -> Result<Call, String> {
        let secret = match &self.settings.secret {
            Some(from) => read_secret(from)?,
            None => String::new(),
        };
        let rendered = letter.rendered;
        let words = Words::of(letter.notice, letter.setting)
            .with("subject", &rendered.subject)
            .with("text", &rendered.text)
            .with("html", &rendered.html)
            .with("secret", &secret);
        let url = match &self.settings.url {
            WebhookUrl::Inline(..) => part(engine, Slot::Url, &words, "url")?,
            WebhookUrl::File(path) => read_line(path)?.trim().to_owned(),
        };
        let mut secrets = vec![percent_encoded(&secret), secret];
        if let WebhookUrl::File(_) = &self.settings.url {
            // The path alone is as good as the whole to whoever knows the host.
            let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
            secrets.extend([url.clone(), path.map(|(_, path)| path.to_owned()).unwrap_or_default()]);
        }
        let mut headers = Vec::with_capacity(self.settings.headers.len() + 2);
        for (number, header) in self.settings.headers.iter().enumerate() {
            let value = part(engine, Slot::Header(number), &words, &header.name)?;
            let name = HeaderName::from_bytes(header.name.as_bytes())
                .map_err(|_| format!("the header {}", header.name))?;
            headers.push((name, header_value(&value, &header.name)?));
        }
        headers.push((
            HeaderName::from_static("idempotency-key"),
            header_value(letter.notice.id.as_str(), "Idempotency-Key")?,
        ));
        let mut wrong = None;
        let body = match &self.settings.body {
            Some(_) => {
                let made = engine.webhook_part(Slot::Body(body_kind(&self.settings)), &words);
                Some(match made {
                    Some(Ok(body)) => body,
                    // What a receiver can make of the built-in body is better than nothing. A template that is not there had a
                    // mistake that was told at the start.
                    Some(Err(_)) | None => {
                        wrong = made.and_then(Result::err);
                        headers.retain(|(name, _)| *name != CONTENT_TYPE);
                        letter.json()
                    }
                })
            }
            None if self.settings.method == "GET" => None,
            None => Some(letter.json()),
        };
        if body.is_some() && !headers.iter().any(|(name, _)| *name == CONTENT_TYPE) {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        Ok(Call { url, headers, body, secrets, wrong })
    }
}

fn part(engine: &Engine, slot: Slot, words: &Words, what: &str) -> Result<String, String> {
    match engine.webhook_part(slot, words) {
        Some(Ok(text)) => Ok(one_line_of(&text)),
        Some(Err(wrong)) => Err(format!("{what}: {wrong}")),
        None => Err(format!("{what} has a template with a mistake; see the log of the start")),
    }
}

/// Without what would end a line; as long as it is.
fn one_line_of(text: &str) -> String {
    crate::alert::text::clean(text.trim())
}

/// A header may hold UTF-8; what may be a secret is not shown.
fn header_value(text: &str, name: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| one_line(&format!("the value of {name} is none that a header can have")))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::alert::notice::Notice;
    use crate::alert::text::{Setting, link_sample, load};
    use crate::config::Config;
    use crate::config::alerts::Kind;
    use crate::lang::Lang;

    /// What a webhook of these settings sends of a notice.
    fn call(webhook: &str, notice: &Notice) -> Result<Call, String> {
        let text = format!("alerts:\n  channels:\n    - name: hook\n      webhook:\n{webhook}");
        let config = Config::parse("c", text.as_bytes()).unwrap();
        let channel = &config.alerts.channels[0];
        let zone = TimeZone::UTC;
        let setting = Setting { lang: Lang::En, zone: &zone, page: None };
        let loaded = load(channel, &setting);
        let engine = loaded.engine;
        let (rendered, _) = engine.render(notice, &setting);
        let Kind::Webhook(settings) = &channel.kind else { panic!() };
        Hook::new(settings.clone())
            .call(Letter { notice, rendered: &rendered, setting: &setting, progress: 0 }, &engine)
    }

    fn hostile() -> Notice {
        let mut notice = link_sample();
        notice.site.as_mut().unwrap().name = "x\r\nBcc: y\", \"z\": \"&q=1 Tây Ninh".to_owned();
        notice
    }

    #[test]
    fn without_a_template_the_body_is_the_notice_and_its_texts() {
        let notice = hostile();
        let call = call("        url: http://127.0.0.1:9/x\n", &notice).unwrap();
        assert_eq!(call.url, "http://127.0.0.1:9/x");
        let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
        assert_eq!(body["id"], notice.id.as_str());
        assert_eq!(body["title"], "[DRILL: RESOLVED] x Bcc: y\", \"z\": \"&q=1 Tây Ninh, wan: Link down");
        let read: Notice = serde_json::from_value(body).unwrap();
        assert_eq!(read, notice);
        let names: Vec<_> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["idempotency-key", "content-type"]);
    }

    #[test]
    fn each_place_escapes_what_a_notice_says() {
        let call = call(
            "        url: \"http://127.0.0.1:9/{{ secret }}?q={{ what }}\"\n        secret_env: PATH\n        headers: {X-Site: \"{{ what }}\"}\n        body: '{\"a\": {{ what }}, \"b\": {{ url }}, \"n\": {{ cause }}}'\n",
            &hostile(),
        )
        .unwrap();
        assert!(
            call.url
                .ends_with("?q=x%20%20Bcc:%20y%22%2C%20%22z%22:%20%22%26q%3D1%20T%C3%A2y%20Ninh%2C%20wan"),
            "{}",
            call.url
        );
        let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
        assert_eq!(body["a"], "x  Bcc: y\", \"z\": \"&q=1 Tây Ninh, wan");
        assert_eq!(call.headers[0].1.as_bytes(), "x  Bcc: y\", \"z\": \"&q=1 Tây Ninh, wan".as_bytes());
    }

    #[test]
    fn a_form_is_percent_encoded_and_a_get_has_no_body() {
        let form = call(
            "        url: http://127.0.0.1:9/\n        headers: {Content-Type: application/x-www-form-urlencoded}\n        body: \"to=84&text={{ what }}\"\n",
            &hostile(),
        );
        assert!(form.unwrap().body.unwrap().ends_with("%26q%3D1%20T%C3%A2y%20Ninh%2C%20wan"));
        let get =
            call("        url: \"http://127.0.0.1:9/?t={{ subject }}\"\n        method: GET\n", &hostile());
        assert_eq!(get.unwrap().body, None);
    }

    #[test]
    fn a_body_that_fails_on_a_later_notice_is_told_and_the_built_in_one_says_what_it_is() {
        let form = "        url: http://127.0.0.1:9/\n        headers: {Content-Type: application/x-www-form-urlencoded}\n        body: \"a={% if flaps == 7 %}{{ nonsense }}{% endif %}\"\n";
        let kinds = |call: &Call| -> Vec<String> {
            let kinds = call.headers.iter().filter(|(name, _)| *name == CONTENT_TYPE);
            kinds.map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
        };
        let good = call(form, &hostile()).unwrap();
        assert_eq!((good.body.as_deref(), &good.wrong), (Some("a="), &None));
        assert_eq!(kinds(&good), ["application/x-www-form-urlencoded"]);
        let failed = call(form, &Notice { flaps: 7, ..hostile() }).unwrap();
        assert!(failed.body.as_deref().unwrap().starts_with("{\"id\":"), "{:?}", failed.body);
        assert_eq!(kinds(&failed), ["application/json"]);
        assert!(failed.wrong.unwrap().to_string().contains("undefined"));
    }

    #[test]
    fn a_body_with_a_mistake_is_the_built_in_one_and_an_address_with_one_is_told() {
        let notice = hostile();
        let body = call("        url: http://127.0.0.1:9/\n        body: \"{{ nonsense }}\"\n", &notice)
            .unwrap()
            .body;
        assert!(body.unwrap().contains(notice.id.as_str()));
        let url = call("        url: \"http://127.0.0.1:9/{{ nonsense }}\"\n", &notice);
        assert_eq!(url.unwrap_err(), "url has a template with a mistake; see the log of the start");
        let missing =
            call("        url: http://127.0.0.1:9/\n        secret_file: /nowhere/secret\n", &notice);
        assert!(missing.unwrap_err().contains("/nowhere/secret"));
    }
}
