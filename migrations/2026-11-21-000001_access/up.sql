-- Accounts, sign-in and access control.
-- Enumerations are text with a CHECK: a PostgreSQL enum costs a hidden catalogue query per connection.
-- Every time is bound by the server from its clock: no column has a time default.

CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE cities (
    id uuid CONSTRAINT cities_pkey PRIMARY KEY,
    slug text NOT NULL CONSTRAINT cities_slug_key UNIQUE,
    name text NOT NULL,
    country_code text NOT NULL CONSTRAINT cities_country_code_check CHECK (country_code ~ '^[A-Z]{2}$'),
    time_zone text NOT NULL
);

CREATE TABLE users (
    id uuid CONSTRAINT users_pkey PRIMARY KEY,
    display_name text NOT NULL CONSTRAINT users_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 100),
    username text CONSTRAINT users_username_check CHECK (username ~ '^[a-z][a-z0-9_]{2,31}$'),
    language text NOT NULL CONSTRAINT users_language_check CHECK (language IN ('EN', 'ZH', 'RU')),
    city_id uuid CONSTRAINT users_city_id_fkey REFERENCES cities,
    avatar_media_id uuid,
    telegram_id bigint CONSTRAINT users_telegram_id_key UNIQUE,
    telegram_username text,
    status text NOT NULL CONSTRAINT users_status_check CHECK (status IN ('ACTIVE', 'SUSPENDED', 'DELETED')),
    version integer NOT NULL CONSTRAINT users_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT users_username_key UNIQUE (username)
);
CREATE INDEX users_city_id_idx ON users (city_id);
CREATE INDEX users_avatar_media_id_idx ON users (avatar_media_id);

CREATE TABLE permissions (
    id uuid CONSTRAINT permissions_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT permissions_name_key UNIQUE
        CONSTRAINT permissions_name_check CHECK (name = '*' OR name ~ '^[a-z][a-z_]*:([a-z][a-z_]*|\*)$'),
    description text NOT NULL,
    built_in boolean NOT NULL
);

CREATE TABLE roles (
    id uuid CONSTRAINT roles_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT roles_name_key UNIQUE
        CONSTRAINT roles_name_check CHECK (name ~ '^[A-Z][A-Z0-9_]{1,31}$'),
    description text NOT NULL,
    built_in boolean NOT NULL,
    version integer NOT NULL CONSTRAINT roles_version_check CHECK (version >= 1)
);

CREATE TABLE role_permissions (
    role_id uuid NOT NULL CONSTRAINT role_permissions_role_id_fkey REFERENCES roles ON DELETE CASCADE,
    permission_id uuid NOT NULL CONSTRAINT role_permissions_permission_id_fkey REFERENCES permissions ON DELETE CASCADE,
    CONSTRAINT role_permissions_pkey PRIMARY KEY (role_id, permission_id)
);
CREATE INDEX role_permissions_permission_id_idx ON role_permissions (permission_id);

CREATE TABLE user_roles (
    user_id uuid NOT NULL CONSTRAINT user_roles_user_id_fkey REFERENCES users,
    role_id uuid NOT NULL CONSTRAINT user_roles_role_id_fkey REFERENCES roles,
    granted_by uuid CONSTRAINT user_roles_granted_by_fkey REFERENCES users,
    granted_at timestamptz NOT NULL,
    CONSTRAINT user_roles_pkey PRIMARY KEY (user_id, role_id)
);
CREATE INDEX user_roles_role_id_idx ON user_roles (role_id);
CREATE INDEX user_roles_granted_by_idx ON user_roles (granted_by);

-- A session is a family of refresh tokens: all that descends from one sign-in.
CREATE TABLE sessions (
    id uuid CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users,
    device_name text NOT NULL,
    ip_address text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CONSTRAINT sessions_revoked_reason_check
        CHECK (revoked_reason IN ('LOGOUT', 'REVOKED', 'TOKEN_REUSE', 'SUSPENDED')),
    CONSTRAINT sessions_revoked_check CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id, last_used_at DESC, id DESC);

CREATE TABLE refresh_tokens (
    token_hash bytea CONSTRAINT refresh_tokens_pkey PRIMARY KEY
        CONSTRAINT refresh_tokens_token_hash_check CHECK (octet_length(token_hash) = 32),
    session_id uuid NOT NULL CONSTRAINT refresh_tokens_session_id_fkey REFERENCES sessions ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
-- Rule 21: a family never has more than one live token.
CREATE UNIQUE INDEX refresh_tokens_one_live_per_session ON refresh_tokens (session_id) WHERE used_at IS NULL;
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);

CREATE TABLE audit_events (
    id uuid CONSTRAINT audit_events_pkey PRIMARY KEY,
    actor_kind text NOT NULL CONSTRAINT audit_events_actor_kind_check CHECK (actor_kind IN ('USER', 'SYSTEM', 'GATEWAY')),
    actor_id uuid CONSTRAINT audit_events_actor_id_fkey REFERENCES users,
    action text NOT NULL,
    outcome text NOT NULL CONSTRAINT audit_events_outcome_check CHECK (outcome IN ('DONE', 'REFUSED')),
    target_kind text,
    target_id uuid,
    before jsonb,
    after jsonb,
    ip_address text,
    request_id text,
    created_at timestamptz NOT NULL
);
CREATE INDEX audit_events_created_at_idx ON audit_events (created_at DESC, id DESC);
CREATE INDEX audit_events_actor_id_idx ON audit_events (actor_id, created_at DESC, id DESC);
CREATE INDEX audit_events_target_idx ON audit_events (target_id, created_at DESC, id DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Every copy of the server hears at once of what ends somebody's rights (rule 17).
CREATE FUNCTION notify_access_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'sessions' THEN
        PERFORM pg_notify('access_changed', 'session:' || NEW.id);
    ELSIF TG_TABLE_NAME = 'users' THEN
        PERFORM pg_notify('access_changed', 'user:' || NEW.id);
    ELSIF TG_TABLE_NAME = 'user_roles' THEN
        PERFORM pg_notify('access_changed', 'user:' || COALESCE(NEW.user_id, OLD.user_id));
    ELSE
        PERFORM pg_notify('access_changed', 'all');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER sessions_notify AFTER UPDATE OF revoked_at ON sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at) EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER users_notify AFTER UPDATE OF status ON users
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER user_roles_notify AFTER INSERT OR DELETE ON user_roles
    FOR EACH ROW EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER role_permissions_notify AFTER INSERT OR DELETE ON role_permissions
    FOR EACH ROW EXECUTE FUNCTION notify_access_change();
