-- Lists of people for staff, and what a suspension keeps.

-- Why staff suspended the person; for staff alone.
ALTER TABLE users ADD COLUMN status_reason text CONSTRAINT users_status_reason_check CHECK (char_length(status_reason) <= 2000);
-- An approved provider that went with its person's account comes back with it.
ALTER TABLE providers
    ADD COLUMN suspended_with_account boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT providers_suspended_with_account_check CHECK (NOT suspended_with_account OR status = 'SUSPENDED');

CREATE INDEX users_created_idx ON users (created_at DESC, id DESC);
CREATE INDEX users_name_idx ON users (display_name, id);
CREATE INDEX users_status_idx ON users (status, created_at DESC, id DESC);
CREATE INDEX users_status_name_idx ON users (status, display_name, id);
-- Three characters and more are found anywhere, fewer at the beginning of a name.
CREATE INDEX users_text_idx ON users USING gin ((
    display_name || ' ' || coalesce(username, '') || ' ' || coalesce(email, '') || ' ' || coalesce(telegram_username, '')
) gin_trgm_ops);
CREATE INDEX users_name_start_idx ON users (lower(display_name) text_pattern_ops);
CREATE INDEX users_username_start_idx ON users (username text_pattern_ops);
