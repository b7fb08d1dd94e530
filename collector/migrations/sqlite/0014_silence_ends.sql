-- Who ended a silence before its time; NULL: nobody has, or it was before this was kept.
ALTER TABLE alert_silence ADD COLUMN ended_by TEXT;
