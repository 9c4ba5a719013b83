-- Orders, checkout sessions, what the gateway told us, and refunds.

CREATE TABLE orders (
    id uuid CONSTRAINT orders_pkey PRIMARY KEY,
    booking_id uuid NOT NULL CONSTRAINT orders_booking_id_fkey REFERENCES bookings,
    client_id uuid NOT NULL CONSTRAINT orders_client_id_fkey REFERENCES users,
    state text NOT NULL CONSTRAINT orders_state_check CHECK (state IN
        ('PENDING', 'PAID', 'PARTIALLY_REFUNDED', 'REFUNDED', 'EXPIRED', 'CANCELLED')),
    currency text NOT NULL CONSTRAINT orders_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    total_minor bigint NOT NULL CONSTRAINT orders_total_minor_check CHECK (total_minor BETWEEN 1 AND 9007199254740991),
    -- Computed again from the kept events and our refunds after each of them (rule 9).
    captured_minor bigint NOT NULL DEFAULT 0 CONSTRAINT orders_captured_minor_check CHECK (captured_minor >= 0),
    refunded_minor bigint NOT NULL DEFAULT 0 CONSTRAINT orders_refunded_minor_check CHECK (refunded_minor >= 0),
    paid_at timestamptz,
    disputed_at timestamptz,
    needs_attention text CONSTRAINT orders_needs_attention_check CHECK (char_length(needs_attention) <= 500),
    version integer NOT NULL CONSTRAINT orders_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX orders_booking_id_idx ON orders (booking_id);
CREATE UNIQUE INDEX orders_one_open_per_booking ON orders (booking_id) WHERE state IN ('PENDING', 'PAID', 'PARTIALLY_REFUNDED');
CREATE INDEX orders_client_idx ON orders (client_id, created_at DESC, id DESC);
CREATE INDEX orders_created_idx ON orders (created_at DESC, id DESC);
CREATE INDEX orders_attention_idx ON orders (created_at DESC, id DESC) WHERE needs_attention IS NOT NULL;

CREATE TABLE order_lines (
    id uuid CONSTRAINT order_lines_pkey PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT order_lines_order_id_fkey REFERENCES orders,
    position integer NOT NULL,
    title text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT order_lines_amount_minor_check CHECK (amount_minor BETWEEN 0 AND 9007199254740991),
    CONSTRAINT order_lines_position_key UNIQUE (order_id, position)
);

-- An intent row is committed before the gateway is called; a job finishes what a crash left (rule 11).
CREATE TABLE checkouts (
    id uuid CONSTRAINT checkouts_pkey PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT checkouts_order_id_fkey REFERENCES orders,
    state text NOT NULL CONSTRAINT checkouts_state_check CHECK (state IN ('CREATING', 'OPEN', 'EXPIRING', 'EXPIRED', 'COMPLETE', 'FAILED')),
    gateway_session_id text CONSTRAINT checkouts_gateway_session_id_key UNIQUE,
    url text,
    success_url text NOT NULL,
    cancel_url text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT checkouts_open_check CHECK (state <> 'OPEN' OR (gateway_session_id IS NOT NULL AND url IS NOT NULL))
);
CREATE INDEX checkouts_order_id_idx ON checkouts (order_id);
CREATE UNIQUE INDEX checkouts_one_open_per_order ON checkouts (order_id) WHERE state IN ('CREATING', 'OPEN');

-- Every event the gateway sent, once, as it came; append-only.
CREATE TABLE payment_events (
    id text CONSTRAINT payment_events_pkey PRIMARY KEY,
    kind text NOT NULL,
    order_id uuid CONSTRAINT payment_events_order_id_fkey REFERENCES orders,
    -- What of it did not agree with our order, if anything (security.md, Stripe webhooks 6).
    mismatch text,
    raw_body bytea NOT NULL,
    created_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX payment_events_order_id_idx ON payment_events (order_id, created_at, id);
CREATE TRIGGER payment_events_append_only BEFORE DELETE OR TRUNCATE ON payment_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE refunds (
    id uuid CONSTRAINT refunds_pkey PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT refunds_order_id_fkey REFERENCES orders,
    payment_intent text NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT refunds_amount_minor_check CHECK (amount_minor > 0),
    state text NOT NULL CONSTRAINT refunds_state_check CHECK (state IN ('PENDING', 'SUCCEEDED', 'FAILED')),
    cause text NOT NULL CONSTRAINT refunds_cause_check CHECK (cause IN ('POLICY', 'STAFF', 'LATE_PAYMENT', 'DUPLICATE_PAYMENT', 'NO_SHOW')),
    reason text NOT NULL CONSTRAINT refunds_reason_check CHECK (char_length(reason) <= 2000),
    requested_by uuid CONSTRAINT refunds_requested_by_fkey REFERENCES users,
    gateway_refund_id text CONSTRAINT refunds_gateway_refund_id_key UNIQUE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX refunds_order_id_idx ON refunds (order_id, created_at, id);
CREATE INDEX refunds_requested_by_idx ON refunds (requested_by);
CREATE INDEX refunds_pending_idx ON refunds (created_at) WHERE state = 'PENDING';
