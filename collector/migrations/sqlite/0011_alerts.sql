-- Notices of alerts, a row for each channel that is to deliver one; numbers grow, and are the order of delivery. body: the notice as
-- JSON. state: pending, delivered, refused, superseded, expired. progress: how many of the channel's recipients are done with.
CREATE TABLE outbox (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    notice     TEXT    NOT NULL,
    channel    TEXT    NOT NULL,
    alert      TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    next_ms    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    progress   INTEGER NOT NULL DEFAULT 0,
    state      TEXT    NOT NULL DEFAULT 'pending',
    last_error TEXT,
    done_ms    INTEGER,
    UNIQUE (notice, channel)
) STRICT;
CREATE INDEX outbox_pending ON outbox (channel, alert, number) WHERE state = 'pending';
CREATE INDEX outbox_next ON outbox (channel, next_ms, created_ms) WHERE state = 'pending';
CREATE INDEX outbox_of_alert ON outbox (channel, alert, event);
CREATE INDEX outbox_done ON outbox (done_ms) WHERE state <> 'pending';
