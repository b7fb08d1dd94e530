-- Where each key of an alert stands: rule and subject. entry is JSON.
CREATE TABLE alert_state (
    rule    TEXT NOT NULL,
    subject TEXT NOT NULL,
    entry   TEXT NOT NULL,
    PRIMARY KEY (rule, subject)
) STRICT, WITHOUT ROWID;

-- Every alert that ever fired. subject, under and members are JSON; site '' where it is of none; until_ms NULL while it fires.
CREATE TABLE alert (
    id       TEXT    NOT NULL PRIMARY KEY,
    rule     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    site     TEXT    NOT NULL,
    severity TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    fired_ms INTEGER NOT NULL,
    until_ms INTEGER,
    told_ms  INTEGER,
    under    TEXT,
    members  TEXT    NOT NULL,
    flaps    INTEGER NOT NULL,
    cause    TEXT,
    why_vi   TEXT    NOT NULL,
    why_en   TEXT    NOT NULL,
    drill    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_by_time ON alert (fired_ms);
CREATE INDEX alert_by_site ON alert (site, fired_ms);
CREATE INDEX alert_open ON alert (fired_ms) WHERE until_ms IS NULL;

-- Who has taken an alert up. until_ms NULL: until it is over.
CREATE TABLE alert_taken (
    alert    TEXT    NOT NULL PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    taken_by TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What is not to be told for a while. rule NULL: of all rules.
CREATE TABLE alert_silence (
    id       INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    scope    TEXT    NOT NULL,
    scope_of TEXT    NOT NULL,
    rule     TEXT,
    from_ms  INTEGER NOT NULL,
    to_ms    INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    added_by TEXT    NOT NULL,
    added_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
CREATE INDEX alert_silence_by_end ON alert_silence (to_ms);
