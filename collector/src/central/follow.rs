//! Keeps the sites' documents what file and register say, while the server runs.
//!
//! Once a second the file is looked at (not read: its times, length and inode), and the register's revision:
//!
//! - The **file** has changed, and two looks agree on how, so that nobody is writing it: it is compiled anew, and taken over if
//!   all is good. While what is there is bad it is also read at each look, and compiled anew when the register has changed: it
//!   may have become good by itself.
//! - The **register** has changed, or a day of the province has begun (sites open and close by days): the last good file is
//!   compiled anew. Sites with which something is wrong keep the documents that they have; all others get theirs.
//!
//! The last good file is kept in the data folder, and every site's document beside it. So a server that is started with a file
//! that has a mistake goes on with the last good one, and says so; only the first start with a bad file is refused, while
//! whoever wrote it is there. And a site of which no document can be made now has the one that it had before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_settings::{CONFIGURATION_BYTES, Mistake, Mistakes, read_file};
use wan_wire::SiteId;

use super::compile::{Basis, Compilation, compile, compile_again, without_file};
use super::{Document, Standing};
use crate::clock;
use crate::state::State;

/// The last good file, in the data folder.
pub const LAST_GOOD: &str = "agent-config.last-good";
/// Every site's document, in the data folder: a JSON object, its text by the site's id.
pub const DOCUMENTS: &str = "agent-documents.last-good";
/// How often file and register are looked at: a change reaches agents within this and a push interval.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A province of 10,000 sites with a layer each is 2 MB.
const MOST_FILE_BYTES: u64 = 16 * CONFIGURATION_BYTES;
/// So many mistakes are logged and shown; the file may have thousands.
const MOST_SHOWN: usize = 50;

/// Reads a file of layers.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, Mistakes> {
    read_file(path, MOST_FILE_BYTES)
}

/// The documents that were kept in this data folder. Without any, or with a file that cannot be read, there are none: they are
/// made anew, but for those of which none can be made now.
#[must_use]
pub fn kept_documents(data: &Path) -> BTreeMap<SiteId, Document> {
    let path = data.join(DOCUMENTS);
    let texts: BTreeMap<String, String> = match fs::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
        Ok(Ok(texts)) => texts,
        Ok(Err(error)) => {
            tracing::warn!(file = %path.display(), %error, "the documents that agents had last cannot be read");
            return BTreeMap::new();
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the documents that agents had last cannot be read");
            return BTreeMap::new();
        }
    };
    texts.into_iter().filter_map(|(site, text)| Some((site.parse().ok()?, Document::of(text)))).collect()
}

/// What a change is seen by: when it was written, when anything about it was changed (its mode, say), length and inode.
pub(crate) type Look = Option<[(i64, i64); 3]>;

pub(crate) fn look_at(path: &Path) -> Look {
    let found = fs::metadata(path).ok()?;
    let (length, inode) = (found.len().cast_signed(), found.ino().cast_signed());
    Some([(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()), (length, inode)])
}

/// Follows file and register.
#[derive(Debug)]
pub struct Follower {
    state: Arc<State>,
    path: Option<PathBuf>,
    /// What the file looked like last.
    seen: Look,
    /// What it looked like when it was last taken, or refused.
    taken: Look,
    revision: i64,
    day: Option<jiff::civil::Date>,
    good: Option<Vec<u8>>,
    /// What is wrong with the file that is there; nothing: it is the good one.
    mistakes: Vec<Mistake>,
    /// Its bytes, where they could be read.
    refused: Option<Vec<u8>>,
    /// What is wrong of the good file together with the present register.
    faults: Vec<Mistake>,
    /// The documents as they were last kept.
    kept: BTreeMap<SiteId, Arc<Document>>,
}

impl Follower {
    /// Compiles what there is, so that documents are served from the first answer on.
    ///
    /// # Errors
    /// The file has mistakes, and there is no last good one.
    pub fn start(state: Arc<State>) -> Result<Self, Mistakes> {
        let path = state.config.agents.clone();
        let mut follower = Self {
            state,
            path,
            seen: None,
            taken: None,
            revision: -1,
            day: None,
            good: None,
            mistakes: Vec::new(),
            refused: None,
            faults: Vec::new(),
            kept: BTreeMap::new(),
        };
        follower.note();
        follower.restore();
        let Some(path) = follower.path.clone() else {
            follower.again();
            return Ok(follower);
        };
        let Err(mistakes) = follower.take(&path) else { return Ok(follower) };
        match fs::read(follower.last_good()) {
            Ok(bytes) => {
                tracing::error!(
                    file = %path.display(),
                    last_good = %follower.last_good().display(),
                    "the agents' configuration has mistakes; agents go on with the last good one until it is mended"
                );
                follower.good = Some(bytes);
                follower.again();
                Ok(follower)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(mistakes),
            Err(error) => {
                tracing::error!(%error, "the last good agents' configuration cannot be read");
                Err(mistakes)
            }
        }
    }

    /// Looks once a second, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            // Compiling for ten thousand sites takes its time; no other task waits for it.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(follower) => self = follower,
                Err(error) => {
                    tracing::error!(%error, "the agents' configuration is no longer followed: a defect of the collector");
                    return;
                }
            }
        }
    }

    /// Looks whether anything has changed, and takes it over if it is good.
    fn look(&mut self) {
        let (seen, revision, day) = (self.seen, self.revision, self.day);
        self.note();
        let register = (revision, day) != (self.revision, self.day);
        let due = self.path.clone().filter(|path| self.is_due(path, seen == self.seen, register));
        let took = due.as_deref().map(|path| self.take(path));
        if matches!(took, Some(Err(_))) || (took.is_none() && register) {
            self.again();
        }
    }

    /// Whether the file is to be compiled: it has changed and nobody is writing it, or it was bad and may be good now.
    fn is_due(&self, path: &Path, still: bool, register: bool) -> bool {
        if self.seen != self.taken {
            return still;
        }
        !self.mistakes.is_empty() && (register || read(path).ok() != self.refused)
    }

    /// Notes what is there to be compared with the next time.
    fn note(&mut self) {
        self.seen = self.path.as_deref().and_then(look_at);
        self.revision = self.state.directory().revision;
        self.day = Some(clock::today(&self.state.config.timezone));
    }

    /// Takes the file over if it is good, and says what is wrong with it if it is not.
    fn take(&mut self, path: &Path) -> Result<(), Mistakes> {
        self.taken = self.seen;
        let found = read(path);
        let compiled = match &found {
            Ok(bytes) => self.with_basis(|basis| compile(&path.display().to_string(), bytes, basis)),
            Err(mistakes) => Err(mistakes.clone()),
        };
        let (Ok(bytes), Ok(compiled)) = (&found, &compiled) else {
            let mistakes = compiled.err().unwrap_or_else(|| Mistakes::new(Vec::new()));
            self.refused = found.ok();
            if mem::replace(&mut self.mistakes, mistakes.iter().cloned().collect()) != self.mistakes {
                log(&self.mistakes);
                tracing::error!(
                    file = %path.display(),
                    "the agents' configuration has mistakes; the last good one goes on"
                );
            }
            self.stand(false);
            return Err(mistakes);
        };
        tracing::info!(
            file = %path.display(),
            sites = compiled.sites.len(),
            "the agents' configuration is taken over"
        );
        (self.mistakes, self.refused) = (Vec::new(), None);
        if self.good.as_deref() != Some(bytes)
            && let Err(error) = keep(&self.last_good(), bytes)
        {
            tracing::warn!(%error, "the agents' configuration holds, but cannot be kept for a start with a bad one");
        }
        self.good = Some(bytes.clone());
        self.install(compiled.clone(), true);
        Ok(())
    }

    /// Compiles what was good for the register as it is now. Without a file, agents that watch others are configured by the
    /// register alone.
    fn again(&mut self) {
        let name = match self.path.as_deref().filter(|_| self.mistakes.is_empty()) {
            Some(path) => path.display().to_string(),
            None => self.last_good().display().to_string(),
        };
        let compiled = match &self.good {
            Some(good) => self.with_basis(|basis| compile_again(&name, good, basis)),
            None if self.path.is_none() => Ok(self.with_basis(without_file)),
            None => return,
        };
        match compiled {
            Ok(compiled) => self.install(compiled, false),
            Err(mistakes) => {
                tracing::error!(%mistakes, "the last good agents' configuration cannot be read; agents keep what they have");
            }
        }
    }

    fn with_basis<T>(&self, work: impl FnOnce(&Basis<'_>) -> T) -> T {
        let former: BTreeSet<SiteId> = self.state.central.told().into_keys().collect();
        let directory = self.state.directory();
        work(&Basis {
            plan: &self.state.config.plan,
            register: Some(&directory.register),
            zone: &self.state.config.timezone,
            now: clock::now(),
            former: &former,
        })
    }

    /// Puts the documents in the place of those that were; a site of which none can be made keeps what it has.
    fn install(&mut self, compiled: Compilation, anew: bool) {
        let Compilation { mut sites, held, faults } = compiled;
        if mem::replace(&mut self.faults, faults) != self.faults {
            log(&self.faults);
            if !self.faults.is_empty() {
                tracing::error!(
                    sites = held.len(),
                    "the agents' configuration does not fit the register; these sites keep what they have"
                );
            }
        }
        let mut documents = BTreeMap::new();
        for (id, site) in &self.state.directory().runtimes {
            if !held.contains_key(id) {
                site.set_document(sites.remove(id).map(|compiled| compiled.document));
            }
            if let Some(document) = site.document() {
                documents.insert(id.clone(), document);
            }
        }
        self.state.central.set_held(held);
        self.stand(anew);
        if documents == self.kept {
            return;
        }
        let texts: BTreeMap<&str, &str> =
            documents.iter().map(|(id, document)| (id.as_str(), document.body.as_str())).collect();
        let kept = serde_json::to_vec(&texts).map_err(io::Error::from);
        match kept.and_then(|bytes| keep(&self.state.config.data.join(DOCUMENTS), &bytes)) {
            Ok(()) => self.kept = documents,
            Err(error) => {
                tracing::warn!(%error, "the agents' documents hold, but cannot be kept for the next start");
            }
        }
    }

    /// Gives the sites the documents that they had when the server ended.
    fn restore(&mut self) {
        let mut documents = kept_documents(&self.state.config.data);
        for (id, site) in &self.state.directory().runtimes {
            site.set_document(documents.remove(id));
            if let Some(document) = site.document() {
                self.kept.insert(id.clone(), document);
            }
        }
    }

    /// Says how things stand: since when they are good or bad is kept while they stay so, unless a good file was taken `anew`.
    fn stand(&self, anew: bool) {
        // Where the file that is there is the last good one, which no longer fits, its mistakes are said once.
        let last_good = self.last_good().display().to_string();
        let twice = |fault: &&Mistake| fault.file == last_good && self.refused == self.good;
        let wrong = self.mistakes.iter().chain(self.faults.iter().filter(|fault| !twice(fault)));
        let mistakes: Vec<Mistake> = wrong.take(MOST_SHOWN).cloned().collect();
        let standing = match self.state.central.standing() {
            Standing::Bad(since, _) if !mistakes.is_empty() => Standing::Bad(since, mistakes),
            Standing::None | Standing::Good(_) if !mistakes.is_empty() => {
                Standing::Bad(clock::now(), mistakes)
            }
            Standing::None | Standing::Good(_) | Standing::Bad(..) if self.path.is_none() => Standing::None,
            Standing::Good(since) if !anew => Standing::Good(since),
            Standing::None | Standing::Good(_) | Standing::Bad(..) => Standing::Good(clock::now()),
        };
        let bad = matches!(standing, Standing::Bad(..));
        self.state.counters.agent_config_good.set(i64::from(!bad));
        self.state.central.set_standing(standing);
    }

    fn last_good(&self) -> PathBuf {
        self.state.config.data.join(LAST_GOOD)
    }
}

fn log(mistakes: &[Mistake]) {
    for mistake in mistakes.iter().take(MOST_SHOWN) {
        tracing::error!("{mistake}");
    }
    if mistakes.len() > MOST_SHOWN {
        tracing::error!("… and {} more mistakes", mistakes.len() - MOST_SHOWN);
    }
}

/// Replaces a file: after a power cut at any moment it is the old one or the new one.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
