//! Register and secrets in SQL.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wan_settings::InterfaceName;
use wan_wire::{LinkName, SiteId, UnixMillis};

use super::SqliteStore;
use crate::inventory::diff::Change;
use crate::inventory::era::Former;
use crate::inventory::{Link, Location, Register, Site, Watches};
use crate::store::{AgentSecret, Rotation, Snapshot, StoreError};

const REVISION: &str = "SELECT register_revision FROM state";
const SITES: &str = "SELECT id, name, tier, branch, parent, district, valid_from, valid_to, latitude, longitude, \
                     contacts, watches, note, former, merged_into FROM site ORDER BY id";
const LINKS: &str = "SELECT site, name, carrier, contract, uptime, interface, router, valid_from, valid_to FROM link ORDER BY site, position";
const SECRETS: &str =
    "SELECT site, hash, issued_ms, revoked_ms FROM agent_secret ORDER BY site, issued_ms, hash";
const ASKED: &str = "SELECT site, asked_ms FROM rotation";
const OFFERED: &str = "SELECT hash FROM agent_secret WHERE pending = 1 AND revoked_ms IS NULL";
const REVOKE: &str = "UPDATE agent_secret SET revoked_ms = $2 WHERE site = $1 AND revoked_ms IS NULL";

#[derive(serde::Deserialize)]
struct StoredFormer {
    until: String,
    name: String,
    tier: String,
    branch: String,
    parent: Option<String>,
    district: Option<String>,
}

impl SqliteStore {
    pub(super) async fn read_revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar(REVISION)
            .fetch_one(&self.readers)
            .await
            .map_err(self.failed("read the register's revision"))
    }

    pub(super) async fn read_snapshot(&self) -> Result<Snapshot, StoreError> {
        let failed = || self.failed("read the register");
        let mut reading = self.readers.begin().await.map_err(failed())?;
        let revision = sqlx::query_scalar(REVISION).fetch_one(&mut *reading).await.map_err(failed())?;
        let site_rows = sqlx::query(SITES).fetch_all(&mut *reading).await.map_err(failed())?;
        let link_rows = sqlx::query(LINKS).fetch_all(&mut *reading).await.map_err(failed())?;
        let secret_rows = sqlx::query(SECRETS).fetch_all(&mut *reading).await.map_err(failed())?;
        let asked: Vec<(String, i64)> =
            sqlx::query_as(ASKED).fetch_all(&mut *reading).await.map_err(failed())?;
        let offered: Vec<Vec<u8>> =
            sqlx::query_scalar(OFFERED).fetch_all(&mut *reading).await.map_err(failed())?;
        let planned = self.read_planned(&mut reading).await?;
        reading.rollback().await.map_err(failed())?;

        let mut links: HashMap<String, Vec<Link>> = HashMap::new();
        for row in &link_rows {
            let (site, link) = self.link(row)?;
            links.entry(site).or_default().push(link);
        }
        let mut sites: Vec<Site> = Vec::with_capacity(site_rows.len());
        for row in &site_rows {
            let mut site = self.site(row)?;
            site.links = links.remove(site.id.as_str()).unwrap_or_default();
            sites.push(site);
        }
        let register = Register::new(sites).map_err(|wrong| {
            let shown = wrong.first().map(ToString::to_string).unwrap_or_default();
            self.invalid("the register", shown)
        })?;
        let secrets = secret_rows.iter().map(|row| self.secret(row)).collect::<Result<_, _>>()?;
        let asked = asked.into_iter().map(|(site, at)| Ok((self.parsed("a site", site)?, UnixMillis(at))));
        let rotation = Rotation {
            asked: asked.collect::<Result<_, StoreError>>()?,
            offered: offered.into_iter().map(|hash| self.hash(hash)).collect::<Result<_, _>>()?,
        };
        Ok(Snapshot { revision, register, secrets, rotation, planned })
    }

    pub(super) async fn write_register(&self, revision: i64, changes: &[Change]) -> Result<i64, StoreError> {
        let failed = || self.failed("write the register");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let revision = self.next_revision(&mut writing, revision).await?;
        for change in changes {
            match change {
                Change::Added(site)
                | Change::Changed { after: site, .. }
                | Change::Closed { after: site, .. } => {
                    put_site(&mut writing, site).await.map_err(failed())?;
                }
                Change::Dropped(site) => {
                    sqlx::query("DELETE FROM site WHERE id = $1")
                        .bind(site.id.as_str())
                        .execute(&mut *writing)
                        .await
                        .map_err(failed())?;
                }
            }
        }
        writing.commit().await.map_err(failed())?;
        Ok(revision)
    }

    pub(super) async fn write_secrets(
        &self,
        revision: i64,
        secrets: &[AgentSecret],
    ) -> Result<i64, StoreError> {
        let failed = || self.failed("write the agents' secrets");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let revision = self.next_revision(&mut writing, revision).await?;
        for AgentSecret { site, hash, issued, revoked } in secrets {
            revoke_all(&mut writing, site, *issued).await.map_err(failed())?;
            sqlx::query(
                "INSERT INTO agent_secret (hash, site, issued_ms, revoked_ms) VALUES ($1, $2, $3, $4)",
            )
            .bind(hash.as_slice())
            .bind(site.as_str())
            .bind(issued.0)
            .bind(revoked.map(|at| at.0))
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())?;
        Ok(revision)
    }

    pub(super) async fn write_revocation(&self, site: &SiteId, at: UnixMillis) -> Result<u64, StoreError> {
        let failed = || self.failed("revoke the site's secrets");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let done = revoke_all(&mut writing, site, at).await.map_err(failed())?;
        if done > 0 {
            raise_revision(&mut writing).await.map_err(failed())?;
        }
        writing.commit().await.map_err(failed())?;
        Ok(done)
    }

    /// Raises the revision, provided that it still is `expected`.
    async fn next_revision(&self, writing: &mut SqliteConnection, expected: i64) -> Result<i64, StoreError> {
        let raised: Option<i64> = sqlx::query_scalar(
            "UPDATE state SET register_revision = register_revision + 1 WHERE register_revision = $1 \
             RETURNING register_revision",
        )
        .bind(expected)
        .fetch_optional(writing)
        .await
        .map_err(self.failed("raise the register's revision"))?;
        raised.ok_or(StoreError::Conflict)
    }

    fn site(&self, row: &SqliteRow) -> Result<Site, StoreError> {
        let parent: Option<String> = self.column(row, "parent")?;
        let valid_from: Option<String> = self.column(row, "valid_from")?;
        let valid_to: Option<String> = self.column(row, "valid_to")?;
        let former: String = self.column(row, "former")?;
        let merged_into: Option<String> = self.column(row, "merged_into")?;
        let contacts: String = self.column(row, "contacts")?;
        let latitude: Option<f64> = self.column(row, "latitude")?;
        let longitude: Option<f64> = self.column(row, "longitude")?;
        Ok(Site {
            id: self.parsed("a site's id", self.column(row, "id")?)?,
            name: self.column(row, "name")?,
            tier: self.parsed("a site's tier", self.column(row, "tier")?)?,
            branch: self.parsed("a site's branch", self.column(row, "branch")?)?,
            parent: parent.map(|id| self.parsed("a site's parent", id)).transpose()?,
            district: self.column(row, "district")?,
            valid_from: valid_from.map(|day| self.parsed("a site's first day", day)).transpose()?,
            valid_to: valid_to.map(|day| self.parsed("a site's closing day", day)).transpose()?,
            former: self.former(former)?,
            merged_into: merged_into.map(|id| self.parsed("a site's successor", id)).transpose()?,
            location: latitude.zip(longitude).map(|(latitude, longitude)| Location { latitude, longitude }),
            contacts: serde_json::from_str(&contacts)
                .map_err(|_| self.invalid("a site's contacts", contacts))?,
            watches: self.watches(self.column(row, "watches")?)?,
            links: Vec::new(),
            note: self.column(row, "note")?,
        })
    }

    fn link(&self, row: &SqliteRow) -> Result<(String, Link), StoreError> {
        let router: Option<String> = self.column(row, "router")?;
        let interface: Option<String> = self.column(row, "interface")?;
        let valid_from: Option<String> = self.column(row, "valid_from")?;
        let valid_to: Option<String> = self.column(row, "valid_to")?;
        let link = Link {
            name: self.parsed::<LinkName>("a link's name", self.column(row, "name")?)?,
            carrier: self.column(row, "carrier")?,
            contract: self.column(row, "contract")?,
            uptime: self.column(row, "uptime")?,
            // A name that the rule for interfaces no longer takes names no interface.
            interface: interface.and_then(|name| name.parse().ok()),
            router: router.map(|address| self.parsed("a link's router", address)).transpose()?,
            valid_from: valid_from.map(|day| self.parsed("a link's first day", day)).transpose()?,
            valid_to: valid_to.map(|day| self.parsed("a link's last day", day)).transpose()?,
        };
        Ok((self.column(row, "site")?, link))
    }

    fn secret(&self, row: &SqliteRow) -> Result<AgentSecret, StoreError> {
        let hash: Vec<u8> = self.column(row, "hash")?;
        let revoked: Option<i64> = self.column(row, "revoked_ms")?;
        Ok(AgentSecret {
            site: self.parsed("a secret's site", self.column(row, "site")?)?,
            hash: self.hash(hash)?,
            issued: UnixMillis(self.column(row, "issued_ms")?),
            revoked: revoked.map(UnixMillis),
        })
    }

    /// What [`Former`] is as JSON.
    fn former(&self, json: String) -> Result<Vec<Former>, StoreError> {
        let stored: Vec<StoredFormer> =
            serde_json::from_str(&json).map_err(|_| self.invalid("what a site was", json))?;
        let former = stored.into_iter().map(|former| {
            Ok(Former {
                until: self.parsed("the day until which a site was what it was", former.until)?,
                name: former.name,
                tier: self.parsed("a site's former tier", former.tier)?,
                branch: self.parsed("a site's former branch", former.branch)?,
                parent: former.parent.map(|id| self.parsed("a site's former parent", id)).transpose()?,
                district: former.district,
            })
        });
        former.collect()
    }

    /// `"all"`, or the list of ids; see [`put_site`].
    fn watches(&self, json: String) -> Result<Watches, StoreError> {
        if json == r#""all""# {
            return Ok(Watches::All);
        }
        let ids: Vec<String> =
            serde_json::from_str(&json).map_err(|_| self.invalid("what a site watches", json))?;
        if ids.is_empty() {
            return Ok(Watches::None);
        }
        let ids: Result<BTreeSet<SiteId>, _> =
            ids.into_iter().map(|id| self.parsed("a watched site's id", id)).collect();
        ids.map(Watches::Only)
    }

    pub(super) fn hash(&self, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
        bytes.try_into().map_err(|_| self.invalid("a hash", "not 32 bytes"))
    }

    pub(super) fn parsed<T: FromStr>(&self, what: &'static str, text: String) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.invalid(what, text))
    }

    pub(super) fn column<'r, T>(&self, row: &'r SqliteRow, name: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        row.try_get(name).map_err(self.failed("read a row"))
    }
}

/// Revokes what is accepted for a site, and with it a rotation that was asked for; returns how many secrets there were.
pub(super) async fn revoke_all(
    writing: &mut SqliteConnection,
    site: &SiteId,
    at: UnixMillis,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(REVOKE).bind(site.as_str()).bind(at.0).execute(&mut *writing).await?;
    sqlx::query("DELETE FROM rotation WHERE site = $1").bind(site.as_str()).execute(writing).await?;
    Ok(done.rows_affected())
}

/// Tells a running server that register or secrets have changed.
pub(super) async fn raise_revision(writing: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE state SET register_revision = register_revision + 1").execute(writing).await?;
    Ok(())
}

async fn put_site(writing: &mut SqliteConnection, site: &Site) -> Result<(), sqlx::Error> {
    let watches = match &site.watches {
        Watches::None => serde_json::json!([]),
        Watches::All => serde_json::json!("all"),
        Watches::Only(ids) => ids.iter().map(SiteId::as_str).collect(),
    };
    sqlx::query(
        "INSERT INTO site (id, name, tier, branch, parent, district, valid_from, valid_to, latitude, longitude, \
         contacts, watches, note, former, merged_into) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, tier = excluded.tier, branch = excluded.branch, \
         parent = excluded.parent, district = excluded.district, valid_from = excluded.valid_from, \
         valid_to = excluded.valid_to, latitude = excluded.latitude, longitude = excluded.longitude, \
         contacts = excluded.contacts, watches = excluded.watches, note = excluded.note, \
         former = excluded.former, merged_into = excluded.merged_into",
    )
    .bind(site.id.as_str())
    .bind(&site.name)
    .bind(site.tier.as_str())
    .bind(site.branch.as_str())
    .bind(site.parent.as_ref().map(SiteId::as_str))
    .bind(&site.district)
    .bind(site.valid_from.map(|day| day.to_string()))
    .bind(site.valid_to.map(|day| day.to_string()))
    .bind(site.location.map(|at| at.latitude))
    .bind(site.location.map(|at| at.longitude))
    .bind(serde_json::json!(site.contacts).to_string())
    .bind(watches.to_string())
    .bind(&site.note)
    .bind(serde_json::json!(site.former).to_string())
    .bind(site.merged_into.as_ref().map(SiteId::as_str))
    .execute(&mut *writing)
    .await?;
    sqlx::query("DELETE FROM link WHERE site = $1").bind(site.id.as_str()).execute(&mut *writing).await?;
    for (position, link) in (0_i64..).zip(&site.links) {
        sqlx::query(
            "INSERT INTO link (site, position, name, carrier, contract, uptime, interface, router, valid_from, \
             valid_to) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(site.id.as_str())
        .bind(position)
        .bind(link.name.as_str())
        .bind(&link.carrier)
        .bind(&link.contract)
        .bind(link.uptime)
        .bind(link.interface.as_ref().map(InterfaceName::as_str))
        .bind(link.router.map(|address| address.to_string()))
        .bind(link.valid_from.map(|day| day.to_string()))
        .bind(link.valid_to.map(|day| day.to_string()))
        .execute(&mut *writing)
        .await?;
    }
    Ok(())
}
