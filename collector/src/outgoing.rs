//! What all have in common that asks another server: notices, samples that are sent on, heartbeats. Whom it trusts, its secrets, and how an
//! answer and an error are read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::Response;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use wan_settings::read_file;
use wan_wire::UnixMillis;

use crate::alert::text::one_line;
use crate::config::alerts::SecretFrom;

/// The longest that a try is put off, by a server that asks for it. What is put off for longer was so by a clock that was set back
/// since, and is tried.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Most bytes of a file with authorities.
const MOST_CA_BYTES: u64 = 4 << 20;
/// Most bytes of a file with a secret or an address.
const MOST_SECRET_BYTES: u64 = 64 << 10;

/// Trust in the system's authorities, and in those of a file.
pub(crate) fn client_tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // A system without authorities can still reach receivers by plain HTTP, or those of `ca_file`.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        for certificate in authorities(path)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The certificates of a PEM file; at least one.
pub(crate) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_file(path, MOST_CA_BYTES).map_err(|mistakes| first(&mistakes))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{}: no certificate in it", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The secret as it is now.
///
/// # Errors
/// Where it should be, and why it is not there.
pub(crate) fn read_secret(from: &SecretFrom) -> Result<String, String> {
    match from {
        SecretFrom::File(path) => read_line(path),
        SecretFrom::Env(name) => {
            std::env::var(name).map_err(|_| format!("the environment has no variable {name} that is text"))
        }
    }
}

/// A file's text without line breaks at its end.
pub(crate) fn read_line(path: &Path) -> Result<String, String> {
    let bytes = read_file(path, MOST_SECRET_BYTES).map_err(|mistakes| first(&mistakes))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: not UTF-8", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn first(mistakes: &wan_settings::Mistakes) -> String {
    mistakes.iter().next().map(ToString::to_string).unwrap_or_default()
}

/// `Retry-After` in seconds or as a date (RFC 9110), an hour at most.
pub(crate) fn wait(text: &str, now: UnixMillis) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => UnixMillis(rfc2822::parse(text).ok()?.timestamp().as_millisecond()).since(now),
    };
    Some(wait.min(LONGEST_WAIT))
}

/// At most so many bytes of an answer's body, and whether that is all of it.
pub(crate) async fn read(answer: &mut Response, most: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
        if body.len() > most {
            body.truncate(most);
            return (body, false);
        }
    }
}

/// An error and what caused it, on one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !shown.contains(&text) {
            shown.push_str(": ");
            shown.push_str(&text);
        }
        source = cause.source();
    }
    one_line(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_most() {
        let now = UnixMillis("2026-11-28T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let after = |text| wait(text, now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(after("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(after("Sat, 28 Nov 2026 00:02:00 GMT"), Some(Duration::from_secs(120)));
        assert_eq!(after("Fri, 27 Nov 2026 00:02:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-5", "99999999999999999999999"] {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
