//! HTTP around the push policy: one POST to one URL. No redirects, bounded answers, one limit for the whole exchange.

use std::sync::{Mutex, PoisonError};

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use wan_wire::{Protocol, Written, protocol};

use super::{Answered, retry_after};
use crate::config::{Collector, show_duration};
use crate::probe::{innermost, read_certificates};

/// Bytes of an answer's body that are read: enough for the reason of a refusal.
const ANSWER_LIMIT: usize = 4 * 1024;
/// Characters of it that reach the log.
const SHOWN_LIMIT: usize = 400;

/// An answer with its reason, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// How it ended.
    pub answered: Answered,
    /// The peer's words, or the error's.
    pub why: String,
    /// The samples that a 2.0 receiver says it wrote.
    pub written: Option<u64>,
}

/// Pushes to the collector's URLs.
pub struct Pushing {
    collector: Collector,
    client: Mutex<Option<Client>>,
}

impl Pushing {
    /// For this collector. The client is made at the first push.
    pub fn new(collector: Collector) -> Pushing {
        Pushing { collector, client: Mutex::new(None) }
    }

    /// Posts a compressed request to the URL at `path` in the configuration.
    pub async fn post(&self, path: usize, protocol: Protocol, secret: &str, body: Vec<u8>) -> Told {
        let failed = |why: String| Told { answered: Answered::Failed, why, written: None };
        let Some(endpoint) = self.collector.urls.get(path) else { return failed("no such URL".into()) };
        let client = match self.client() {
            Ok(client) => client,
            Err(why) => return failed(why),
        };
        let request = client
            .post(&endpoint.url)
            .header(AUTHORIZATION, format!("Bearer {secret}"))
            .header(CONTENT_TYPE, protocol.content_type())
            .header(CONTENT_ENCODING, protocol::CONTENT_ENCODING)
            .header(protocol::VERSION_HEADER, protocol.version())
            .body(body);
        match tokio::time::timeout(self.collector.timeout, exchange(request)).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => failed(innermost(&error)),
            Err(_) => failed(format!("no answer within {}", show_duration(self.collector.timeout))),
        }
    }

    fn client(&self) -> Result<Client, String> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(1)
            .tcp_nodelay(true)
            .user_agent(concat!("wan-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &self.collector.ca_file {
            builder = builder.tls_certs_only(read_certificates(path)?);
        } else if !self.collector.urls.iter().any(|endpoint| endpoint.url.starts_with("https:")) {
            // No roots are needed, so none are loaded: they are a good part of the memory that the agent takes.
            builder = builder.tls_certs_only([]);
        }
        let built = builder.build().map_err(|error| format!("no HTTP client: {}", innermost(&error)))?;
        *client = Some(built.clone());
        Ok(built)
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> Result<Told, reqwest::Error> {
    let response = request.send().await?;
    let code = response.status().as_u16();
    let headers = response.headers();
    let written = Written::from_headers(|name| text(headers, name));
    let answered = Answered::Status {
        code,
        html: text(headers, CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.trim_start().starts_with("text/html")),
        written: written.is_some(),
        retry_after: retry_after(text(headers, RETRY_AFTER.as_str())),
    };
    let body = body(response).await?;
    let why = if body.is_empty() { format!("status {code}") } else { format!("status {code}: {body}") };
    Ok(Told { answered, why, written: written.map(|written| written.samples) })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The beginning of the body as one printable line.
async fn body(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_LIMIT {
        let Some(chunk) = response.chunk().await? else { break };
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_LIMIT - bytes.len())]);
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.trim().replace('\n', "; ");
    Ok(line.chars().filter(|c| !c.is_control()).take(SHOWN_LIMIT).collect())
}
