-- Incidents as they were last told. link '' is the site as a whole; end_ms NULL while it goes on. gone_ms: taken back since; then
-- gone_into is the incident of which it turned out to be a part, or NULL where nothing had happened. scene is JSON.
CREATE TABLE incident (
    id        TEXT    NOT NULL PRIMARY KEY,
    site      TEXT    NOT NULL,
    link      TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    start_ms  INTEGER NOT NULL,
    end_ms    INTEGER,
    bad_ms    INTEGER NOT NULL,
    rule      TEXT    NOT NULL,
    scene     TEXT    NOT NULL,
    since_ms  INTEGER NOT NULL,
    gone_ms   INTEGER,
    gone_into TEXT,
    restated  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_by_site ON incident (site, start_ms);
CREATE INDEX incident_by_start ON incident (start_ms);
CREATE INDEX incident_open ON incident (start_ms) WHERE end_ms IS NULL AND gone_ms IS NULL;

-- What had been said of an incident and is said otherwise since. was and now are JSON; now NULL: it was taken back.
CREATE TABLE restatement (
    incident TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    was      TEXT    NOT NULL,
    now      TEXT,
    because  TEXT    NOT NULL,
    PRIMARY KEY (incident, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX restatement_by_time ON restatement (at_ms);
