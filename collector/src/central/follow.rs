//! Keeps the sites' documents what file and register say, while the server runs.
//!
//! Once a second the file is looked at (not read: its length, time and inode), and the register's revision. When either has
//! changed, or a day of the province has begun (sites open and close by days), everything is compiled anew; and only when all
//! is good are the documents exchanged.
//!
//! The last good file is kept in the data folder. So a server that is started with a file that has a mistake goes on with the
//! last good one, and says so; only the first start with a bad file is refused, while whoever wrote it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wan_settings::{CONFIGURATION_BYTES, Mistakes, read_file};
use wan_wire::SiteId;

use super::compile::{Basis, Compiled, compile, without_file};
use super::{Standing, first};
use crate::clock;
use crate::state::State;

/// The last good file, in the data folder.
pub const LAST_GOOD: &str = "agent-config.last-good";
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

/// What a change is seen by: time, length and inode.
type Look = Option<(i64, i64, u64, u64)>;

/// Follows file and register.
#[derive(Debug)]
pub struct Follower {
    state: Arc<State>,
    path: Option<PathBuf>,
    seen: Look,
    revision: i64,
    day: Option<jiff::civil::Date>,
    good: Option<Vec<u8>>,
}

impl Follower {
    /// Compiles what there is, so that documents are served from the first answer on.
    ///
    /// # Errors
    /// The file has mistakes, and there is no last good one.
    pub fn start(state: Arc<State>) -> Result<Self, Mistakes> {
        let path = state.config.agents.clone();
        let mut follower = Self { state, path, seen: None, revision: -1, day: None, good: None };
        follower.note();
        let Some(path) = follower.path.clone() else {
            follower.register_only();
            return Ok(follower);
        };
        let Err(mistakes) = follower.take_file(&path) else { return Ok(follower) };
        match fs::read(follower.last_good()) {
            Ok(bytes) => {
                follower.bad(&mistakes);
                tracing::error!(
                    file = %path.display(),
                    last_good = %follower.last_good().display(),
                    "the agents' configuration has mistakes; agents go on with the last good one until it is mended"
                );
                match follower.compile(&follower.last_good().display().to_string(), &bytes) {
                    Ok(compiled) => follower.install(compiled),
                    Err(mistakes) => {
                        tracing::error!(%mistakes, "the last good one does not fit the register any more; agents keep what they have");
                    }
                }
                follower.good = Some(bytes);
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
        let Some(path) = self.path.clone() else {
            if (revision, day) != (self.revision, self.day) {
                self.register_only();
            }
            return;
        };
        if seen != self.seen {
            if let Err(mistakes) = self.take_file(&path) {
                self.bad(&mistakes);
                tracing::error!(
                    file = %path.display(),
                    "the agents' configuration has mistakes; the last good one goes on"
                );
            }
        } else if (revision, day) != (self.revision, self.day)
            && let Some(good) = &self.good
        {
            match self.compile(&path.display().to_string(), good) {
                Ok(compiled) => {
                    self.install(compiled);
                    self.mended();
                }
                Err(mistakes) => {
                    self.bad(&mistakes);
                    tracing::error!(
                        "the agents' configuration does not fit the changed register; what agents have goes on"
                    );
                }
            }
        }
    }

    /// Notes what is there to be compared with the next time.
    fn note(&mut self) {
        let look = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
        };
        self.seen = self.path.as_ref().and_then(look);
        self.revision = self.state.directory().revision;
        self.day = Some(clock::today(&self.state.config.timezone));
    }

    fn take_file(&mut self, path: &Path) -> Result<(), Mistakes> {
        let bytes = read(path)?;
        let compiled = self.compile(&path.display().to_string(), &bytes)?;
        tracing::info!(
            file = %path.display(),
            sites = compiled.len(),
            "the agents' configuration is taken over"
        );
        self.install(compiled);
        self.state.central.set_standing(Standing::Good(clock::now()));
        self.state.counters.agent_config_good.set(1);
        if self.good.as_deref() != Some(&bytes)
            && let Err(error) = keep(&self.last_good(), &bytes)
        {
            tracing::warn!(%error, "the agents' configuration holds, but cannot be kept for a start with a bad one");
        }
        self.good = Some(bytes);
        Ok(())
    }

    /// Without a file, agents that watch others are configured by the register alone.
    fn register_only(&mut self) {
        match self.with_basis(without_file) {
            Ok(compiled) => self.install(compiled),
            Err(mistakes) => {
                self.log(&mistakes);
                tracing::error!(
                    "the register asks an agent to watch what cannot be watched; agents keep what they have"
                );
            }
        }
    }

    fn compile(&self, file: &str, bytes: &[u8]) -> Result<BTreeMap<SiteId, Compiled>, Mistakes> {
        self.with_basis(|basis| compile(file, bytes, basis))
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

    fn install(&self, mut compiled: BTreeMap<SiteId, Compiled>) {
        for (id, site) in &self.state.directory().runtimes {
            site.set_document(compiled.remove(id).map(|compiled| compiled.document));
        }
    }

    /// The file is bad: since when is kept while it stays so.
    fn bad(&self, mistakes: &Mistakes) {
        let since = match self.state.central.standing() {
            Standing::Bad(since, _) => since,
            Standing::None | Standing::Good(_) => clock::now(),
        };
        self.state.central.set_standing(Standing::Bad(since, first(mistakes, MOST_SHOWN)));
        self.state.counters.agent_config_good.set(0);
        self.log(mistakes);
    }

    /// The file that is there is the good one, and it fits the register again.
    fn mended(&self) {
        let same = self.path.as_deref().and_then(|path| read(path).ok()) == self.good;
        if same && matches!(self.state.central.standing(), Standing::Bad(..)) {
            self.state.central.set_standing(Standing::Good(clock::now()));
            self.state.counters.agent_config_good.set(1);
        }
    }

    fn log(&self, mistakes: &Mistakes) {
        for mistake in mistakes.iter().take(MOST_SHOWN) {
            tracing::error!("{mistake}");
        }
        if mistakes.len() > MOST_SHOWN {
            tracing::error!("… and {} more mistakes", mistakes.len() - MOST_SHOWN);
        }
    }

    fn last_good(&self) -> PathBuf {
        self.state.config.data.join(LAST_GOOD)
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
