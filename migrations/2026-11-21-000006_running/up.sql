-- The job queue and idempotency keys.

CREATE TABLE jobs (
    id uuid CONSTRAINT jobs_pkey PRIMARY KEY,
    kind text NOT NULL,
    -- At most one waiting job of a kind and key: enqueuing it again moves nothing and adds nothing.
    dedupe_key text NOT NULL,
    payload jsonb NOT NULL,
    run_at timestamptz NOT NULL,
    attempts integer NOT NULL CONSTRAINT jobs_attempts_check CHECK (attempts >= 0),
    -- Set while a worker has it; past it, the worker is taken for dead and another may take the job.
    locked_until timestamptz,
    last_error text,
    created_at timestamptz NOT NULL,
    CONSTRAINT jobs_kind_dedupe_key UNIQUE (kind, dedupe_key)
);
CREATE INDEX jobs_due_idx ON jobs (run_at, id);

CREATE TABLE idempotency_keys (
    actor_id uuid NOT NULL CONSTRAINT idempotency_keys_actor_id_fkey REFERENCES users,
    operation text NOT NULL,
    key text NOT NULL CONSTRAINT idempotency_keys_key_check CHECK (key ~ '^[\x20-\x7e]{1,128}$'),
    input_sha256 bytea NOT NULL,
    outcome jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor_id, operation, key)
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
