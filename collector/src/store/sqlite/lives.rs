//! Lives of agents in SQL.

use futures_util::TryStreamExt as _;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use wan_wire::{SiteId, UnixMillis};

use super::SqliteStore;
use crate::ledger::life::{BootKey, LastWord, Life, LifeKey};
use crate::store::{LifeUpdate, StoreError};

/// Rows of one statement; SQLite allows 32,766 values.
const ROWS: usize = 500;
/// A life whose word told of no start.
const NO_START: i64 = -1;

impl SqliteStore {
    pub(super) async fn read_lives(
        &self,
        mut each: impl FnMut(SiteId, Vec<Life>) + Send,
    ) -> Result<(), StoreError> {
        let failed = || self.failed("read when hosts booted");
        let query = "SELECT site, boot, start_s, told_ms, boot_ms FROM life ORDER BY site";
        let mut rows = sqlx::query(query).fetch(&self.readers);
        let mut present: Option<(String, SiteId, Vec<Life>)> = None;
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let text = |index: usize| row.try_get::<&str, _>(index).map_err(failed());
            let number = |index: usize| row.try_get::<i64, _>(index).map_err(failed());
            let (site, boot, start) = (text(0)?, text(1)?, number(2)?);
            let boot: BootKey = boot.parse().map_err(|_| self.invalid("a boot's id", boot))?;
            let start = match start {
                NO_START => None,
                seconds => Some(
                    u32::try_from(seconds)
                        .map_err(|_| self.invalid("an agent's start", seconds.to_string()))?,
                ),
            };
            let told = LastWord { at: UnixMillis(number(3)?), boot: UnixMillis(number(4)?) };
            let life = Life { key: LifeKey { boot, start }, told };
            match &mut present {
                Some((name, _, lives)) if name == site => lives.push(life),
                Some(_) | None => {
                    let id = site.parse().map_err(|_| self.invalid("the site of a boot", site))?;
                    if let Some((_, id, lives)) = present.replace((site.to_owned(), id, vec![life])) {
                        each(id, lives);
                    }
                }
            }
        }
        if let Some((_, id, lives)) = present {
            each(id, lives);
        }
        Ok(())
    }
}

/// Writes what has changed and deletes what is to be dropped.
pub(super) async fn put(writing: &mut SqliteConnection, updates: &[LifeUpdate]) -> Result<(), sqlx::Error> {
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for update in updates {
        for (key, told) in &update.lives {
            match told {
                Some(told) => kept.push((&update.site, key, told)),
                None => dropped.push((&update.site, key)),
            }
        }
    }
    let start = |key: &LifeKey| key.start.map_or(NO_START, i64::from);
    for rows in dropped.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM life WHERE (site, boot, start_s) IN (");
        query.push_values(rows, |mut row, (site, key)| {
            row.push_bind(site.to_string()).push_bind(key.boot.to_string()).push_bind(start(key));
        });
        query.push(")");
        query.build().execute(&mut *writing).await?;
    }
    for rows in kept.chunks(ROWS) {
        let mut query =
            QueryBuilder::<Sqlite>::new("INSERT INTO life (site, boot, start_s, told_ms, boot_ms) ");
        query.push_values(rows, |mut row, (site, key, told)| {
            row.push_bind(site.to_string())
                .push_bind(key.boot.to_string())
                .push_bind(start(key))
                .push_bind(told.at.0)
                .push_bind(told.boot.0);
        });
        query.push(
            " ON CONFLICT (site, boot, start_s) DO UPDATE SET told_ms = excluded.told_ms, boot_ms = excluded.boot_ms",
        );
        query.build().execute(&mut *writing).await?;
    }
    Ok(())
}
