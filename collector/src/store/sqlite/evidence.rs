//! Evidence in SQL, many rows a statement.

use std::collections::HashMap;

use futures_util::{Stream, TryStreamExt as _};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use wan_wire::{LinkName, Outcome, SiteId, UnixMillis};

use super::SqliteStore;
use crate::ledger::span::Span;
use crate::store::{Alive, Checkpoint, EvidenceUpdate, Recent, Series, SeriesId, StoreError};

/// Rows of one statement. Past some hundred a statement's own cost has no weight; SQLite allows 32,766 values.
const ROWS: usize = 500;

impl SqliteStore {
    pub(super) async fn intern(&self, series: &[Series]) -> Result<Vec<SeriesId>, StoreError> {
        let failed = || self.failed("number the series");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let mut ids = Vec::with_capacity(series.len());
        for rows in series.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO series (site, link, vantage) ");
            push_series(&mut query, rows);
            query.push(" ON CONFLICT DO NOTHING");
            query.build().execute(&mut *writing).await.map_err(failed())?;

            let mut query = QueryBuilder::<Sqlite>::new("WITH wanted (site, link, vantage) AS (");
            push_series(&mut query, rows);
            query.push(
                ") SELECT id, site, link, vantage FROM wanted CROSS JOIN series USING (site, link, vantage)",
            );
            let found = query.build().fetch_all(&mut *writing).await.map_err(failed())?;
            let mut known: HashMap<(String, String, String), i64> = HashMap::with_capacity(found.len());
            for row in &found {
                let text = |index: usize| row.try_get::<String, _>(index).map_err(failed());
                known.insert((text(1)?, text(2)?, text(3)?), row.try_get(0).map_err(failed())?);
            }
            for Series { site, link, vantage } in rows {
                let key = (site.to_string(), link.to_string(), vantage.to_string());
                let id = known.get(&key).ok_or_else(|| self.invalid("a series", format!("{key:?}")))?;
                ids.push(SeriesId(*id));
            }
        }
        writing.commit().await.map_err(failed())?;
        Ok(ids)
    }

    pub(super) async fn write_checkpoint(&self, checkpoint: Checkpoint<'_>) -> Result<(), StoreError> {
        let failed = || self.failed("write the evidence");
        let Checkpoint { updates, lives, alive, journal_position } = checkpoint;
        let checked = |position: u64| {
            i64::try_from(position).map_err(|_| self.invalid("a journal position", position.to_string()))
        };
        let position = journal_position.map(checked).transpose()?;
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        delete_stale(&mut writing, updates).await.map_err(failed())?;
        put_spans(&mut writing, updates).await.map_err(failed())?;
        super::lives::put(&mut writing, lives).await.map_err(failed())?;
        if let Some(alive) = alive {
            sqlx::query(
                "INSERT INTO collector_alive (start_ms, end_ms) VALUES ($1, $2) \
                 ON CONFLICT (start_ms) DO UPDATE SET end_ms = excluded.end_ms",
            )
            .bind(alive.start.0)
            .bind(alive.end.0)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        if let Some(position) = position {
            sqlx::query("UPDATE state SET journal_position = $1")
                .bind(position)
                .execute(&mut *writing)
                .await
                .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())
    }

    pub(super) async fn read_journal_position(&self) -> Result<Option<u64>, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("SELECT journal_position FROM state")
            .fetch_one(&self.readers)
            .await
            .map_err(self.failed("read the journal position"))?;
        let checked = |position: i64| {
            u64::try_from(position).map_err(|_| self.invalid("the journal position", position.to_string()))
        };
        position.map(checked).transpose()
    }

    pub(super) async fn read_series_count(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM series")
            .fetch_one(&self.readers)
            .await
            .map_err(self.failed("count the series"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(super) async fn read_evidence(
        &self,
        mut each: impl FnMut(SeriesId, Series, Vec<Span>) + Send,
    ) -> Result<(), StoreError> {
        let failed = || self.failed("read the evidence");
        let mut reading = self.readers.begin().await.map_err(failed())?;
        let mut known: HashMap<i64, Series> = HashMap::new();
        let mut rows = sqlx::query("SELECT id, site, link, vantage FROM series").fetch(&mut *reading);
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            known.insert(row.try_get(0).map_err(failed())?, self.series_of(&row)?);
        }
        drop(rows);

        let mut hand_over = |id: SeriesId, spans: Vec<Span>| match known.remove(&id.0) {
            Some(series) => {
                each(id, series, spans);
                Ok(())
            }
            None => Err(self.invalid("a span's series", id.0.to_string())),
        };
        let query =
            sqlx::query("SELECT series, start_ms, end_ms, outcome FROM span ORDER BY series, start_ms");
        self.spans_by_series(query.fetch(&mut *reading), &mut hand_over).await?;
        let mut without: Vec<(i64, Series)> = known.into_iter().collect();
        without.sort_unstable_by_key(|(id, _)| *id);
        for (id, series) in without {
            each(SeriesId(id), series, Vec::new());
        }
        reading.rollback().await.map_err(failed())
    }

    pub(super) async fn read_recent(
        &self,
        since: UnixMillis,
        mut each: impl FnMut(Recent) + Send,
    ) -> Result<(), StoreError> {
        let failed = || self.failed("read the recent evidence");
        // Two connections, so that both cores work; nobody writes evidence meanwhile.
        let series = async {
            let mut found = Vec::new();
            let query = "SELECT id, site, link, vantage, \
                         (SELECT min(start_ms) FROM span WHERE span.series = series.id) FROM series ORDER BY id";
            let mut rows = sqlx::query(query).fetch(&self.readers);
            while let Some(row) = rows.try_next().await.map_err(failed())? {
                let id = SeriesId(row.try_get(0).map_err(failed())?);
                let first: Option<i64> = row.try_get(4).map_err(failed())?;
                let series = self.series_of(&row)?;
                found.push(Recent { id, series, first: first.map(UnixMillis), spans: Vec::new() });
            }
            Ok(found)
        };
        let spans = async {
            let mut found: Vec<(SeriesId, Vec<Span>)> = Vec::new();
            let query = sqlx::query(
                "SELECT span.series, start_ms, end_ms, outcome FROM series CROSS JOIN span \
                 ON span.series = series.id AND start_ms >= coalesce((SELECT max(earlier.start_ms) FROM span earlier \
                 WHERE earlier.series = series.id AND earlier.start_ms < $1), $1) ORDER BY span.series, start_ms",
            );
            let rows = query.bind(since.0).fetch(&self.readers);
            self.spans_by_series(rows, &mut |id, spans| {
                found.push((id, spans));
                Ok(())
            })
            .await?;
            Ok(found)
        };
        let (series, spans) = tokio::try_join!(series, spans)?;
        let mut spans = spans.into_iter().peekable();
        for mut recent in series {
            if let Some((_, of_series)) = spans.next_if(|(id, _)| *id == recent.id) {
                recent.spans = of_series;
            }
            each(recent);
        }
        spans.next().map_or(Ok(()), |(id, _)| Err(self.invalid("a span's series", id.0.to_string())))
    }

    pub(super) async fn read_older(
        &self,
        series: &[(SeriesId, UnixMillis)],
        since: UnixMillis,
        mut each: impl FnMut(SeriesId, Vec<Span>) + Send,
    ) -> Result<(), StoreError> {
        for rows in series.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new("WITH wanted (id, before) AS (");
            query.push_values(rows, |mut row, (id, before)| {
                row.push_bind(id.0).push_bind(before.0);
            });
            query.push(
                ") SELECT span.series, start_ms, end_ms, outcome FROM wanted CROSS JOIN span \
                 ON span.series = wanted.id AND start_ms < wanted.before AND start_ms >= coalesce((SELECT \
                 max(earlier.start_ms) FROM span earlier WHERE earlier.series = wanted.id AND earlier.start_ms < min(wanted.before, ",
            );
            query.push_bind(since.0).push(")), ").push_bind(since.0).push(") ORDER BY span.series, start_ms");
            let rows = query.build().fetch(&self.readers);
            self.spans_by_series(rows, &mut |id, spans| {
                each(id, spans);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// A row of `series`: number, site, link, vantage.
    fn series_of(&self, row: &SqliteRow) -> Result<Series, StoreError> {
        let text = |index: usize| row.try_get::<&str, _>(index).map_err(self.failed("read a series"));
        let site = |text: &str| text.parse::<SiteId>().map_err(|_| self.invalid("a series' site", text));
        let link = text(2)?;
        let link = link.parse::<LinkName>().map_err(|_| self.invalid("a series' link", link))?;
        Ok(Series { site: site(text(1)?)?, link, vantage: site(text(3)?)? })
    }

    /// Puts together the spans of each series; the rows (series, start, end, outcome) come by series.
    async fn spans_by_series(
        &self,
        mut rows: impl Stream<Item = Result<SqliteRow, sqlx::Error>> + Unpin,
        each: &mut impl FnMut(SeriesId, Vec<Span>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = || self.failed("read the evidence");
        let mut present: Option<(SeriesId, Vec<Span>)> = None;
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let number = |index: usize| row.try_get_unchecked::<i64, _>(index).map_err(failed());
            let (id, code) = (SeriesId(number(0)?), number(3)?);
            let outcome = u8::try_from(code).ok().and_then(Outcome::from_code);
            let outcome = outcome.ok_or_else(|| self.invalid("an outcome", code.to_string()))?;
            let span = Span { start: UnixMillis(number(1)?), end: UnixMillis(number(2)?), outcome };
            match &mut present {
                Some((series, spans)) if *series == id => spans.push(span),
                Some(_) | None => {
                    if let Some((series, spans)) = present.replace((id, vec![span])) {
                        each(series, spans)?;
                    }
                }
            }
        }
        present.map_or(Ok(()), |(series, spans)| each(series, spans))
    }

    pub(super) async fn read_alive(&self) -> Result<Vec<Alive>, StoreError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT start_ms, end_ms FROM collector_alive ORDER BY start_ms")
                .fetch_all(&self.readers)
                .await
                .map_err(self.failed("read the collector's own times"))?;
        let alive = |(start, end)| Alive { start: UnixMillis(start), end: UnixMillis(end) };
        Ok(rows.into_iter().map(alive).collect())
    }
}

/// Deletes the stored spans that the updates replace, but for those that [`put_spans`] overwrites in place.
async fn delete_stale(writing: &mut SqliteConnection, updates: &[EvidenceUpdate]) -> Result<(), sqlx::Error> {
    for rows in updates.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH stale (series, since) AS (");
        query.push_values(rows, |mut row, update| {
            let overwritten = update.spans.first().is_some_and(|span| span.start == update.dirty_from);
            row.push_bind(update.series.0)
                .push_bind(update.dirty_from.0.saturating_add(i64::from(overwritten)));
        });
        query.push(
            ") DELETE FROM span WHERE (series, start_ms) IN (SELECT span.series, span.start_ms FROM stale \
             CROSS JOIN span ON span.series = stale.series AND span.start_ms >= stale.since)",
        );
        query.build().execute(&mut *writing).await?;
    }
    Ok(())
}

async fn put_spans(writing: &mut SqliteConnection, updates: &[EvidenceUpdate]) -> Result<(), sqlx::Error> {
    let rows: Vec<(SeriesId, &Span)> =
        updates.iter().flat_map(|update| update.spans.iter().map(|span| (update.series, span))).collect();
    for rows in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO span (series, start_ms, end_ms, outcome) ");
        query.push_values(rows, |mut row, (series, span)| {
            row.push_bind(series.0)
                .push_bind(span.start.0)
                .push_bind(span.end.0)
                .push_bind(i64::from(span.outcome.code()));
        });
        query.push(
            " ON CONFLICT (series, start_ms) DO UPDATE SET end_ms = excluded.end_ms, outcome = excluded.outcome",
        );
        query.build().execute(&mut *writing).await?;
    }
    Ok(())
}

fn push_series(query: &mut QueryBuilder<Sqlite>, rows: &[Series]) {
    query.push_values(rows, |mut row, series| {
        row.push_bind(series.site.to_string())
            .push_bind(series.link.to_string())
            .push_bind(series.vantage.to_string());
    });
}
