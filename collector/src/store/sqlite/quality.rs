//! Figures of quality in SQL. What a row holds is [`crate::quality::codec`]'s; here it is bytes.

use std::collections::BTreeMap;

use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use wan_wire::SiteId;

use super::SqliteStore;
use crate::quality::{RowKey, Rows, Stream, StreamId, Table};
use crate::store::StoreError;

/// Rows of one statement, as for evidence.
const ROWS: usize = 500;

/// A key's lower half is the stream, its upper half the hour or day.
const STREAMS: i64 = 1 << 32;

fn pack(key: RowKey) -> i64 {
    key.number.saturating_mul(STREAMS).saturating_add(i64::from(key.stream.0))
}

impl SqliteStore {
    pub(super) async fn read_quality_position(&self) -> Result<Option<u64>, StoreError> {
        let position: Option<i64> = sqlx::query_scalar("SELECT quality_position FROM state")
            .fetch_one(&self.readers)
            .await
            .map_err(self.failed("read the journal position of the figures"))?;
        let checked = |position: i64| {
            u64::try_from(position)
                .map_err(|_| self.invalid("the journal position of the figures", position.to_string()))
        };
        position.map(checked).transpose()
    }

    pub(super) async fn read_quality_streams(
        &self,
        site: Option<&SiteId>,
    ) -> Result<Vec<(StreamId, Stream)>, StoreError> {
        let failed = || self.failed("read the streams of the figures");
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT id, site, link, vantage, probe, target FROM quality_stream");
        if let Some(site) = site {
            query.push(" WHERE site = ").push_bind(site.as_str());
        }
        let rows = query.push(" ORDER BY id").build().fetch_all(&self.readers).await;
        let mut streams = Vec::new();
        for row in rows.map_err(failed())? {
            let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
            let bad = |text: &str| self.invalid("a stream of figures", text);
            let stream = Stream {
                site: text(1)?.parse().map_err(|_| bad(text(1).unwrap_or_default()))?,
                link: text(2)?.parse().map_err(|_| bad(text(2).unwrap_or_default()))?,
                vantage: text(3)?.parse().map_err(|_| bad(text(3).unwrap_or_default()))?,
                probe: text(4)?.parse().map_err(|_| bad(text(4).unwrap_or_default()))?,
                target: text(5)?.to_owned(),
            };
            streams.push((self.stream_id(row.try_get(0).map_err(failed())?)?, stream));
        }
        Ok(streams)
    }

    fn stream_id(&self, id: i64) -> Result<StreamId, StoreError> {
        u32::try_from(id).map(StreamId).map_err(|_| self.invalid("a stream's number", id.to_string()))
    }

    pub(super) async fn intern_quality_streams(
        &self,
        streams: &[Stream],
    ) -> Result<Vec<StreamId>, StoreError> {
        let failed = || self.failed("number the streams of the figures");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let mut ids = Vec::with_capacity(streams.len());
        for stream in streams {
            // The update changes nothing, and makes the statement return the row that there is.
            let id: i64 = sqlx::query_scalar(
                "INSERT INTO quality_stream (site, link, vantage, probe, target) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT DO UPDATE SET target = target RETURNING id",
            )
            .bind(stream.site.as_str())
            .bind(stream.link.as_str())
            .bind(stream.vantage.as_str())
            .bind(stream.probe.as_str())
            .bind(&stream.target)
            .fetch_one(&mut *writing)
            .await
            .map_err(failed())?;
            ids.push(self.stream_id(id)?);
        }
        writing.commit().await.map_err(failed())?;
        Ok(ids)
    }

    pub(super) async fn read_quality(
        &self,
        table: Table,
        keys: &[RowKey],
    ) -> Result<BTreeMap<RowKey, Vec<u8>>, StoreError> {
        let failed = || self.failed("read figures of quality");
        let mut rows = BTreeMap::new();
        for keys in keys.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(format!(
                "SELECT key, figures FROM {} WHERE key IN (",
                name(table)
            ));
            let mut list = query.separated(", ");
            for key in keys {
                list.push_bind(pack(*key));
            }
            query.push(")");
            for row in query.build().fetch_all(&self.readers).await.map_err(failed())? {
                let key = self.key(row.try_get(0).map_err(failed())?)?;
                rows.insert(key, row.try_get(1).map_err(failed())?);
            }
        }
        Ok(rows)
    }

    fn key(&self, packed: i64) -> Result<RowKey, StoreError> {
        let stream = self.stream_id(packed.rem_euclid(STREAMS))?;
        Ok(RowKey { number: packed.div_euclid(STREAMS), stream })
    }

    pub(super) async fn write_quality_rows(&self, rows: &Rows) -> Result<(), StoreError> {
        let failed = || self.failed("write figures of quality");
        let checked = |position: u64| {
            i64::try_from(position).map_err(|_| self.invalid("a journal position", position.to_string()))
        };
        let position = rows.position.map(checked).transpose()?;
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        put(&mut writing, Table::Minutes, &rows.minutes).await.map_err(failed())?;
        put(&mut writing, Table::Seen, &rows.seen).await.map_err(failed())?;
        put(&mut writing, Table::Hours, &rows.hours).await.map_err(failed())?;
        for rows in rows.seen.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM quality_minute WHERE key IN (");
            let mut list = query.separated(", ");
            for (key, _) in rows {
                list.push_bind(pack(*key));
            }
            query.push(")");
            query.build().execute(&mut *writing).await.map_err(failed())?;
        }
        if let Some(position) = position {
            sqlx::query("UPDATE state SET quality_position = $1")
                .bind(position)
                .execute(&mut *writing)
                .await
                .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())
    }

    pub(super) async fn read_quality_before(
        &self,
        table: Table,
        number: i64,
        most: u32,
    ) -> Result<Vec<(RowKey, Vec<u8>)>, StoreError> {
        let failed = || self.failed("read old figures of quality");
        let mut query =
            QueryBuilder::<Sqlite>::new(format!("SELECT key, figures FROM {} WHERE key < ", name(table)));
        query.push_bind(number.saturating_mul(STREAMS)).push(" ORDER BY key LIMIT ").push_bind(most);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed())?;
        let row = |row: &sqlx::sqlite::SqliteRow| {
            Ok((self.key(row.try_get(0).map_err(failed())?)?, row.try_get(1).map_err(failed())?))
        };
        found.iter().map(row).collect()
    }

    pub(super) async fn delete_quality_rows(
        &self,
        table: Table,
        number: i64,
        most: u32,
    ) -> Result<u64, StoreError> {
        let table = name(table);
        let mut query = QueryBuilder::<Sqlite>::new(format!(
            "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} WHERE key < "
        ));
        query
            .push_bind(number.saturating_mul(STREAMS))
            .push(" ORDER BY key LIMIT ")
            .push_bind(most)
            .push(")");
        let failed = self.failed("delete old figures of quality");
        let done = query.build().execute(&self.writer).await.map_err(failed)?;
        Ok(done.rows_affected())
    }
}

fn name(table: Table) -> &'static str {
    match table {
        Table::Minutes => "quality_minute",
        Table::Seen => "quality_seen",
        Table::Hours => "quality_hour",
    }
}

async fn put(
    writing: &mut SqliteConnection,
    table: Table,
    rows: &[(RowKey, Vec<u8>)],
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO {} (key, figures) ", name(table)));
        query.push_values(rows, |mut row, (key, figures)| {
            row.push_bind(pack(*key)).push_bind(figures.as_slice());
        });
        query.push(" ON CONFLICT (key) DO UPDATE SET figures = excluded.figures");
        query.build().execute(&mut *writing).await?;
    }
    Ok(())
}
