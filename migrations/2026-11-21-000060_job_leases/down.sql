ALTER TABLE jobs DROP COLUMN next_run_at, DROP COLUMN lease;
