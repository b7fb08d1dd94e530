-- Who may read. Passwords as argon2id PHC strings.
CREATE TABLE reader (
    name        TEXT    NOT NULL PRIMARY KEY,
    hash        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    disabled_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Logins, as the SHA-256 of what the cookie holds.
CREATE TABLE reader_session (
    hash         BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    reader       TEXT    NOT NULL REFERENCES reader (name) ON DELETE CASCADE,
    created_ms   INTEGER NOT NULL,
    last_used_ms INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reader_session_by_reader ON reader_session (reader, created_ms);

-- Tokens of scrapers and scripts, as the SHA-256 of what they send. Kept after they are revoked, so that the list tells it.
CREATE TABLE reader_token (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reader_token_by_name ON reader_token (name) WHERE revoked_ms IS NULL;
