//! Opening: settings, schema, and errors that say which file and what to do.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::SqliteStore;
use crate::store::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a transaction waits for another process's. The longest one is an import of some seconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// Reading connections: the server's pages and its poll of the revision never wait for each other.
const READERS: u32 = 4;

/// Rows that the engine's thread may be ahead of a reading task; few would make every row a change of threads.
const ROWS_AHEAD: usize = 2048;

pub(super) async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    if let Some(folder) = path.parent() {
        make_folder(folder).map_err(|error| explain(path, "create its folder", sqlx::Error::Io(error)))?;
    }
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let writer = pool(path, options, 1).await?;
    refuse_newer(path, &writer).await?;
    MIGRATIONS.run(&writer).await.map_err(|error| explain_migration(path, error))?;
    let readers = pool(path, options_read_only(path), READERS).await?;
    Ok(SqliteStore { path: path.to_owned(), writer, readers })
}

pub(super) async fn open_read_only(path: &Path) -> Result<SqliteStore, StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing { path: path.to_owned() });
    }
    let readers = pool(path, options_read_only(path), READERS).await?;
    let found = refuse_newer(path, &readers).await?;
    let known = newest();
    if found < known {
        return Err(StoreError::Older { path: path.to_owned(), found, known });
    }
    Ok(SqliteStore { path: path.to_owned(), writer: readers.clone(), readers })
}

/// Puts the engine's error into the store's terms.
pub(super) fn explain(path: &Path, operation: &'static str, source: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let code =
        source.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
    // The low byte is the primary result code: https://www.sqlite.org/rescode.html
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => StoreError::Busy { path, operation },
        Some(11 | 26) => StoreError::Corrupt { path, reason: source.to_string() },
        _ => StoreError::Engine { path, operation, source },
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enum: whatever else it says is passed on as it is"
)]
fn explain_migration(path: &Path, error: MigrateError) -> StoreError {
    let operation = "bring the schema up to date";
    match error {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
            explain(path, operation, source)
        }
        other => explain(path, operation, sqlx::Error::Migrate(Box::new(other))),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD)
        // A start reads much at once, and a warning would hold the whole statement.
        .disable_statement_logging()
        // The write-ahead log is cut back to 64 MiB after a transaction that made it longer.
        .pragma("journal_size_limit", "67108864")
}

fn options_read_only(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

async fn pool(
    path: &Path,
    options: SqliteConnectOptions,
    connections: u32,
) -> Result<SqlitePool, StoreError> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .connect_with(options)
        .await
        .map_err(|error| explain(path, "open the database", error))
}

/// The schema's number; an error where this program is too old for it.
async fn refuse_newer(path: &Path, pool: &SqlitePool) -> Result<i64, StoreError> {
    let failed = || |error| explain(path, "read the schema's number", error);
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(pool)
            .await
            .map_err(failed())?;
    if tables == 0 {
        return Ok(0);
    }
    let found: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(pool)
        .await
        .map_err(failed())?;
    let (found, known) = (found.unwrap_or(0), newest());
    if found > known { Err(StoreError::Newer { path: path.to_owned(), found, known }) } else { Ok(found) }
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Makes the data folder for this user alone: it holds who is cut off, and hashes of secrets.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
