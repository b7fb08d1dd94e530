//! Enrolment tokens, and secrets that replace each other, in SQL.
//!
//! Each method that decides does so inside the transaction that writes, which holds the only writer's lock from its start
//! (`BEGIN IMMEDIATE`): of twenty who use one token at the same moment, one finds it unused.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use wan_wire::{SiteId, UnixMillis};

use super::SqliteStore;
use super::register::{raise_revision, revoke_all};
use crate::store::{Applicant, EnrolToken, Exchanged, Offered, StoreError, TokenUse};

const TOKENS: &str = "SELECT hash, site, issued_ms, expires_ms, used_ms, used_by, secret_hash, revoked_ms \
                      FROM enrolment_token ORDER BY site, issued_ms, hash";
const TOKEN: &str = "SELECT hash, site, issued_ms, expires_ms, used_ms, used_by, secret_hash, revoked_ms \
                     FROM enrolment_token WHERE hash = $1";
const REVOKE_TOKENS: &str = "UPDATE enrolment_token SET revoked_ms = $2 \
                             WHERE site = $1 AND used_ms IS NULL AND revoked_ms IS NULL";

impl SqliteStore {
    pub(super) async fn read_tokens(&self) -> Result<Vec<EnrolToken>, StoreError> {
        let rows =
            sqlx::query(TOKENS).fetch_all(&self.readers).await.map_err(self.failed("read the tokens"))?;
        rows.iter().map(|row| self.enrol_token(row)).collect()
    }

    pub(super) async fn read_token(&self, hash: &[u8; 32]) -> Result<Option<EnrolToken>, StoreError> {
        let found = sqlx::query(TOKEN).bind(hash.as_slice()).fetch_optional(&self.readers);
        let found = found.await.map_err(self.failed("read a token"))?;
        found.map(|row| self.enrol_token(&row)).transpose()
    }

    pub(super) async fn write_tokens(&self, tokens: &[EnrolToken]) -> Result<(), StoreError> {
        let failed = || self.failed("write the tokens");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        for EnrolToken { site, hash, issued, expires, used: _, revoked: _ } in tokens {
            sqlx::query(REVOKE_TOKENS)
                .bind(site.as_str())
                .bind(issued.0)
                .execute(&mut *writing)
                .await
                .map_err(failed())?;
            sqlx::query(
                "INSERT INTO enrolment_token (hash, site, issued_ms, expires_ms) VALUES ($1, $2, $3, $4)",
            )
            .bind(hash.as_slice())
            .bind(site.as_str())
            .bind(issued.0)
            .bind(expires.0)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        writing.commit().await.map_err(failed())
    }

    pub(super) async fn write_token_revocation(
        &self,
        site: &SiteId,
        at: UnixMillis,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(REVOKE_TOKENS).bind(site.as_str()).bind(at.0).execute(&self.writer).await;
        Ok(done.map_err(self.failed("revoke the site's tokens"))?.rows_affected())
    }

    pub(super) async fn write_exchange(
        &self,
        applicant: &Applicant,
        at: UnixMillis,
    ) -> Result<Exchanged, StoreError> {
        let failed = || self.failed("use a token");
        let Applicant { token, secret, address } = applicant;
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let found = sqlx::query(TOKEN).bind(token.as_slice()).fetch_optional(&mut *writing).await;
        let Some(row) = found.map_err(failed())? else { return Ok(Exchanged::Unknown) };
        let token = self.enrol_token(&row)?;
        let known = accepted(&mut writing, secret).await.map_err(failed())?;
        match (&token.used, known) {
            (Some(used), Some(true)) if used.secret == *secret => {
                return Ok(Exchanged::Again { site: token.site });
            }
            (Some(_), Some(_) | None) => return Ok(Exchanged::Refused(token)),
            (None, Some(_) | None) if token.revoked.is_some() || token.expires <= at => {
                return Ok(Exchanged::Refused(token));
            }
            (None, Some(_)) => return Ok(Exchanged::SecretKnown),
            (None, None) => {}
        }
        let replaced = revoke_all(&mut writing, &token.site, at).await.map_err(failed())? > 0;
        add_secret(&mut writing, &token.site, secret, at, false).await.map_err(failed())?;
        sqlx::query(
            "UPDATE enrolment_token SET used_ms = $2, used_by = $3, secret_hash = $4 WHERE hash = $1",
        )
        .bind(token.hash.as_slice())
        .bind(at.0)
        .bind(address)
        .bind(secret.as_slice())
        .execute(&mut *writing)
        .await
        .map_err(failed())?;
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(Exchanged::Accepted { site: token.site, replaced })
    }

    pub(super) async fn write_rotation(&self, sites: &[SiteId], at: UnixMillis) -> Result<(), StoreError> {
        let failed = || self.failed("ask for new secrets");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        for site in sites {
            sqlx::query(
                "INSERT INTO rotation (site, asked_ms) VALUES ($1, $2) ON CONFLICT (site) DO NOTHING",
            )
            .bind(site.as_str())
            .bind(at.0)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        }
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())
    }

    pub(super) async fn write_offer(
        &self,
        site: &SiteId,
        secret: &[u8; 32],
        at: UnixMillis,
    ) -> Result<Offered, StoreError> {
        let failed = || self.failed("take a new secret in");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let known: Option<(String, bool, bool)> = sqlx::query_as(
            "SELECT site, pending = 1, revoked_ms IS NOT NULL FROM agent_secret WHERE hash = $1",
        )
        .bind(secret.as_slice())
        .fetch_optional(&mut *writing)
        .await
        .map_err(failed())?;
        match known {
            // Asked again, because the answer was lost.
            Some((owner, true, false)) if owner == site.as_str() => return Ok(Offered::Accepted),
            Some(_) => return Ok(Offered::SecretKnown),
            None => {}
        }
        let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM rotation WHERE site = $1")
            .bind(site.as_str())
            .fetch_one(&mut *writing)
            .await
            .map_err(failed())?;
        if asked == 0 {
            return Ok(Offered::NotAsked);
        }
        sqlx::query(
            "UPDATE agent_secret SET revoked_ms = $2 WHERE site = $1 AND pending = 1 AND revoked_ms IS NULL",
        )
        .bind(site.as_str())
        .bind(at.0)
        .execute(&mut *writing)
        .await
        .map_err(failed())?;
        add_secret(&mut writing, site, secret, at, true).await.map_err(failed())?;
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(Offered::Accepted)
    }

    pub(super) async fn write_confirmation(
        &self,
        secret: &[u8; 32],
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("confirm a new secret");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        let site: Option<String> = sqlx::query_scalar(
            "UPDATE agent_secret SET pending = 0 WHERE hash = $1 AND pending = 1 AND revoked_ms IS NULL RETURNING site",
        )
        .bind(secret.as_slice())
        .fetch_optional(&mut *writing)
        .await
        .map_err(failed())?;
        let Some(site) = site else { return Ok(false) };
        sqlx::query(
            "UPDATE agent_secret SET revoked_ms = $2 WHERE site = $1 AND hash <> $3 AND revoked_ms IS NULL",
        )
        .bind(&site)
        .bind(at.0)
        .bind(secret.as_slice())
        .execute(&mut *writing)
        .await
        .map_err(failed())?;
        sqlx::query("DELETE FROM rotation WHERE site = $1")
            .bind(&site)
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        raise_revision(&mut writing).await.map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(true)
    }

    fn enrol_token(&self, row: &SqliteRow) -> Result<EnrolToken, StoreError> {
        let used: Option<i64> = self.column(row, "used_ms")?;
        let by: Option<String> = self.column(row, "used_by")?;
        let secret: Option<Vec<u8>> = self.column(row, "secret_hash")?;
        let used = match (used, by, secret) {
            (Some(at), Some(by), Some(secret)) => {
                Some(TokenUse { at: UnixMillis(at), by, secret: self.hash(secret)? })
            }
            (_, _, _) => None,
        };
        let revoked: Option<i64> = self.column(row, "revoked_ms")?;
        Ok(EnrolToken {
            site: self.parsed("a token's site", self.column(row, "site")?)?,
            hash: self.hash(self.column(row, "hash")?)?,
            issued: UnixMillis(self.column(row, "issued_ms")?),
            expires: UnixMillis(self.column(row, "expires_ms")?),
            used,
            revoked: revoked.map(UnixMillis),
        })
    }
}

/// Whether a secret of this hash is accepted; `None` when there is none.
async fn accepted(writing: &mut SqliteConnection, secret: &[u8; 32]) -> Result<Option<bool>, sqlx::Error> {
    let found = sqlx::query("SELECT revoked_ms IS NULL FROM agent_secret WHERE hash = $1")
        .bind(secret.as_slice())
        .fetch_optional(writing)
        .await?;
    found.map(|row| row.try_get(0)).transpose()
}

async fn add_secret(
    writing: &mut SqliteConnection,
    site: &SiteId,
    secret: &[u8; 32],
    at: UnixMillis,
    pending: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO agent_secret (hash, site, issued_ms, pending) VALUES ($1, $2, $3, $4)")
        .bind(secret.as_slice())
        .bind(site.as_str())
        .bind(at.0)
        .bind(pending)
        .execute(writing)
        .await?;
    Ok(())
}
