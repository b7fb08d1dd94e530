//! Who is sent what: one scrape is made at a time, and those who ask at about the same time share it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use parking_lot::Mutex;
use wan_wire::UnixMillis;

use super::{CONTENT_TYPE, Scrape, scrape};
use crate::clock;
use crate::state::State;

/// Makes scrapes, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Scraper {
    /// The newest, and when it was begun. Held while one is made, by blocking threads only.
    newest: Mutex<Option<(Instant, Scrape)>>,
}

impl Scraper {
    /// A scrape that was begun after it was asked for. Those who wait while one is made share the next. `None`: the one who asked is gone.
    pub(crate) fn scrape(
        &self,
        state: &State,
        now: UnixMillis,
        asked: Instant,
        wanted: &Wanted,
    ) -> Option<Scrape> {
        let mut newest = self.newest.lock();
        if !wanted.is_wanted() {
            return None;
        }
        if let Some((_, scrape)) = newest.as_ref().filter(|(began, _)| *began >= asked) {
            return Some(scrape.clone());
        }
        let began = clock::monotonic();
        let made = scrape(state, now, &|| wanted.is_wanted())?;
        *newest = Some((began, made.clone()));
        Some(made)
    }
}

/// Whether somebody waits for a scrape still. Dropped with the request that it was made for.
#[derive(Debug, Default)]
pub(crate) struct Wanted(Arc<AtomicBool>);

impl Wanted {
    /// The same, for the thread that works.
    pub(crate) fn watch(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn is_wanted(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    /// Nobody does.
    pub(crate) fn gone(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A scrape as the client reads it: as gzip where it says that it can, else as text that is made while it is read.
pub(crate) fn answer(scrape: &Scrape, asked: &HeaderMap) -> Response {
    let mut response = if takes_gzip(asked) {
        let length = scrape.gzip_length();
        let chunks = scrape.gzip().map(Ok::<_, Infallible>);
        let mut response = Response::new(Body::from_stream(stream::iter(chunks)));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        response
    } else {
        Response::new(Body::from_stream(stream::iter(scrape.text().map(Ok::<_, Infallible>))))
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Whether `Accept-Encoding` (RFC 9110, 12.5.3) names gzip, or any, with a weight above zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let names = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = None;
    for coding in names.flat_map(|names| names.split(',')) {
        let (name, weight) = coding.split_once(';').map_or((coding, None), |(name, rest)| (name, Some(rest)));
        let weight = weight.and_then(|rest| rest.trim().strip_prefix("q="));
        let takes = weight.is_none_or(|weight| weight.trim().parse::<f64>().is_ok_and(|weight| weight > 0.0));
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return takes,
            "*" => any = Some(takes),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::{NOW, province};

    #[test]
    fn gzip_is_sent_to_who_says_that_it_takes_it() {
        let asks = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            takes_gzip(&headers)
        };
        assert!(asks(&["gzip"]) && asks(&["deflate, GZIP;q=0.5"]) && asks(&["*"]) && asks(&["br", "gzip"]));
        assert!(asks(&["*;q=0, gzip"]) && asks(&["identity, *;q=0.1"]));
        assert!(
            !asks(&[]) && !asks(&[""]) && !asks(&["identity"]) && !asks(&["gzip;q=0"]) && !asks(&["*;q=0"])
        );
        assert!(!asks(&["gzip; q=0.000, *"]) && !asks(&["gzip;q=what"]) && !asks(&["not-gzip"]));
    }

    #[test]
    fn those_who_wait_share_the_next_scrape_and_nobody_is_sent_an_older_one() {
        let (state, scraper, wanted) = (province(), Scraper::default(), Wanted::default());
        let bytes = |asked| {
            let scrape = scraper.scrape(&state, NOW, asked, &wanted).unwrap();
            scrape.text().collect::<Vec<_>>().concat()
        };
        let asked = clock::monotonic();
        let first = bytes(asked);
        state.counters.samples.inc();
        assert!(bytes(asked) == first, "asked before it was begun");
        let second = bytes(clock::monotonic());
        assert!(second != first, "asked after it was begun");
        assert!(bytes(asked) == second);
    }

    #[test]
    fn one_who_is_gone_has_nothing_made_and_the_next_one_is_answered() {
        let (state, scraper, wanted) = (province(), Scraper::default(), Wanted::default());
        let watch = wanted.watch();
        wanted.gone();
        assert!(scraper.scrape(&state, NOW, clock::monotonic(), &watch).is_none());
        assert!(scraper.scrape(&state, NOW, clock::monotonic(), &Wanted::default()).is_some());
    }
}
