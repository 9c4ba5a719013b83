-- Limits that all copies of the server count together (LIMITS=postgres): a row for each bucket that is not full.
--
-- Unlogged: a crash of the database fills every bucket, which harms less than a log record for each request. Room is
-- left on the pages, and nothing but the key is indexed, so that a bucket that is used again and again stays in place.
CREATE UNLOGGED TABLE rate_limits (
    -- HMAC-SHA256 under a key of the server's of what is limited and for whom: nobody reads an address out of it.
    key bytea CONSTRAINT rate_limits_pkey PRIMARY KEY CONSTRAINT rate_limits_key_check CHECK (octet_length(key) = 32),
    -- When the bucket is full again; what it holds follows from that and from its size.
    full_at timestamptz NOT NULL
) WITH (fillfactor = 50);
