//! The embedded store: one SQLite file.
//!
//! - **WAL**, so that the command line reads while the server writes.
//! - **`synchronous = FULL`**: the journal's cursor moves once a checkpoint has returned, so the checkpoint must be on the
//!   disk by then. It is one sync every few seconds.
//! - **One writing connection**, every transaction `BEGIN IMMEDIATE`: a transaction that will write takes the lock at its
//!   start and waits for it there (`busy_timeout`), instead of failing half-way.
//! - A few reading connections, each of whose transactions sees one instant.

mod access;
mod agent_config;
mod alerts;
mod enrolment;
mod evidence;
mod incidents;
mod lives;
mod open;
mod outbox;
mod planned;
mod quality;
mod register;
mod reports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqlitePool;
use wan_wire::{SiteId, UnixMillis};

use super::{
    AddedWindow, AgentSecret, Alive, Applicant, Checkpoint, EnrolToken, Exchanged, Offered, Recent, Series,
    SeriesId, Snapshot, Store, StoreError, Wanted,
};
use crate::access::user::{Hash, Role, Session, Token, User, UserName};
use crate::alert::Notice;
use crate::alert::machine::{Entry, Key};
use crate::alert::notice::{AlertId, NoticeId};
use crate::alert::outbox::{Attempt, Count, Due, Progress, Waiting};
use crate::alert::record::{Acknowledgement, AlertChanges, Record, Silence, SilenceId, WantedAlerts};
use crate::calendar::Month;
use crate::central::Told;
use crate::config::alerts::ChannelName;
use crate::inventory::diff::Change;
use crate::ledger::life::Life;
use crate::ledger::span::Span;
use crate::ledger::told::{self, Changes, Restatement};
use crate::planned::{PlannedId, Removal, Work};
use crate::quality::{RowKey, Rows, Stream, StreamId, Table};
use crate::report::monthly::FirstReport;

/// A store in one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the database at `path` for reading and writing; makes it, its folder and its schema where they are missing, and
    /// brings an older schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        open::open(path).await
    }

    /// Opens the database at `path` for reading only, also while a server writes it.
    pub async fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        open::open_read_only(path).await
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes all connections; the last one folds the write-ahead log back into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Turns the engine's error into one that names file and operation.
    fn failed(&self, operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
        let path = self.path.clone();
        move |error| open::explain(&path, operation, error)
    }

    fn invalid(&self, what: &'static str, value: impl Into<String>) -> StoreError {
        StoreError::Invalid { path: self.path.clone(), what, value: value.into() }
    }
}

impl Store for SqliteStore {
    async fn alert_states(&self) -> Result<BTreeMap<Key, Entry>, StoreError> {
        self.read_alert_states().await
    }

    async fn write_alerts(&self, changes: &AlertChanges) -> Result<(), StoreError> {
        self.write_alert_changes(changes).await
    }

    async fn alerts(&self, wanted: &WantedAlerts) -> Result<Vec<Record>, StoreError> {
        self.read_alerts(wanted).await
    }

    async fn acknowledge(
        &self,
        alert: &AlertId,
        taken: Option<&Acknowledgement>,
    ) -> Result<bool, StoreError> {
        self.write_acknowledgement(alert, taken).await
    }

    async fn acknowledged(&self) -> Result<BTreeMap<AlertId, Acknowledgement>, StoreError> {
        self.read_acknowledged().await
    }

    async fn silences(&self, after: UnixMillis) -> Result<Vec<(SilenceId, Silence)>, StoreError> {
        self.read_silences(after).await
    }

    async fn add_silence(&self, silence: &Silence) -> Result<SilenceId, StoreError> {
        self.write_silence(silence).await
    }

    async fn end_silence(&self, id: SilenceId, by: &str, at: UnixMillis) -> Result<bool, StoreError> {
        self.write_silence_end(id, by, at).await
    }

    async fn revision(&self) -> Result<i64, StoreError> {
        self.read_revision().await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.read_snapshot().await
    }

    async fn change_register(&self, revision: i64, changes: &[Change]) -> Result<i64, StoreError> {
        self.write_register(revision, changes).await
    }

    async fn issue_secrets(&self, revision: i64, secrets: &[AgentSecret]) -> Result<i64, StoreError> {
        self.write_secrets(revision, secrets).await
    }

    async fn revoke_secrets(&self, site: &SiteId, at: UnixMillis) -> Result<u64, StoreError> {
        self.write_revocation(site, at).await
    }

    async fn add_planned(&self, work: &Work) -> Result<AddedWindow, StoreError> {
        self.write_planned(work).await
    }

    async fn remove_planned(&self, id: PlannedId, removal: &Removal) -> Result<bool, StoreError> {
        self.write_planned_removal(id, removal).await
    }

    async fn tokens(&self) -> Result<Vec<EnrolToken>, StoreError> {
        self.read_tokens().await
    }

    async fn token(&self, hash: &[u8; 32]) -> Result<Option<EnrolToken>, StoreError> {
        self.read_token(hash).await
    }

    async fn issue_tokens(&self, tokens: &[EnrolToken]) -> Result<(), StoreError> {
        self.write_tokens(tokens).await
    }

    async fn revoke_tokens(&self, site: &SiteId, at: UnixMillis) -> Result<u64, StoreError> {
        self.write_token_revocation(site, at).await
    }

    async fn exchange(&self, applicant: &Applicant, at: UnixMillis) -> Result<Exchanged, StoreError> {
        self.write_exchange(applicant, at).await
    }

    async fn ask_rotation(&self, sites: &[SiteId], at: UnixMillis) -> Result<(), StoreError> {
        self.write_rotation(sites, at).await
    }

    async fn offer_secret(
        &self,
        site: &SiteId,
        secret: &[u8; 32],
        at: UnixMillis,
    ) -> Result<Offered, StoreError> {
        self.write_offer(site, secret, at).await
    }

    async fn confirm_secret(&self, secret: &[u8; 32], at: UnixMillis) -> Result<bool, StoreError> {
        self.write_confirmation(secret, at).await
    }

    async fn agent_configs(&self) -> Result<BTreeMap<SiteId, Told>, StoreError> {
        self.read_agent_configs().await
    }

    async fn note_agent_config(&self, site: &SiteId, told: &Told) -> Result<(), StoreError> {
        self.write_agent_config(site, told).await
    }

    async fn series_ids(&self, series: &[Series]) -> Result<Vec<SeriesId>, StoreError> {
        self.intern(series).await
    }

    async fn checkpoint(&self, checkpoint: Checkpoint<'_>) -> Result<(), StoreError> {
        self.write_checkpoint(checkpoint).await
    }

    async fn journal_position(&self) -> Result<Option<u64>, StoreError> {
        self.read_journal_position().await
    }

    async fn count_series(&self) -> Result<u64, StoreError> {
        self.read_series_count().await
    }

    async fn load_evidence(
        &self,
        each: impl FnMut(SeriesId, Series, Vec<Span>) + Send,
    ) -> Result<(), StoreError> {
        self.read_evidence(each).await
    }

    async fn load_recent(
        &self,
        since: UnixMillis,
        each: impl FnMut(Recent) + Send,
    ) -> Result<(), StoreError> {
        self.read_recent(since, each).await
    }

    async fn load_older(
        &self,
        series: &[(SeriesId, UnixMillis)],
        since: UnixMillis,
        each: impl FnMut(SeriesId, Vec<Span>) + Send,
    ) -> Result<(), StoreError> {
        self.read_older(series, since, each).await
    }

    async fn load_lives(&self, each: impl FnMut(SiteId, Vec<Life>) + Send) -> Result<(), StoreError> {
        self.read_lives(each).await
    }

    async fn incidents(&self, wanted: &Wanted) -> Result<Vec<told::Told>, StoreError> {
        self.read_incidents(wanted).await
    }

    async fn restatements(&self, wanted: &Wanted) -> Result<Vec<Restatement>, StoreError> {
        self.read_restatements(wanted).await
    }

    async fn note_incidents(&self, changes: &Changes) -> Result<(), StoreError> {
        self.write_incidents(changes).await
    }

    async fn alive(&self) -> Result<Vec<Alive>, StoreError> {
        self.read_alive().await
    }

    async fn first_report(&self, month: Month) -> Result<Option<FirstReport>, StoreError> {
        self.read_first_report(month).await
    }

    async fn keep_first_report(&self, month: Month, report: &FirstReport) -> Result<bool, StoreError> {
        self.write_first_report(month, report).await
    }

    async fn somebody_may_read(&self, now: UnixMillis) -> Result<bool, StoreError> {
        self.read_somebody(now).await
    }

    async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.read_users().await
    }

    async fn user(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        self.read_user(name).await
    }

    async fn add_user(&self, user: &User) -> Result<bool, StoreError> {
        self.write_user(user).await
    }

    async fn set_password(&self, name: &UserName, hash: &str) -> Result<bool, StoreError> {
        self.write_password(name, hash).await
    }

    async fn set_role(&self, name: &UserName, role: Role) -> Result<bool, StoreError> {
        self.write_role(name, role).await
    }

    async fn set_disabled(&self, name: &UserName, since: Option<UnixMillis>) -> Result<bool, StoreError> {
        self.write_disabled(name, since).await
    }

    async fn remove_user(&self, name: &UserName) -> Result<bool, StoreError> {
        self.delete_user(name).await
    }

    async fn open_session(
        &self,
        session: &Session,
        password_hash: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write_session(session, password_hash, now).await
    }

    async fn session(&self, hash: &Hash) -> Result<Option<Session>, StoreError> {
        self.read_session(hash).await
    }

    async fn note_session_use(&self, hash: &Hash, at: UnixMillis) -> Result<(), StoreError> {
        self.write_session_use(hash, at).await
    }

    async fn end_session(&self, hash: &Hash) -> Result<bool, StoreError> {
        self.delete_session(hash).await
    }

    async fn add_reader_token(&self, token: &Token) -> Result<bool, StoreError> {
        self.write_reader_token(token).await
    }

    async fn reader_tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.read_reader_tokens().await
    }

    async fn reader_token(&self, hash: &Hash) -> Result<Option<Token>, StoreError> {
        self.read_reader_token(hash).await
    }

    async fn revoke_reader_token(&self, name: &UserName, at: UnixMillis) -> Result<bool, StoreError> {
        self.write_reader_token_revoked(name, at).await
    }

    async fn quality_position(&self) -> Result<Option<u64>, StoreError> {
        self.read_quality_position().await
    }

    async fn quality_streams(&self, site: Option<&SiteId>) -> Result<Vec<(StreamId, Stream)>, StoreError> {
        self.read_quality_streams(site).await
    }

    async fn quality_stream_ids(&self, streams: &[Stream]) -> Result<Vec<StreamId>, StoreError> {
        self.intern_quality_streams(streams).await
    }

    async fn quality_rows(
        &self,
        table: Table,
        keys: &[RowKey],
    ) -> Result<BTreeMap<RowKey, Vec<u8>>, StoreError> {
        self.read_quality(table, keys).await
    }

    async fn write_quality(&self, rows: &Rows) -> Result<(), StoreError> {
        self.write_quality_rows(rows).await
    }

    async fn quality_rows_before(
        &self,
        table: Table,
        number: i64,
        most: u32,
    ) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
        self.read_quality_before(table, number, most).await
    }

    async fn delete_quality_before(&self, table: Table, number: i64, most: u32) -> Result<u64, StoreError> {
        self.delete_quality_rows(table, number, most).await
    }

    async fn due_notices(
        &self,
        channel: &ChannelName,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.read_due(channel, now, limit).await
    }

    async fn waiting_notices(&self, channel: &ChannelName, now: UnixMillis) -> Result<Waiting, StoreError> {
        self.read_waiting(channel, now).await
    }

    async fn note_delivery(&self, number: i64, attempt: &Attempt, at: UnixMillis) -> Result<(), StoreError> {
        self.write_delivery(number, attempt, at).await
    }

    async fn firing_notices(&self, channel: &ChannelName, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.read_firing(channel, limit).await
    }

    async fn notice_progress(&self, notice: &NoticeId) -> Result<Vec<Progress>, StoreError> {
        self.read_progress(notice).await
    }

    async fn channels_told(
        &self,
        alert: &AlertId,
        channels: &[ChannelName],
    ) -> Result<Vec<ChannelName>, StoreError> {
        self.read_channels_told(alert, channels).await
    }

    async fn first_notice(&self, alert: &AlertId) -> Result<Option<(Notice, Vec<ChannelName>)>, StoreError> {
        self.read_first_notice(alert).await
    }

    async fn newest_notice(&self) -> Result<i64, StoreError> {
        self.read_newest_notice().await
    }

    async fn expire_notices(
        &self,
        before: UnixMillis,
        most: u32,
        channels: &[ChannelName],
        now: UnixMillis,
    ) -> Result<Vec<Count>, StoreError> {
        self.write_expiry(before, most, channels, now).await
    }
}
