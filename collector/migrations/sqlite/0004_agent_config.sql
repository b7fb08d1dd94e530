-- What each agent last said of a central configuration: applied = 1 it is in force there, 0 it was refused, and why.
CREATE TABLE agent_config (
    site    TEXT    NOT NULL PRIMARY KEY,
    etag    TEXT    NOT NULL,
    applied INTEGER NOT NULL CHECK (applied IN (0, 1)),
    reason  TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
