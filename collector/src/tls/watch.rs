//! Looks after the certificate in use: takes over a replaced one, renews one of the collector's own making, and says early when
//! one will end.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use wan_wire::UnixMillis;

use super::{Secured, Source};
use crate::clock;
use crate::counters::Counters;

/// How often the files are looked at. A change is taken over at the second look that finds it, so that a certificate and its
/// key can be written one after the other.
const LOOK: Duration = Duration::from_secs(2);
/// A refused replacement is tried again after this without a change: it may have been too early.
const RETRY: Duration = Duration::from_secs(600);
/// How often the collector's own certificate is held against its names and its end.
const OWN: Duration = Duration::from_secs(3600);
/// With less than this left, the log says every day that a given certificate will end.
const EARLY: Duration = Duration::from_secs(21 * 86_400);
/// How often it says so.
const SAID: Duration = Duration::from_secs(86_400);

/// Looks after `secured` until `stop`. SIGHUP has it look at once; without TLS that does nothing.
pub async fn follow(secured: Option<Arc<Secured>>, counters: Arc<Counters>, stop: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!(%error, "cannot wait for SIGHUP"),
    };
    let mut looks = secured.map(|secured| Looks::new(secured, counters, clock::now()));
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep(LOOK), if looks.is_some() => false,
            _ = hangup.recv() => true,
            () = stop.cancelled() => return,
        };
        if let Some(looks) = &mut looks {
            looks.look(asked, clock::now());
        }
    }
}

/// What changes when a file is written or replaced: its time, length and inode.
type Stamp = Option<(SystemTime, u64, u64)>;

/// What the looks so far have found.
pub(super) struct Looks {
    secured: Arc<Secured>,
    counters: Arc<Counters>,
    /// The files' stamps when they were last read.
    read: [Stamp; 2],
    /// The stamps at the last look.
    seen: [Stamp; 2],
    /// Why the last replacement was refused, and when.
    refused: Option<(String, UnixMillis)>,
    /// When the collector's own certificate was last held against what it should be.
    own: UnixMillis,
    /// When the log last said that the certificate ends soon.
    said: Option<UnixMillis>,
}

impl Looks {
    pub(super) fn new(secured: Arc<Secured>, counters: Arc<Counters>, now: UnixMillis) -> Self {
        let stamps = stamps(&secured.source);
        let mut looks =
            Self { secured, counters, read: stamps, seen: stamps, refused: None, own: now, said: None };
        if let Some(last) = looks.secured.memory.last_pin() {
            looks.compare(&last);
        }
        looks.remember();
        looks.tell(now);
        looks
    }

    /// One look. `asked`: by an operator, who wants to be told what came of it.
    pub(super) fn look(&mut self, asked: bool, now: UnixMillis) {
        let secured = Arc::clone(&self.secured);
        match &secured.source {
            Source::Own { own, names } => {
                if asked || since(now, self.own) >= OWN {
                    self.own = now;
                    match own.certificate(names, now) {
                        Ok(identity) if identity.facts == secured.facts() => {
                            if asked {
                                tracing::info!(file = %own.certificate_file().display(), "the certificate is as it was");
                            }
                        }
                        Ok(identity) => self.replace(identity),
                        Err(error) => {
                            tracing::error!("the collector's own certificate stays as it is: {error:#}")
                        }
                    }
                }
            }
            Source::Files(files) => {
                let stamps = stamps(&secured.source);
                let settled = stamps == self.seen && stamps != self.read;
                let again = self.refused.as_ref().is_some_and(|(_, at)| since(now, *at) >= RETRY);
                self.seen = stamps;
                if asked || settled || again {
                    self.read = stamps;
                    let before = secured.facts();
                    let read = files.read().map_err(|error| error.to_string()).and_then(|identity| {
                        // Nothing is lost by a new certificate that has ended when the former one has too.
                        match identity.facts.out_of_time(now) {
                            Some(why) if before.out_of_time(now).is_none() => {
                                Err(format!("{}: {why}", files.certificate.display()))
                            }
                            Some(_) | None => Ok(identity),
                        }
                    });
                    match read {
                        Ok(identity) if identity.facts == before => {
                            self.refused = None;
                            if asked {
                                tracing::info!(file = %files.certificate.display(), "the certificate is as it was");
                            }
                        }
                        Ok(identity) => {
                            self.refused = None;
                            self.replace(identity);
                        }
                        Err(why) => {
                            if asked || self.refused.as_ref().is_none_or(|(former, _)| *former != why) {
                                tracing::error!(
                                    why,
                                    "the new certificate cannot be used; the former one stays in use, until {}",
                                    before.ends
                                );
                            }
                            self.refused = Some((why, now));
                        }
                    }
                }
            }
        }
        self.tell(now);
    }

    fn replace(&mut self, identity: super::Identity) {
        let (facts, before) = (identity.facts.clone(), self.secured.facts());
        match self.secured.replace(identity) {
            Ok(()) => {
                self.said = None;
                tracing::info!(
                    ends = %facts.ends,
                    names = facts.names.join(", "),
                    fingerprint = facts.fingerprint,
                    "a new certificate is in use; connections that stand go on"
                );
                self.compare(before.pin.as_deref().unwrap_or_default());
                self.remember();
            }
            Err(error) => tracing::error!("the new certificate cannot be used: {error:#}"),
        }
    }

    /// Says it where agents were told to pin a key that the certificate in use does not have.
    fn compare(&self, last: &str) {
        let now = self.secured.facts().pin.unwrap_or_default();
        if last.is_empty() || last == now {
            return;
        }
        let shown = if now.is_empty() { "none: its chain has no root" } else { now.as_str() };
        tracing::error!(
            former_pin = last,
            pin = shown,
            "the certificate has another pin than the former one: every agent that pins the former one refuses this collector \
             from its next connection on, and keeps what it measures. If that is not meant, put the former certificate, or one \
             of the same authority, back. If it is, add the new pin to `collector.pins` of every agent, or enrol them anew"
        );
    }

    /// For the next start: agents that pinned it will still be there.
    fn remember(&self) {
        let pin = self.secured.facts().pin.unwrap_or_default();
        if self.secured.memory.last_pin().as_deref() != Some(pin.as_str())
            && let Err(error) = self.secured.memory.remember_pin(&pin)
        {
            tracing::warn!("the pin that agents are to have cannot be remembered: {error:#}");
        }
    }

    /// The metric, and the log's warning.
    fn tell(&mut self, now: UnixMillis) {
        let facts = self.secured.facts();
        self.counters.certificate_ends(facts.ends);
        let left = facts.ends.since(now);
        if left >= EARLY || self.said.is_some_and(|said| since(now, said) < SAID) {
            return;
        }
        self.said = Some(now);
        let what = match &self.secured.source {
            // Not before it failed to be renewed for months.
            Source::Own { own, .. } => own.certificate_file(),
            Source::Files(files) => files.certificate.clone(),
        };
        let (file, ends) = (what.display(), facts.ends);
        if left.is_zero() {
            tracing::error!(%file, %ends, "the certificate has ended: agents and browsers refuse it; renew it");
        } else {
            let days = left.as_secs() / 86_400;
            tracing::warn!(%file, %ends, days, "the certificate ends soon; renew it, the collector takes it over by itself");
        }
    }
}

fn since(now: UnixMillis, earlier: UnixMillis) -> Duration {
    // A clock that was set back must not put off what is due.
    if now < earlier { Duration::MAX } else { now.since(earlier) }
}

fn stamps(source: &Source) -> [Stamp; 2] {
    let stamp = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().unwrap_or(SystemTime::UNIX_EPOCH), found.len(), found.ino()))
    };
    match source {
        Source::Own { .. } => [None, None],
        Source::Files(files) => [stamp(&files.certificate), stamp(&files.key)],
    }
}
