-- How far the journal is in the figures of quality: of the first record that is not.
ALTER TABLE state ADD COLUMN quality_position INTEGER;

-- Whose packets are counted apart: one target of a link, as one site's agent probes it.
CREATE TABLE quality_stream (
    id      INTEGER PRIMARY KEY,
    site    TEXT NOT NULL,
    link    TEXT NOT NULL,
    vantage TEXT NOT NULL,
    probe   TEXT NOT NULL,
    target  TEXT NOT NULL,
    UNIQUE (site, link, vantage, probe, target)
) STRICT;

-- Figures, as the collector's quality/codec.rs writes them. A row's key is (hour or day since 1970) × 2^32 + stream: what is
-- written at one time lies together, what is too old is a range, and no index is needed beside the table itself.

-- An hour of a stream with its minutes; kept 14 days.
CREATE TABLE quality_minute (key INTEGER PRIMARY KEY, figures BLOB NOT NULL) STRICT;
-- The same without its minutes, as long as agents may still bring rounds of that hour.
CREATE TABLE quality_seen (key INTEGER PRIMARY KEY, figures BLOB NOT NULL) STRICT;
-- A UTC day of a stream with its hours; kept three years.
CREATE TABLE quality_hour (key INTEGER PRIMARY KEY, figures BLOB NOT NULL) STRICT;
