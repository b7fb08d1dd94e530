//! What the collector keeps: register, agents' secrets and enrolment tokens, who may read, evidence, and how far the
//! journal has become evidence.
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
//! Every change of register, secrets or planned windows raises [`Store::revision`] by one in the same transaction. A running server asks
//! for it every second or two (one row, some microseconds) and reads them anew when it has changed. Users, tokens
//! and sessions have no part in it: they are looked up for each request.

pub mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;

use wan_wire::{LinkName, SiteId, UnixMillis};

use crate::access::user::{Hash, Role, Session, Token, User, UserName};
use crate::alert::Notice;
use crate::alert::machine::{Entry, Key};
use crate::alert::notice::{AlertId, NoticeId};
use crate::alert::outbox::{Attempt, Count, Due, Progress, Waiting};
use crate::alert::record::{Acknowledgement, AlertChanges, Record, Silence, SilenceId, WantedAlerts};
use crate::calendar::Month;
use crate::central::Told;
use crate::config::alerts::ChannelName;
use crate::inventory::Register;
use crate::inventory::diff::Change;
use crate::ledger::life::{LastWord, Life, LifeKey};
use crate::ledger::span::Span;
use crate::ledger::timeline::Window;
use crate::ledger::told::{self, Changes, IncidentId, Restatement};
use crate::planned::{Planned, PlannedId, Removal, Work};
use crate::quality::{RowKey, Rows, Stream, StreamId, Table};
use crate::report::monthly::FirstReport;

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

/// What is stored of one series from some instant on.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// Its number.
    pub id: SeriesId,
    /// The series.
    pub series: Series,
    /// The start of its first span; `None` when it has none.
    pub first: Option<UnixMillis>,
    /// The spans that start at or after that instant, and the one before them, in order.
    pub spans: Vec<Span>,
}

/// What the lives of one site's agent have become.
#[derive(Clone, Debug, PartialEq)]
pub struct LifeUpdate {
    /// The site.
    pub site: SiteId,
    /// Each life that has changed with its newest word; `None`: it is to be dropped.
    pub lives: Vec<(LifeKey, Option<LastWord>)>,
}

/// What [`Store::checkpoint`] makes durable, all or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkpoint<'c> {
    /// The series that have changed; each at most once.
    pub updates: &'c [EvidenceUpdate],
    /// The lives that have changed; each site at most once.
    pub lives: &'c [LifeUpdate],
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

/// Register, secrets and planned windows at one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The revision of all of it.
    pub revision: i64,
    /// The register.
    pub register: Register,
    /// All secrets ever issued, revoked ones included, ordered by site and time of issue.
    pub secrets: Vec<AgentSecret>,
    /// Which of them are being replaced.
    pub rotation: Rotation,
    /// All planned windows.
    pub planned: Planned,
}

/// Secrets that are being replaced without a visit to their sites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Sites whose agents are asked to offer a new secret, and since when.
    pub asked: BTreeMap<SiteId, UnixMillis>,
    /// Hashes of secrets that were offered and not used yet; the site's former one is accepted beside them.
    pub offered: BTreeSet<[u8; 32]>,
}

/// A one-time token, which an agent exchanges for the acceptance of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolToken {
    /// The site that its user becomes.
    pub site: SiteId,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// When it was issued.
    pub issued: UnixMillis,
    /// Not accepted from then on.
    pub expires: UnixMillis,
    /// What it was used for.
    pub used: Option<TokenUse>,
    /// Since when it is not accepted any more.
    pub revoked: Option<UnixMillis>,
}

/// The one use of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// When.
    pub at: UnixMillis,
    /// From which address.
    pub by: String,
    /// SHA-256 of the secret that it was used for.
    pub secret: [u8; 32],
}

/// One who asks for a secret to be accepted for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// SHA-256 of the token.
    pub token: [u8; 32],
    /// SHA-256 of the agent's new secret.
    pub secret: [u8; 32],
    /// The agent's address.
    pub address: String,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// The secret is the site's from now on.
    Accepted {
        /// The site.
        site: SiteId,
        /// Whether a secret that the site had is revoked by it.
        replaced: bool,
    },
    /// The same exchange as before: its answer was lost, and nothing has changed.
    Again {
        /// The site.
        site: SiteId,
    },
    /// There is no such token.
    Unknown,
    /// The token cannot be used any more; why is for [`crate::enrolment`] to say.
    Refused(EnrolToken),
    /// The secret is known already, as another's or as a former one.
    SecretKnown,
}

/// How the addition of a planned window ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedWindow {
    /// It is there, under this number.
    Added(PlannedId),
    /// The same is planned already, under this number; nothing was written.
    Already(PlannedId),
    /// There are as many as there may be; nothing was written.
    Full,
}

/// How the offer of a new secret ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is accepted beside the present one from now on.
    Accepted,
    /// Nobody asked this site for a new one.
    NotAsked,
    /// It is known already, as another's or as a former one.
    SecretKnown,
}

/// Which incidents are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Those that share an instant with it.
    pub window: Window,
    /// Of this site and its links.
    pub site: Option<SiteId>,
    /// This one.
    pub id: Option<IncidentId>,
    /// Those that go on.
    pub open: bool,
    /// Those of sites as a whole.
    pub sites: bool,
    /// Those that were restated in this time.
    pub restated: Option<Window>,
    /// At most so many: the ones that began last.
    pub limit: u32,
}

impl Wanted {
    /// All of a window.
    #[must_use]
    pub const fn all(window: Window) -> Self {
        Self { window, site: None, id: None, open: false, sites: false, restated: None, limit: u32::MAX }
    }
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

    /// Adds a planned window, unless the same is there and not removed.
    fn add_planned(&self, work: &Work) -> impl Future<Output = Result<AddedWindow, StoreError>> + Send;

    /// Ends a planned window, or makes it void, also one that was ended; says whether that was done, which it is not when there is no
    /// such window or it has come to that already.
    fn remove_planned(
        &self,
        id: PlannedId,
        removal: &Removal,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// All enrolment tokens, used and revoked ones included, ordered by site and time of issue.
    fn tokens(&self) -> impl Future<Output = Result<Vec<EnrolToken>, StoreError>> + Send;

    /// The token of this hash.
    fn token(&self, hash: &[u8; 32]) -> impl Future<Output = Result<Option<EnrolToken>, StoreError>> + Send;

    /// Adds tokens, and first revokes the unused ones of the same sites at their time of issue; one transaction.
    fn issue_tokens(&self, tokens: &[EnrolToken]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Revokes the unused tokens of `site` and returns how many there were.
    fn revoke_tokens(
        &self,
        site: &SiteId,
        at: UnixMillis,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Uses a token: in one transaction the token becomes used, the site's secrets are revoked and the applicant's is added.
    /// However many apply with one token, one is accepted. The same applicant may ask again.
    fn exchange(
        &self,
        applicant: &Applicant,
        at: UnixMillis,
    ) -> impl Future<Output = Result<Exchanged, StoreError>> + Send;

    /// Asks the agents of `sites` for new secrets.
    fn ask_rotation(
        &self,
        sites: &[SiteId],
        at: UnixMillis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes an offered secret in beside the site's present one, in place of one offered before.
    fn offer_secret(
        &self,
        site: &SiteId,
        secret: &[u8; 32],
        at: UnixMillis,
    ) -> impl Future<Output = Result<Offered, StoreError>> + Send;

    /// An offered secret has been used: it is the site's only one from now on. Whether it still was to be confirmed.
    fn confirm_secret(
        &self,
        secret: &[u8; 32],
        at: UnixMillis,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// What each agent last said of its central configuration.
    fn agent_configs(&self) -> impl Future<Output = Result<BTreeMap<SiteId, Told>, StoreError>> + Send;

    /// Keeps what an agent says of its central configuration, in place of what it said before.
    fn note_agent_config(
        &self,
        site: &SiteId,
        told: &Told,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The numbers of `series`, in the same order; series that are not known yet get one.
    fn series_ids(&self, series: &[Series])
    -> impl Future<Output = Result<Vec<SeriesId>, StoreError>> + Send;

    /// Makes evidence and journal position durable together. Returns after they are on the disk.
    fn checkpoint(&self, checkpoint: Checkpoint<'_>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The position that the last checkpoint set; `None` before the first.
    fn journal_position(&self) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// How many series there are.
    fn count_series(&self) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Hands every series with its spans in order to `each`, one series at a time; also series without a span. All that is
    /// handed over is from one instant.
    fn load_evidence(
        &self,
        each: impl FnMut(SeriesId, Series, Vec<Span>) + Send,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Hands every series to `each` with its spans that start at or after `since` and the one before them, which may reach
    /// into that time; also series without a span. To be called while nobody writes evidence.
    fn load_recent(
        &self,
        since: UnixMillis,
        each: impl FnMut(Recent) + Send,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Hands to `each` the spans of `series` that start before the instant beside it, back to `since` and one further, in
    /// order; series without such a span are left out.
    fn load_older(
        &self,
        series: &[(SeriesId, UnixMillis)],
        since: UnixMillis,
        each: impl FnMut(SeriesId, Vec<Span>) + Send,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Hands every site's lives to `each`, one site at a time.
    fn load_lives(
        &self,
        each: impl FnMut(SiteId, Vec<Life>) + Send,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Incidents as they were last told, gone ones included; the newest first.
    fn incidents(&self, wanted: &Wanted) -> impl Future<Output = Result<Vec<told::Told>, StoreError>> + Send;

    /// The restatements of the same incidents, by incident, in the order in which they were made.
    fn restatements(
        &self,
        wanted: &Wanted,
    ) -> impl Future<Output = Result<Vec<Restatement>, StoreError>> + Send;

    /// Writes what is told of incidents from now on, and what is said otherwise than before; all or nothing.
    fn note_incidents(&self, changes: &Changes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Where each key of an alert stands.
    fn alert_states(&self) -> impl Future<Output = Result<BTreeMap<Key, Entry>, StoreError>> + Send;

    /// Writes what a look at the alerts has changed, and what is to be told of it; all or nothing.
    fn write_alerts(&self, changes: &AlertChanges) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Alerts; those that fired last first.
    fn alerts(&self, wanted: &WantedAlerts) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Notes that somebody has taken an alert up, or with `None` that nobody has; says whether there is such an alert.
    fn acknowledge(
        &self,
        alert: &AlertId,
        taken: Option<&Acknowledgement>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The alerts that fire and that somebody has taken up.
    fn acknowledged(
        &self,
    ) -> impl Future<Output = Result<BTreeMap<AlertId, Acknowledgement>, StoreError>> + Send;

    /// The silences that end after an instant, ended ones among them, by number.
    fn silences(
        &self,
        after: UnixMillis,
    ) -> impl Future<Output = Result<Vec<(SilenceId, Silence)>, StoreError>> + Send;

    /// Adds a silence.
    fn add_silence(&self, silence: &Silence) -> impl Future<Output = Result<SilenceId, StoreError>> + Send;

    /// Ends a silence before its time, as `by` asks for it; says whether that was done, which it is not when there is none, or it is over.
    fn end_silence(
        &self,
        id: SilenceId,
        by: &str,
        at: UnixMillis,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The times in which the collector was able to hear the agents, in order.
    fn alive(&self) -> impl Future<Output = Result<Vec<Alive>, StoreError>> + Send;

    /// What was first reported of a month.
    fn first_report(
        &self,
        month: Month,
    ) -> impl Future<Output = Result<Option<FirstReport>, StoreError>> + Send;

    /// Keeps what is first reported of a closed month; says whether that was done, which it is not when something was already.
    fn keep_first_report(
        &self,
        month: Month,
        report: &FirstReport,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Whether anybody could prove to be a reader at `now`: there is an enabled user or a good token.
    fn somebody_may_read(&self, now: UnixMillis) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// All users, by name.
    fn users(&self) -> impl Future<Output = Result<Vec<User>, StoreError>> + Send;

    /// One user.
    fn user(&self, name: &UserName) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

    /// Adds a user; says whether that was done, which it is not when there is one of this name.
    fn add_user(&self, user: &User) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Changes a user's password and ends the user's sessions; says whether there is such a user.
    fn set_password(
        &self,
        name: &UserName,
        hash: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Makes a user a viewer or an operator, from the next request on; says whether there is such a user.
    fn set_role(&self, name: &UserName, role: Role) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Disables a user since an instant, or enables with `None`, and ends the user's sessions; says whether there is one.
    fn set_disabled(
        &self,
        name: &UserName,
        since: Option<UnixMillis>,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes a user with all sessions; says whether there was one.
    fn remove_user(&self, name: &UserName) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Opens a session of a user whose stored password hash is still `password_hash` and who is enabled, and ends all
    /// that are over at `now`; says whether that was so.
    fn open_session(
        &self,
        session: &Session,
        password_hash: &str,
        now: UnixMillis,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The session of this hash, whether over or not, of a user who is enabled.
    fn session(&self, hash: &Hash) -> impl Future<Output = Result<Option<Session>, StoreError>> + Send;

    /// Notes when a session was last used.
    fn note_session_use(
        &self,
        hash: &Hash,
        at: UnixMillis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a session; says whether there was one.
    fn end_session(&self, hash: &Hash) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Adds a token of a reader; says whether that was done, which it is not when there is one of this name that is not revoked.
    fn add_reader_token(&self, token: &Token) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// All readers' tokens ever made, by name and age.
    fn reader_tokens(&self) -> impl Future<Output = Result<Vec<Token>, StoreError>> + Send;

    /// The reader's token of this hash, whether good or not.
    fn reader_token(&self, hash: &Hash) -> impl Future<Output = Result<Option<Token>, StoreError>> + Send;

    /// Revokes the reader's token of this name; says whether there was one.
    fn revoke_reader_token(
        &self,
        name: &UserName,
        at: UnixMillis,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Up to where the journal is in the figures of quality: the position that [`Store::write_quality`] last set.
    fn quality_position(&self) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// The streams that have figures of quality, of one site or of all, by number.
    fn quality_streams(
        &self,
        site: Option<&SiteId>,
    ) -> impl Future<Output = Result<Vec<(StreamId, Stream)>, StoreError>> + Send;

    /// The numbers of `streams`, in the same order; streams that are not known yet get one.
    fn quality_stream_ids(
        &self,
        streams: &[Stream],
    ) -> impl Future<Output = Result<Vec<StreamId>, StoreError>> + Send;

    /// The rows of figures that there are of `keys`.
    fn quality_rows(
        &self,
        table: Table,
        keys: &[RowKey],
    ) -> impl Future<Output = Result<BTreeMap<RowKey, Vec<u8>>, StoreError>> + Send;

    /// Writes rows of figures and their journal position, all or nothing. Returns after they are on the disk.
    fn write_quality(&self, rows: &Rows) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The oldest rows before the hour or day `number`, at most `most` of them.
    fn quality_rows_before(
        &self,
        table: Table,
        number: i64,
        most: u32,
    ) -> impl Future<Output = Result<Vec<(RowKey, Vec<u8>)>, StoreError>> + Send;

    /// Deletes the oldest rows before the hour or day `number`, at most `most` of them; says how many there were.
    fn delete_quality_before(
        &self,
        table: Table,
        number: i64,
        most: u32,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// A channel's notices that may be tried at `now`, the oldest first, at most `limit`: of each alert only the first that waits.
    fn due_notices(
        &self,
        channel: &ChannelName,
        now: UnixMillis,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Due>, StoreError>> + Send;

    /// How many notices of a channel wait at `now`, and for when.
    fn waiting_notices(
        &self,
        channel: &ChannelName,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Waiting, StoreError>> + Send;

    /// Writes how a try of a notice ended. Returns after it is on the disk.
    fn note_delivery(
        &self,
        number: i64,
        attempt: &Attempt,
        at: UnixMillis,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The last notice of each alert that was given to a channel and has not ended there, at most `limit`.
    fn firing_notices(
        &self,
        channel: &ChannelName,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Notice>, StoreError>> + Send;

    /// How far a notice has come, by channel.
    fn notice_progress(
        &self,
        notice: &NoticeId,
    ) -> impl Future<Output = Result<Vec<Progress>, StoreError>> + Send;

    /// Those of `channels` that have been told something of an alert, or will be; not where it was refused, or given up.
    fn channels_told(
        &self,
        alert: &AlertId,
        channels: &[ChannelName],
    ) -> impl Future<Output = Result<Vec<ChannelName>, StoreError>> + Send;

    /// The first notice of an alert, and the channels that it was for.
    fn first_notice(
        &self,
        alert: &AlertId,
    ) -> impl Future<Output = Result<Option<(Notice, Vec<ChannelName>)>, StoreError>> + Send;

    /// The number of the newest notice, done with or not; 0 before the first. It grows with each that somebody writes.
    fn newest_notice(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Gives up notices that wait since before `before`, the oldest of those that are more than `most`, and what is for none of
    /// `channels`; and deletes what was done with [`crate::alert::outbox::KEPT`] ago. Says what was given up.
    fn expire_notices(
        &self,
        before: UnixMillis,
        most: u32,
        channels: &[ChannelName],
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<Count>, StoreError>> + Send;
}
