-- One-time tokens by which an agent has its first secret accepted, as the SHA-256 of what is pasted. Kept after their use:
-- a token that is refused is refused with what became of it. used_by is an IP address; secret_hash the secret it was used for.
CREATE TABLE enrolment_token (
    hash        BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    site        TEXT    NOT NULL,
    issued_ms   INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL CHECK (expires_ms > issued_ms),
    used_ms     INTEGER,
    used_by     TEXT,
    secret_hash BLOB CHECK (secret_hash IS NULL OR length(secret_hash) = 32),
    revoked_ms  INTEGER,
    CHECK ((used_ms IS NULL) = (used_by IS NULL) AND (used_ms IS NULL) = (secret_hash IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolment_token_by_site ON enrolment_token (site);

-- A secret that an agent has offered in place of its present one. Until it has been used once both are accepted.
ALTER TABLE agent_secret ADD COLUMN pending INTEGER NOT NULL DEFAULT 0 CHECK (pending IN (0, 1));

-- Sites whose agents are asked to offer a new secret.
CREATE TABLE rotation (
    site     TEXT    NOT NULL PRIMARY KEY,
    asked_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
