-- Of a drill: when whoever began it has ended it at the latest. NULL: no drill, or one from before this was kept.
ALTER TABLE alert ADD COLUMN drill_ends_ms INTEGER;
