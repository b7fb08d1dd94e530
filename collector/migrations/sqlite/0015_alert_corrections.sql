-- What was said otherwise of an alert, once it was over, than before: JSON, the newest last.
ALTER TABLE alert ADD COLUMN corrections TEXT NOT NULL DEFAULT '[]';
