-- One row: how often register or secrets have changed, and up to where the journal is in the evidence.
CREATE TABLE state (
    one               INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    register_revision INTEGER NOT NULL,
    journal_position  INTEGER
) STRICT;
INSERT INTO state (one, register_revision, journal_position) VALUES (1, 0, NULL);

-- The register. Days are the province's, as YYYY-MM-DD. contacts and watches are JSON.
CREATE TABLE site (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    tier       TEXT NOT NULL,
    branch     TEXT NOT NULL,
    parent     TEXT,
    district   TEXT,
    valid_from TEXT,
    valid_to   TEXT,
    latitude   REAL,
    longitude  REAL,
    contacts   TEXT NOT NULL,
    watches    TEXT NOT NULL,
    note       TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    site      TEXT    NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    name      TEXT    NOT NULL,
    carrier   TEXT,
    contract  TEXT,
    uptime    REAL,
    interface TEXT,
    router    TEXT,
    PRIMARY KEY (site, position)
) STRICT, WITHOUT ROWID;

-- Agents' secrets, as the SHA-256 of what the agent sends. Kept after they are revoked: "equipped since" is history.
CREATE TABLE agent_secret (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    site       TEXT    NOT NULL,
    issued_ms  INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_secret_by_site ON agent_secret (site);

-- Who watches what. Spans are many, so they name their series by a number.
CREATE TABLE series (
    id      INTEGER PRIMARY KEY,
    site    TEXT NOT NULL,
    link    TEXT NOT NULL,
    vantage TEXT NOT NULL,
    UNIQUE (site, link, vantage)
) STRICT;

-- Evidence: the half-open time [start_ms, end_ms) in UTC; outcome 0 fault, 1 down, 2 degraded, 3 up.
CREATE TABLE span (
    series   INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    end_ms   INTEGER NOT NULL CHECK (end_ms > start_ms),
    outcome  INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 3),
    PRIMARY KEY (series, start_ms)
) STRICT, WITHOUT ROWID;

-- When the collector itself was able to hear the agents.
CREATE TABLE collector_alive (
    start_ms INTEGER NOT NULL PRIMARY KEY,
    end_ms   INTEGER NOT NULL CHECK (end_ms >= start_ms)
) STRICT;
