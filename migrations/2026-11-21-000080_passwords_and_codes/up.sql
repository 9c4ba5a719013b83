-- Sign-in by e-mail address and password, and the codes that prove an address.

ALTER TABLE users
    ADD COLUMN email text CONSTRAINT users_email_check
        CHECK (char_length(email) <= 254 AND email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
    -- NULL: nobody has proved yet that the address is theirs, and it signs nobody in.
    ADD COLUMN email_verified_at timestamptz,
    -- A PHC string, which names its own parameters.
    ADD COLUMN password_hash text CONSTRAINT users_password_hash_check CHECK (password_hash LIKE '$argon2id$%'),
    ADD CONSTRAINT users_email_verified_at_check CHECK (email_verified_at IS NULL OR email IS NOT NULL);
-- Mail hosts don't tell upper from lower case in practice, so that two accounts never differ in it alone.
CREATE UNIQUE INDEX users_one_per_verified_email ON users (lower(email)) WHERE email_verified_at IS NOT NULL;

-- Codes that wait to be typed in (rule 22), one for each address, purpose and, where an address is to be added to an
-- account, that account. A code is made for every address alike, known or not: the job that sends it looks.
CREATE TABLE email_codes (
    id uuid CONSTRAINT email_codes_pkey PRIMARY KEY,
    email text NOT NULL CONSTRAINT email_codes_email_check CHECK (char_length(email) <= 254),
    purpose text NOT NULL CONSTRAINT email_codes_purpose_check CHECK (purpose IN ('SIGN_UP', 'PASSWORD_RESET', 'LINK')),
    user_id uuid CONSTRAINT email_codes_user_id_fkey REFERENCES users ON DELETE CASCADE,
    language text NOT NULL CONSTRAINT email_codes_language_check CHECK (language IN ('EN', 'ZH', 'RU')),
    -- HMAC-SHA256 of id and code under a key of the server's.
    code_hash bytea NOT NULL CONSTRAINT email_codes_code_hash_check CHECK (octet_length(code_hash) = 32),
    -- What the account will be made of once the address is proved; the password only as its hash.
    registration jsonb,
    attempts integer NOT NULL CONSTRAINT email_codes_attempts_check CHECK (attempts BETWEEN 0 AND 3),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT email_codes_expires_at_check CHECK (expires_at > created_at),
    CONSTRAINT email_codes_link_check CHECK ((user_id IS NOT NULL) = (purpose = 'LINK')),
    CONSTRAINT email_codes_registration_check CHECK (registration IS NULL OR purpose = 'SIGN_UP')
);
CREATE UNIQUE INDEX email_codes_one_per_purpose
    ON email_codes (lower(email), purpose, coalesce(user_id, '00000000-0000-0000-0000-000000000000'));
CREATE INDEX email_codes_user_id_idx ON email_codes (user_id);
CREATE INDEX email_codes_created_at_idx ON email_codes (created_at);

-- When codes were last sent to an address, newest first: 60 s between two, 10 a day (rule 22).
CREATE TABLE email_sends (
    -- In lower case.
    address text CONSTRAINT email_sends_pkey PRIMARY KEY CONSTRAINT email_sends_address_check CHECK (address = lower(address)),
    sent_at timestamptz[] NOT NULL CONSTRAINT email_sends_sent_at_check CHECK (cardinality(sent_at) <= 10),
    last_sent_at timestamptz NOT NULL
);
CREATE INDEX email_sends_last_sent_at_idx ON email_sends (last_sent_at);
