//! What the collector keeps: register, agents' secrets, evidence, and how far the journal has become evidence.
//!
//! [`Store`] is the whole of what the rest of the collector knows about storage; SQL and transactions live behind it.
//! [`sqlite::SqliteStore`] is the embedded default.
//!
//! # Who is durable when
//!
//! An acknowledged request is durable in the journal. [`Store::checkpoint`] writes what the engine derived from it, together
//! with the journal position up to which that is complete, in one transaction: after a crash the stored position and the
//! stored evidence agree, and the journal behind the position is replayed. The journal's cursor, past which segments are
//! deleted, may move only after the checkpoint has returned, because only then is it on the disk.
//!
//! # Revision
//!
//! Every change of register or secrets raises [`Store::revision`] by one in the same transaction. A running server asks
//! for it every second or two (one row, some microseconds) and reads register and secrets anew when it has changed.

pub mod sqlite;

use std::future::Future;
use std::path::PathBuf;

use wan_wire::{LinkName, SiteId, UnixMillis};

use crate::inventory::Register;
use crate::inventory::diff::Change;
use crate::ledger::span::Span;

/// Why the store did not do what it was asked to. Each names the database and the operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no database yet.
    #[error("{}: there is no database yet; import a register or start the server first", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// The file is not a database, or damaged.
    #[error(
        "{}: the database is damaged or is not one ({reason}); move it away and restore a backup — what agents have sent since is in the journal beside it",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error(
        "{}: the database has schema {found}, this program knows {known}; use the newer wan-collector that wrote it",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
        /// The newest schema's number that this program knows.
        known: i64,
    },
    /// The database was written by an older program and may not be changed here.
    #[error(
        "{}: the database has schema {found}, this program needs {known}; start the server once, it brings the database up to date",
        path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
        /// The schema's number that this program needs.
        known: i64,
    },
    /// Another process held the database for too long.
    #[error("{}: another process is writing the database ({operation}); try again", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
    },
    /// A stored value cannot be read as what it should be.
    #[error("{}: {what} in the database is not valid: {value}", path.display())]
    Invalid {
        /// The database.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is stored.
        value: String,
    },
    /// The register has changed since it was read.
    #[error("the register was changed by someone else in the meantime; nothing was written, try again")]
    Conflict,
    /// Anything else that the engine reports.
    #[error("{}: cannot {operation}: {source}", path.display())]
    Engine {
        /// The database.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// The engine's error.
        source: sqlx::Error,
    },
}

/// Number of a series in the store; stays the same for the store's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub i64);

/// Whose link is watched, and from where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The site that the link belongs to.
    pub site: SiteId,
    /// The link.
    pub link: LinkName,
    /// The site whose agent saw it.
    pub vantage: SiteId,
}

/// What one series' evidence has become from some instant on.
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceUpdate {
    /// The series, as [`Store::series_ids`] numbered it.
    pub series: SeriesId,
    /// Stored spans that start at or after this are replaced by `spans`. To be exact this has to be the start of a span
    /// that is stored or in `spans`, not an instant within a stored span: that one would be left as it is.
    pub dirty_from: UnixMillis,
    /// All spans of the series that start at or after `dirty_from`, in order.
    pub spans: Vec<Span>,
}

/// A time in which the collector was able to hear the agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// First instant.
    pub start: UnixMillis,
    /// First instant after it.
    pub end: UnixMillis,
}

/// What [`Store::checkpoint`] makes durable, all or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'c> {
    /// The series that have changed; each at most once.
    pub updates: &'c [EvidenceUpdate],
    /// The collector's present life: replaces the stored one with the same start.
    pub alive: Option<Alive>,
    /// Sequence number of the first journal record that is not yet in the evidence.
    ///
    /// `None` leaves the stored one: this is a part, and others with the rest of the evidence follow. Evidence may be newer
    /// than the position, since replaying a record over evidence that has it changes nothing; it must never be older.
    pub journal_position: Option<u64>,
}

/// One issued secret of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSecret {
    /// The site that it speaks for.
    pub site: SiteId,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was issued.
    pub issued: UnixMillis,
    /// Since when it is not accepted any more.
    pub revoked: Option<UnixMillis>,
}

/// Register and secrets at one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The revision of both.
    pub revision: i64,
    /// The register.
    pub register: Register,
    /// All secrets ever issued, revoked ones included, ordered by site and time of issue.
    pub secrets: Vec<AgentSecret>,
}

/// Storage of the collector.
///
/// All methods may be called at the same time from several tasks; the store serialises writers.
pub trait Store: Send + Sync + 'static {
    /// The present revision of register and secrets.
    fn revision(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Register, secrets and their revision, all from one instant.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// Writes changes of the register in one transaction and returns the new revision. `revision` is the one that the
    /// changes were computed from: if the register has changed since, nothing is written ([`StoreError::Conflict`]).
    fn change_register(
        &self,
        revision: i64,
        changes: &[Change],
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Adds secrets, and first revokes the active ones of the same sites at their time of issue; one transaction. With
    /// `revision` as in [`Store::change_register`].
    fn issue_secrets(
        &self,
        revision: i64,
        secrets: &[AgentSecret],
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Revokes all active secrets of `site` and returns how many there were.
    fn revoke_secrets(
        &self,
        site: &SiteId,
        at: UnixMillis,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The numbers of `series`, in the same order; series that are not known yet get one.
    fn series_ids(&self, series: &[Series])
    -> impl Future<Output = Result<Vec<SeriesId>, StoreError>> + Send;

    /// Makes evidence and journal position durable together. Returns after they are on the disk.
    fn checkpoint(&self, checkpoint: Checkpoint<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The position that the last checkpoint set; `None` before the first.
    fn journal_position(&self) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Hands every series with its spans in order to `each`, one series at a time; also series without a span. All that is
    /// handed over is from one instant.
    fn load_evidence(
        &self,
        each: impl FnMut(SeriesId, Series, Vec<Span>) + Send,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The times in which the collector was able to hear the agents, in order.
    fn alive(&self) -> impl Future<Output = Result<Vec<Alive>, StoreError>> + Send;
}
