-- What a site was before a day: JSON, [{"until": "YYYY-MM-DD", "name", "tier", "branch", "parent", "district"}, …], ascending.
ALTER TABLE site ADD COLUMN former TEXT NOT NULL DEFAULT '[]';
-- The site that took over when this one closed.
ALTER TABLE site ADD COLUMN merged_into TEXT;
-- When it is one of its site's links: days as YYYY-MM-DD.
ALTER TABLE link ADD COLUMN valid_from TEXT;
ALTER TABLE link ADD COLUMN valid_to TEXT;
