//! What agents say of their central configuration, in SQL.

use std::collections::BTreeMap;

use sqlx::Row as _;
use wan_wire::{SiteId, UnixMillis};

use super::SqliteStore;
use crate::central::Told;
use crate::store::StoreError;

impl SqliteStore {
    pub(super) async fn read_agent_configs(&self) -> Result<BTreeMap<SiteId, Told>, StoreError> {
        let failed = || self.failed("read what agents say of their configuration");
        let rows = sqlx::query("SELECT site, etag, applied, reason, at_ms FROM agent_config")
            .fetch_all(&self.readers)
            .await
            .map_err(failed())?;
        let mut told = BTreeMap::new();
        for row in rows {
            let site: String = row.try_get("site").map_err(failed())?;
            let site = site.parse().map_err(|_| self.invalid("a site's id", site))?;
            let applied: i64 = row.try_get("applied").map_err(failed())?;
            told.insert(
                site,
                Told {
                    etag: row.try_get("etag").map_err(failed())?,
                    applied: applied == 1,
                    reason: row.try_get("reason").map_err(failed())?,
                    at: UnixMillis(row.try_get("at_ms").map_err(failed())?),
                },
            );
        }
        Ok(told)
    }

    pub(super) async fn write_agent_config(&self, site: &SiteId, told: &Told) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO agent_config (site, etag, applied, reason, at_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (site) DO UPDATE SET etag = excluded.etag, applied = excluded.applied, \
             reason = excluded.reason, at_ms = excluded.at_ms",
        )
        .bind(site.as_str())
        .bind(&told.etag)
        .bind(i64::from(told.applied))
        .bind(&told.reason)
        .bind(told.at.0)
        .execute(&self.writer)
        .await
        .map_err(self.failed("keep what an agent says of its configuration"))?;
        Ok(())
    }
}
