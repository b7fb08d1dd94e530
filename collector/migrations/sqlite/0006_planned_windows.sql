-- Planned windows. Nothing is deleted: a window that was removed ended at removed_ms; one that is void never held. scope_of is a
-- site, tier, district or carrier; it may leave the register. occurs is the time as the program writes it (`weekly sat 22:00-23:00`).
CREATE TABLE planned_window (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT    NOT NULL CHECK (scope IN ('all', 'site', 'subtree', 'tier', 'district', 'carrier')),
    scope_of   TEXT    NOT NULL,
    occurs     TEXT    NOT NULL,
    valid_from TEXT,
    valid_to   TEXT,
    reason     TEXT    NOT NULL,
    added_ms   INTEGER NOT NULL,
    added_by   TEXT    NOT NULL,
    removed_ms INTEGER,
    removed_by TEXT,
    void       INTEGER NOT NULL DEFAULT 0 CHECK (void IN (0, 1)),
    CHECK ((removed_ms IS NULL) = (removed_by IS NULL) AND (void = 0 OR removed_ms IS NOT NULL))
) STRICT;
-- The same is planned once.
CREATE UNIQUE INDEX planned_window_once ON planned_window
    (scope, scope_of, occurs, ifnull(valid_from, ''), ifnull(valid_to, '')) WHERE removed_ms IS NULL;
