//! The outbox in SQL.

use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteConnection};
use wan_wire::UnixMillis;

use super::SqliteStore;
use crate::alert::notice::{AlertId, Notice, NoticeId};
use crate::alert::outbox::{Attempt, Count, Due, KEPT, LONGEST_WAIT, Progress, Waiting};
use crate::config::alerts::ChannelName;
use crate::store::StoreError;

/// What an alert's end is, in SQL.
const ENDS: &str = "('resolved', 'corrected')";
/// Whether an alert is over, also where its end went by other routes than its beginning.
const OVER: &str = "SELECT 1 FROM alert WHERE alert.id = o.alert AND alert.until_ms IS NOT NULL";

/// Writes notices within the caller's transaction, each for one channel; one that is there already is left as it is.
///
/// # Errors
/// What the database says.
pub(crate) async fn push_outbox(
    connection: &mut SqliteConnection,
    notices: &[(Notice, ChannelName)],
) -> Result<(), sqlx::Error> {
    for (notice, channel) in notices {
        sqlx::query(
            "INSERT INTO outbox (notice, channel, alert, event, body, created_ms, next_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (notice, channel) DO NOTHING",
        )
        .bind(notice.id.as_str())
        .bind(channel.as_str())
        .bind(notice.alert.as_str())
        .bind(notice.event.as_str())
        .bind(serde_json::to_string(notice).unwrap_or_default())
        .bind(notice.at.0)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

impl SqliteStore {
    pub(super) async fn read_due(
        &self,
        channel: &ChannelName,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        let failed = || self.failed("read the notices that are due");
        // Only the first that waits of each alert: no later one overtakes it.
        let query = format!(
            "SELECT number, body, attempts, progress, created_ms, superseded FROM (\
               SELECT *, EXISTS (SELECT 1 FROM outbox AS later \
                 WHERE later.channel = o.channel AND later.alert = o.alert AND later.state = 'pending' \
                 AND later.number > o.number AND (later.event IN {ENDS} \
                   OR (later.event = 'reminder' AND o.event = 'reminder'))) AS superseded \
               FROM outbox AS o WHERE channel = $1 AND state = 'pending' \
               AND NOT EXISTS (SELECT 1 FROM outbox AS earlier WHERE earlier.channel = o.channel \
                 AND earlier.alert = o.alert AND earlier.state = 'pending' AND earlier.number < o.number)) \
             WHERE next_ms <= $2 OR next_ms > $3 OR superseded \
             ORDER BY number LIMIT $4"
        );
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(channel.as_str())
            .bind(now.0)
            .bind(now.plus(LONGEST_WAIT).0)
            .bind(limit)
            .fetch(&self.readers);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let number = |index: usize| row.try_get::<i64, _>(index).map_err(failed());
            found.push(Due {
                number: number(0)?,
                notice: self.notice(row.try_get(1).map_err(failed())?)?,
                attempts: u32::try_from(number(2)?).unwrap_or(u32::MAX),
                progress: u32::try_from(number(3)?).unwrap_or(u32::MAX),
                created: UnixMillis(number(4)?),
                superseded: number(5)? != 0,
            });
        }
        Ok(found)
    }

    pub(super) async fn read_waiting(
        &self,
        channel: &ChannelName,
        now: UnixMillis,
    ) -> Result<Waiting, StoreError> {
        let failed = || self.failed("read how many notices wait");
        let row = sqlx::query(
            "SELECT COUNT(*), MIN(next_ms) FILTER (WHERE next_ms > $2 AND next_ms <= $3), MAX(created_ms) FROM outbox \
             WHERE channel = $1 AND state = 'pending'",
        )
        .bind(channel.as_str())
        .bind(now.0)
        .bind(now.plus(LONGEST_WAIT).0)
        .fetch_one(&self.readers)
        .await
        .map_err(failed())?;
        let pending: i64 = row.try_get(0).map_err(failed())?;
        let time = |index: usize| row.try_get::<Option<i64>, _>(index).map_err(failed());
        Ok(Waiting {
            pending: u64::try_from(pending).unwrap_or_default(),
            next: time(1)?.map(UnixMillis),
            newest: time(2)?.map(UnixMillis),
        })
    }

    pub(super) async fn write_delivery(
        &self,
        number: i64,
        attempt: &Attempt,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let failed = || self.failed("write how a delivery ended");
        let done = "UPDATE outbox SET state = $2, last_error = $3, done_ms = $4, attempts = attempts + 1 \
                    WHERE number = $1";
        let ended = |state: &'static str, why: Option<&str>| {
            sqlx::query(done).bind(number).bind(state).bind(why.map(str::to_owned)).bind(at.0)
        };
        let query = match attempt {
            Attempt::Delivered(why) => ended("delivered", why.as_deref()),
            Attempt::Refused(why) => ended("refused", Some(why)),
            Attempt::Superseded => ended("superseded", None),
            Attempt::Progress(progress) => {
                sqlx::query("UPDATE outbox SET progress = $2 WHERE number = $1").bind(number).bind(*progress)
            }
            Attempt::Again(next, why) => sqlx::query(
                "UPDATE outbox SET next_ms = $2, last_error = $3, attempts = attempts + 1 \
                 WHERE number = $1 AND state = 'pending'",
            )
            .bind(number)
            .bind(next.0)
            .bind(why.clone()),
        };
        query.execute(&self.writer).await.map_err(failed())?;
        Ok(())
    }

    pub(super) async fn read_firing(
        &self,
        channel: &ChannelName,
        limit: u32,
    ) -> Result<Vec<Notice>, StoreError> {
        let failed = || self.failed("read the alerts that fire");
        let query = format!(
            "SELECT body FROM outbox AS o WHERE channel = $1 AND event NOT IN {ENDS} \
             AND NOT EXISTS (SELECT 1 FROM outbox AS e WHERE e.channel = o.channel AND e.alert = o.alert \
               AND e.event IN {ENDS}) AND NOT EXISTS ({OVER}) \
             AND number = (SELECT MAX(number) FROM outbox AS l WHERE l.channel = o.channel AND l.alert = o.alert) \
             ORDER BY number LIMIT $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(channel.as_str())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed())?;
        rows.iter().map(|row| self.notice(row.try_get(0).map_err(failed())?)).collect()
    }

    pub(super) async fn read_progress(&self, notice: &NoticeId) -> Result<Vec<Progress>, StoreError> {
        let failed = || self.failed("read how far a notice has come");
        let rows = sqlx::query(
            "SELECT channel, state, attempts, done_ms, last_error FROM outbox WHERE notice = $1 ORDER BY channel",
        )
        .bind(notice.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(failed())?;
        let progress = |row: &sqlx::sqlite::SqliteRow| -> Result<Progress, StoreError> {
            let attempts: i64 = row.try_get(2).map_err(failed())?;
            let done: Option<i64> = row.try_get(3).map_err(failed())?;
            Ok(Progress {
                channel: self.channel(row.try_get(0).map_err(failed())?)?,
                state: row.try_get(1).map_err(failed())?,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                done: done.map(UnixMillis),
                complaint: row.try_get(4).map_err(failed())?,
            })
        };
        rows.iter().map(progress).collect()
    }

    pub(super) async fn read_first_notice(
        &self,
        alert: &AlertId,
    ) -> Result<Option<(Notice, Vec<ChannelName>)>, StoreError> {
        let failed = || self.failed("read the first notice of an alert");
        let rows = sqlx::query(
            "SELECT body, channel FROM outbox WHERE alert = $1 AND notice = \
               (SELECT notice FROM outbox WHERE alert = $1 ORDER BY number LIMIT 1) ORDER BY number",
        )
        .bind(alert.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(failed())?;
        let Some(first) = rows.first() else { return Ok(None) };
        let notice = self.notice(first.try_get(0).map_err(failed())?)?;
        let channel = |row: &sqlx::sqlite::SqliteRow| self.channel(row.try_get(1).map_err(failed())?);
        Ok(Some((notice, rows.iter().map(channel).collect::<Result<_, _>>()?)))
    }

    pub(super) async fn read_channels_told(
        &self,
        alert: &AlertId,
        channels: &[ChannelName],
    ) -> Result<Vec<ChannelName>, StoreError> {
        let failed = || self.failed("read who was told of an alert");
        let rows = sqlx::query(
            "SELECT DISTINCT channel FROM outbox WHERE channel IN (SELECT value FROM json_each($1)) AND alert = $2 \
             AND state NOT IN ('refused', 'expired') ORDER BY channel",
        )
        .bind(serde_json::to_string(channels).unwrap_or_default())
        .bind(alert.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(failed())?;
        rows.iter().map(|row| self.channel(row.try_get(0).map_err(failed())?)).collect()
    }

    pub(super) async fn read_newest_notice(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM outbox")
            .fetch_one(&self.readers)
            .await
            .map_err(self.failed("read the number of the newest notice"))
    }

    pub(super) async fn write_expiry(
        &self,
        before: UnixMillis,
        most: u32,
        channels: &[ChannelName],
        now: UnixMillis,
    ) -> Result<Vec<Count>, StoreError> {
        let failed = || self.failed("give up notices that are too old");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let names = serde_json::to_string(channels).unwrap_or_default();
        let gone = sqlx::query(
            "UPDATE outbox SET state = 'refused', done_ms = $2, last_error = 'the configuration has no such channel' \
             WHERE state = 'pending' AND channel NOT IN (SELECT value FROM json_each($1)) RETURNING channel",
        )
        .bind(&names)
        .bind(now.0)
        .fetch_all(&mut *writing)
        .await
        .map_err(failed())?;
        let expired = sqlx::query(
            "UPDATE outbox SET state = 'expired', done_ms = $2 WHERE state = 'pending' AND (created_ms < $1 \
             OR number <= (SELECT number FROM outbox WHERE state = 'pending' ORDER BY number DESC LIMIT 1 OFFSET $3)) \
             RETURNING channel",
        )
        .bind(before.0)
        .bind(now.0)
        .bind(most)
        .fetch_all(&mut *writing)
        .await
        .map_err(failed())?;
        // What still fires is needed to tell Alertmanager so.
        let query = format!(
            "DELETE FROM outbox AS o WHERE state <> 'pending' AND done_ms < $1 AND (event IN {ENDS} OR EXISTS ({OVER}) \
               OR EXISTS (SELECT 1 FROM outbox AS e WHERE e.channel = o.channel AND e.alert = o.alert AND e.event IN {ENDS}))"
        );
        sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(now.minus(KEPT).0)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        let mut counts: Vec<Count> = Vec::new();
        for (rows, state) in [(gone, "refused"), (expired, "expired")] {
            for row in rows {
                let channel = self.channel(row.try_get(0).map_err(failed())?)?;
                match counts.iter_mut().find(|known| known.channel == channel && known.state == state) {
                    Some(known) => known.count += 1,
                    None => counts.push(Count { channel, state: state.to_owned(), count: 1 }),
                }
            }
        }
        Ok(counts)
    }

    fn notice(&self, body: &str) -> Result<Notice, StoreError> {
        serde_json::from_str(body).map_err(|_| self.invalid("a notice", body))
    }

    fn channel(&self, name: &str) -> Result<ChannelName, StoreError> {
        name.parse().map_err(|_| self.invalid("a channel's name", name))
    }
}
