-- Every statement of hlrd but the COPY of the journal and the migrations themselves.
-- A header names it; a sentence says what it does. Loaded by queries.py.

-- name: migrate_lock
-- Make daemons that start at the same time migrate one after the other.
SELECT pg_advisory_lock(hashtextextended('hlrd migrate', 0));

-- name: migrate_unlock
-- Let the next one migrate.
SELECT pg_advisory_unlock(hashtextextended('hlrd migrate', 0));

-- name: migrate_table
-- What was applied, and what the file said then.
CREATE TABLE IF NOT EXISTS migration (
    version    int PRIMARY KEY,
    name       text NOT NULL,
    checksum   bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: migrate_list
-- The migrations of this database.
SELECT version, name, checksum FROM migration ORDER BY version;

-- name: migrate_record
-- Note one migration as applied.
INSERT INTO migration (version, name, checksum) VALUES ($1, $2, $3);
