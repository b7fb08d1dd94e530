//! Users, sessions and tokens in SQL.
//!
//! Nothing of it is kept in memory: a look-up is one row by its key, some tens of microseconds, and what the command line
//! changes beside a running server holds from the next request on.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use wan_wire::UnixMillis;

use super::SqliteStore;
use crate::access::user::{Hash, Role, Session, Token, User, UserName};
use crate::store::StoreError;

/// A user's oldest sessions beyond this many end at the next login: nobody has more browsers, and a table is not to grow
/// without end.
const SESSIONS_PER_USER: i64 = 20;

macro_rules! users {
    ($rest:literal) => {
        concat!(
            "SELECT name, hash, role, created_ms, disabled_ms, (SELECT max(last_used_ms) FROM reader_session \
             WHERE reader = name) AS seen_ms FROM reader ",
            $rest
        )
    };
}

macro_rules! tokens {
    ($rest:literal) => {
        concat!("SELECT hash, name, role, created_ms, expires_ms, revoked_ms FROM reader_token ", $rest)
    };
}

const SESSION: &str = "SELECT s.hash, s.reader, r.role, s.created_ms, s.last_used_ms, s.expires_ms \
                       FROM reader_session s JOIN reader r ON r.name = s.reader \
                       WHERE s.hash = $1 AND r.disabled_ms IS NULL";

impl SqliteStore {
    pub(super) async fn read_somebody(&self, now: UnixMillis) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM reader WHERE disabled_ms IS NULL) OR EXISTS (SELECT 1 FROM reader_token \
             WHERE revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > $1))",
        )
        .bind(now.0)
        .fetch_one(&self.readers)
        .await
        .map_err(self.failed("see whether there is a user or a token"))
    }

    pub(super) async fn read_users(&self) -> Result<Vec<User>, StoreError> {
        let rows = sqlx::query(users!("ORDER BY name"))
            .fetch_all(&self.readers)
            .await
            .map_err(self.failed("read the users"))?;
        rows.iter().map(|row| self.user_of(row)).collect()
    }

    pub(super) async fn read_user(&self, name: &UserName) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(users!("WHERE name = $1"))
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(self.failed("read a user"))?;
        row.as_ref().map(|row| self.user_of(row)).transpose()
    }

    pub(super) async fn write_user(&self, user: &User) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO reader (name, hash, role, created_ms, disabled_ms) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(user.name.as_str())
        .bind(&user.hash)
        .bind(user.role.as_str())
        .bind(user.created.0)
        .bind(user.disabled.map(|at| at.0))
        .execute(&self.writer)
        .await
        .map_err(self.failed("add a user"))?;
        Ok(done.rows_affected() > 0)
    }

    pub(super) async fn write_password(&self, name: &UserName, hash: &str) -> Result<bool, StoreError> {
        self.change_user(name, "UPDATE reader SET hash = $2 WHERE name = $1", Some(hash)).await
    }

    pub(super) async fn write_role(&self, name: &UserName, role: Role) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE reader SET role = $2 WHERE name = $1")
            .bind(name.as_str())
            .bind(role.as_str())
            .execute(&self.writer)
            .await
            .map_err(self.failed("change a user's role"))?;
        Ok(done.rows_affected() > 0)
    }

    pub(super) async fn write_disabled(
        &self,
        name: &UserName,
        at: Option<UnixMillis>,
    ) -> Result<bool, StoreError> {
        let change = "UPDATE reader SET disabled_ms = CAST($2 AS INTEGER) WHERE name = $1";
        self.change_user(name, change, at.map(|at| at.0.to_string()).as_deref()).await
    }

    pub(super) async fn delete_user(&self, name: &UserName) -> Result<bool, StoreError> {
        self.change_user(name, "DELETE FROM reader WHERE name = $1 AND $2 IS NULL", None).await
    }

    /// Changes one user and ends all their sessions, in one transaction.
    async fn change_user(
        &self,
        name: &UserName,
        change: &'static str,
        value: Option<&str>,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("change a user");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        sqlx::query("DELETE FROM reader_session WHERE reader = $1")
            .bind(name.as_str())
            .execute(&mut *writing)
            .await
            .map_err(failed())?;
        let done = sqlx::query(change)
            .bind(name.as_str())
            .bind(value)
            .execute(&mut *writing)
            .await
            .map_err(failed())?
            .rows_affected();
        writing.commit().await.map_err(failed())?;
        Ok(done > 0)
    }

    pub(super) async fn write_session(
        &self,
        session: &Session,
        password_hash: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let failed = || self.failed("open a session");
        let mut writing = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed())?;
        // Whose password was changed while it was being checked is not let in by the old one.
        let done = sqlx::query(
            "INSERT INTO reader_session (hash, reader, created_ms, last_used_ms, expires_ms) \
             SELECT $1, name, $3, $4, $5 FROM reader WHERE name = $2 AND hash = $6 AND disabled_ms IS NULL",
        )
        .bind(session.hash.as_slice())
        .bind(session.user.as_str())
        .bind(session.created.0)
        .bind(session.last_used.0)
        .bind(session.expires.0)
        .bind(password_hash)
        .execute(&mut *writing)
        .await
        .map_err(failed())?
        .rows_affected();
        sqlx::query(
            "DELETE FROM reader_session WHERE expires_ms <= $1 OR (reader = $2 AND hash NOT IN (SELECT hash \
             FROM reader_session WHERE reader = $2 ORDER BY created_ms DESC, hash LIMIT $3))",
        )
        .bind(now.0)
        .bind(session.user.as_str())
        .bind(SESSIONS_PER_USER)
        .execute(&mut *writing)
        .await
        .map_err(failed())?;
        writing.commit().await.map_err(failed())?;
        Ok(done > 0)
    }

    pub(super) async fn read_session(&self, hash: &Hash) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(SESSION)
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(self.failed("look a session up"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Session {
            hash: *hash,
            user: self.name_of(row.get("reader"))?,
            role: self.role_of(row.get("role"))?,
            created: UnixMillis(row.get("created_ms")),
            last_used: UnixMillis(row.get("last_used_ms")),
            expires: UnixMillis(row.get("expires_ms")),
        }))
    }

    pub(super) async fn write_session_use(&self, hash: &Hash, at: UnixMillis) -> Result<(), StoreError> {
        sqlx::query("UPDATE reader_session SET last_used_ms = max(last_used_ms, $2) WHERE hash = $1")
            .bind(hash.as_slice())
            .bind(at.0)
            .execute(&self.writer)
            .await
            .map_err(self.failed("note the use of a session"))?;
        Ok(())
    }

    pub(super) async fn delete_session(&self, hash: &Hash) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM reader_session WHERE hash = $1")
            .bind(hash.as_slice())
            .execute(&self.writer)
            .await
            .map_err(self.failed("end a session"))?;
        Ok(done.rows_affected() > 0)
    }

    pub(super) async fn write_reader_token(&self, token: &Token) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "INSERT INTO reader_token (hash, name, role, created_ms, expires_ms, revoked_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) WHERE revoked_ms IS NULL DO NOTHING",
        )
        .bind(token.hash.as_slice())
        .bind(token.name.as_str())
        .bind(token.role.as_str())
        .bind(token.created.0)
        .bind(token.expires.map(|at| at.0))
        .bind(token.revoked.map(|at| at.0))
        .execute(&self.writer)
        .await
        .map_err(self.failed("add a token"))?;
        Ok(done.rows_affected() > 0)
    }

    pub(super) async fn read_reader_tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows = sqlx::query(tokens!("ORDER BY name, created_ms, hash"))
            .fetch_all(&self.readers)
            .await
            .map_err(self.failed("read the tokens"))?;
        rows.iter().map(|row| self.token_of(row)).collect()
    }

    pub(super) async fn read_reader_token(&self, hash: &Hash) -> Result<Option<Token>, StoreError> {
        let row = sqlx::query(tokens!("WHERE hash = $1"))
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(self.failed("look a token up"))?;
        row.as_ref().map(|row| self.token_of(row)).transpose()
    }

    pub(super) async fn write_reader_token_revoked(
        &self,
        name: &UserName,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let done =
            sqlx::query("UPDATE reader_token SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL")
                .bind(name.as_str())
                .bind(at.0)
                .execute(&self.writer)
                .await
                .map_err(self.failed("revoke a token"))?;
        Ok(done.rows_affected() > 0)
    }

    fn user_of(&self, row: &SqliteRow) -> Result<User, StoreError> {
        Ok(User {
            name: self.name_of(row.get("name"))?,
            hash: row.get("hash"),
            role: self.role_of(row.get("role"))?,
            created: UnixMillis(row.get("created_ms")),
            disabled: row.get::<Option<i64>, _>("disabled_ms").map(UnixMillis),
            last_seen: row.get::<Option<i64>, _>("seen_ms").map(UnixMillis),
        })
    }

    fn token_of(&self, row: &SqliteRow) -> Result<Token, StoreError> {
        let hash: Vec<u8> = row.get("hash");
        let wrong = |hash: Vec<u8>| self.invalid("a token's hash", format!("{} bytes", hash.len()));
        Ok(Token {
            hash: Hash::try_from(hash).map_err(wrong)?,
            name: self.name_of(row.get("name"))?,
            role: self.role_of(row.get("role"))?,
            created: UnixMillis(row.get("created_ms")),
            expires: row.get::<Option<i64>, _>("expires_ms").map(UnixMillis),
            revoked: row.get::<Option<i64>, _>("revoked_ms").map(UnixMillis),
        })
    }

    fn name_of(&self, text: String) -> Result<UserName, StoreError> {
        UserName::from_str(&text).map_err(|_| self.invalid("a user's or token's name", text))
    }

    fn role_of(&self, text: String) -> Result<Role, StoreError> {
        Role::from_str(&text).map_err(|_| self.invalid("a role", text))
    }
}
