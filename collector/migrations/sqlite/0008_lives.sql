-- When sites' hosts booted and their agents started, by the agents' newest word. boot is the boot's id, or @ and the minute since
-- 1970 where there is none; start_s whole seconds from the boot to the agent's start, -1 when none was told.
CREATE TABLE life (
    site    TEXT    NOT NULL,
    boot    TEXT    NOT NULL,
    start_s INTEGER NOT NULL CHECK (start_s >= -1),
    told_ms INTEGER NOT NULL,
    boot_ms INTEGER NOT NULL,
    PRIMARY KEY (site, boot, start_s)
) STRICT, WITHOUT ROWID;
