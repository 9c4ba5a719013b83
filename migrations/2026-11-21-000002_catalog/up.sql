-- Media, categories, services, providers and their prices.

CREATE TABLE media (
    id uuid CONSTRAINT media_pkey PRIMARY KEY,
    owner_id uuid NOT NULL CONSTRAINT media_owner_id_fkey REFERENCES users,
    purpose text NOT NULL CONSTRAINT media_purpose_check CHECK (purpose IN ('AVATAR', 'PORTFOLIO')),
    storage_key text NOT NULL CONSTRAINT media_storage_key_key UNIQUE,
    content_type text NOT NULL CONSTRAINT media_content_type_check
        CHECK (content_type IN ('image/jpeg', 'image/png', 'image/webp')),
    byte_size bigint NOT NULL CONSTRAINT media_byte_size_check CHECK (byte_size > 0),
    width integer NOT NULL CONSTRAINT media_width_check CHECK (width > 0),
    height integer NOT NULL CONSTRAINT media_height_check CHECK (height > 0),
    sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX media_owner_id_idx ON media (owner_id);
ALTER TABLE users ADD CONSTRAINT users_avatar_media_id_fkey FOREIGN KEY (avatar_media_id) REFERENCES media;

-- An upload that a mutation announced: its token is bound to user, purpose and size, and is used once.
CREATE TABLE uploads (
    id uuid CONSTRAINT uploads_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT uploads_user_id_fkey REFERENCES users,
    purpose text NOT NULL CONSTRAINT uploads_purpose_check CHECK (purpose IN ('AVATAR', 'PORTFOLIO')),
    token_hash bytea NOT NULL CONSTRAINT uploads_token_hash_key UNIQUE,
    byte_size bigint NOT NULL CONSTRAINT uploads_byte_size_check CHECK (byte_size > 0),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    media_id uuid CONSTRAINT uploads_media_id_fkey REFERENCES media ON DELETE SET NULL
);
CREATE INDEX uploads_user_id_idx ON uploads (user_id);
CREATE INDEX uploads_media_id_idx ON uploads (media_id);
CREATE INDEX uploads_expires_at_idx ON uploads (expires_at);

CREATE TABLE categories (
    id uuid CONSTRAINT categories_pkey PRIMARY KEY,
    slug text NOT NULL CONSTRAINT categories_slug_key UNIQUE,
    title text NOT NULL,
    position integer NOT NULL
);

CREATE TABLE services (
    id uuid CONSTRAINT services_pkey PRIMARY KEY,
    category_id uuid NOT NULL CONSTRAINT services_category_id_fkey REFERENCES categories,
    title text NOT NULL CONSTRAINT services_title_check CHECK (char_length(title) BETWEEN 1 AND 120),
    description text NOT NULL CONSTRAINT services_description_check CHECK (char_length(description) <= 4000),
    status text NOT NULL CONSTRAINT services_status_check CHECK (status IN ('ACTIVE', 'ARCHIVED')),
    version integer NOT NULL CONSTRAINT services_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX services_category_id_idx ON services (category_id, title, id);
CREATE INDEX services_title_idx ON services (title, id);
CREATE INDEX services_text_idx ON services USING gin ((title || ' ' || description) gin_trgm_ops);

CREATE TABLE providers (
    id uuid CONSTRAINT providers_pkey PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT providers_user_id_key UNIQUE CONSTRAINT providers_user_id_fkey REFERENCES users,
    status text NOT NULL CONSTRAINT providers_status_check
        CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'WITHDRAWN', 'SUSPENDED')),
    display_name text NOT NULL CONSTRAINT providers_display_name_check CHECK (char_length(display_name) BETWEEN 1 AND 100),
    headline text NOT NULL CONSTRAINT providers_headline_check CHECK (char_length(headline) <= 160),
    bio text NOT NULL CONSTRAINT providers_bio_check CHECK (char_length(bio) <= 4000),
    city_id uuid NOT NULL CONSTRAINT providers_city_id_fkey REFERENCES cities,
    time_zone text NOT NULL,
    cancellation_policy text NOT NULL CONSTRAINT providers_cancellation_policy_check
        CHECK (cancellation_policy IN ('FLEXIBLE', 'MODERATE', 'STRICT')),
    applied_at timestamptz NOT NULL,
    reviewed_at timestamptz,
    reviewed_by uuid CONSTRAINT providers_reviewed_by_fkey REFERENCES users,
    -- Why staff rejected or suspended; shown to the provider and to staff alone.
    decision_reason text CONSTRAINT providers_decision_reason_check CHECK (char_length(decision_reason) <= 2000),
    -- Kept equal to the visible reviews by a trigger on reviews (rule 20).
    rating_sum bigint NOT NULL DEFAULT 0 CONSTRAINT providers_rating_sum_check CHECK (rating_sum >= 0),
    rating_count integer NOT NULL DEFAULT 0 CONSTRAINT providers_rating_count_check CHECK (rating_count >= 0),
    -- 0 where nobody has rated yet, which sorts below every rating.
    rating numeric NOT NULL GENERATED ALWAYS AS
        (CASE WHEN rating_count > 0 THEN rating_sum::numeric / rating_count ELSE 0 END) STORED,
    -- The cheapest active price, kept by a trigger on provider_services; NULL without one.
    lowest_price_minor bigint,
    lowest_price_currency text,
    version integer NOT NULL CONSTRAINT providers_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX providers_city_id_idx ON providers (city_id);
CREATE INDEX providers_reviewed_by_idx ON providers (reviewed_by);
CREATE INDEX providers_by_rating_idx ON providers (rating DESC, rating_count DESC, id DESC) WHERE status = 'APPROVED';
CREATE INDEX providers_by_newest_idx ON providers (created_at DESC, id DESC) WHERE status = 'APPROVED';
CREATE INDEX providers_by_price_idx ON providers (lowest_price_currency, lowest_price_minor, id)
    WHERE status = 'APPROVED' AND lowest_price_minor IS NOT NULL;
CREATE INDEX providers_city_rating_idx ON providers (city_id, rating DESC, rating_count DESC, id DESC) WHERE status = 'APPROVED';
CREATE INDEX providers_applications_idx ON providers (status, applied_at, id);
CREATE INDEX providers_text_idx ON providers USING gin ((display_name || ' ' || headline || ' ' || bio) gin_trgm_ops);

CREATE TABLE provider_services (
    id uuid CONSTRAINT provider_services_pkey PRIMARY KEY,
    provider_id uuid NOT NULL CONSTRAINT provider_services_provider_id_fkey REFERENCES providers,
    service_id uuid NOT NULL CONSTRAINT provider_services_service_id_fkey REFERENCES services,
    price_minor bigint NOT NULL CONSTRAINT provider_services_price_minor_check
        CHECK (price_minor BETWEEN 0 AND 9007199254740991),
    currency text NOT NULL CONSTRAINT provider_services_currency_check CHECK (currency ~ '^[A-Z]{3}$'),
    duration_minutes integer NOT NULL CONSTRAINT provider_services_duration_check
        CHECK (duration_minutes BETWEEN 15 AND 1440),
    active boolean NOT NULL,
    version integer NOT NULL CONSTRAINT provider_services_version_check CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT provider_services_provider_service_key UNIQUE (provider_id, service_id)
);
CREATE INDEX provider_services_service_id_idx ON provider_services (service_id, provider_id) WHERE active;
CREATE INDEX provider_services_service_fkey_idx ON provider_services (service_id);

CREATE FUNCTION keep_lowest_price() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed uuid := COALESCE(NEW.provider_id, OLD.provider_id);
    lowest record;
BEGIN
    SELECT price_minor, currency INTO lowest FROM provider_services
        WHERE provider_id = changed AND active
        ORDER BY currency, price_minor, id LIMIT 1;
    UPDATE providers SET lowest_price_minor = lowest.price_minor, lowest_price_currency = lowest.currency
        WHERE id = changed
          AND (lowest_price_minor, lowest_price_currency) IS DISTINCT FROM (lowest.price_minor, lowest.currency);
    RETURN NULL;
END
$$;
CREATE TRIGGER provider_services_keep_lowest_price AFTER INSERT OR UPDATE OR DELETE ON provider_services
    FOR EACH ROW EXECUTE FUNCTION keep_lowest_price();

CREATE TABLE provider_media (
    id uuid CONSTRAINT provider_media_pkey PRIMARY KEY,
    provider_id uuid NOT NULL CONSTRAINT provider_media_provider_id_fkey REFERENCES providers,
    media_id uuid NOT NULL CONSTRAINT provider_media_media_id_key UNIQUE
        CONSTRAINT provider_media_media_id_fkey REFERENCES media,
    caption text NOT NULL CONSTRAINT provider_media_caption_check CHECK (char_length(caption) <= 300),
    position integer NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT provider_media_position_key UNIQUE (provider_id, position) DEFERRABLE INITIALLY DEFERRED
);
