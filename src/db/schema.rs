//! The tables as diesel sees them. Written by `UPDATE=1 cargo test --test it schema_rs`; do not edit.
#![allow(missing_docs)]

diesel::table! {
    audit_events (id) {
        id -> Uuid,
        actor_kind -> Text,
        actor_id -> Nullable<Uuid>,
        action -> Text,
        outcome -> Text,
        target_kind -> Nullable<Text>,
        target_id -> Nullable<Uuid>,
        before -> Nullable<Jsonb>,
        after -> Nullable<Jsonb>,
        ip_address -> Nullable<Text>,
        request_id -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    availabilities (id) {
        id -> Uuid,
        provider_id -> Uuid,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    booking_events (id) {
        id -> Uuid,
        booking_id -> Uuid,
        action -> Text,
        from_state -> Nullable<Text>,
        to_state -> Text,
        actor_side -> Text,
        actor_id -> Nullable<Uuid>,
        reason -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    booking_proposals (id) {
        id -> Uuid,
        booking_id -> Uuid,
        proposed_by -> Text,
        state -> Text,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        answer_deadline -> Timestamptz,
        created_at -> Timestamptz,
        answered_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    bookings (id) {
        id -> Uuid,
        client_id -> Uuid,
        provider_id -> Uuid,
        service_id -> Uuid,
        state -> Text,
        version -> Int4,
        starts_at -> Timestamptz,
        ends_at -> Timestamptz,
        note -> Text,
        price_minor -> Int8,
        currency -> Text,
        duration_minutes -> Int4,
        cancellation_policy -> Text,
        boundary_version -> Int4,
        buffer_before_minutes -> Int4,
        buffer_after_minutes -> Int4,
        answer_deadline -> Timestamptz,
        payment_deadline -> Nullable<Timestamptz>,
        reason -> Nullable<Text>,
        closed_by -> Nullable<Text>,
        absent_side -> Nullable<Text>,
        completed_at -> Nullable<Timestamptz>,
        needs_attention -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        contested -> Bool,
    }
}

diesel::table! {
    boundary_acknowledgements (user_id, version) {
        user_id -> Uuid,
        version -> Int4,
        acknowledged_at -> Timestamptz,
    }
}

diesel::table! {
    boundary_policies (version) {
        version -> Int4,
        body -> Text,
        published_at -> Timestamptz,
        published_by -> Nullable<Uuid>,
    }
}

diesel::table! {
    categories (id) {
        id -> Uuid,
        slug -> Text,
        title -> Text,
        position -> Int4,
    }
}

diesel::table! {
    checkouts (id) {
        id -> Uuid,
        order_id -> Uuid,
        state -> Text,
        gateway_session_id -> Nullable<Text>,
        url -> Nullable<Text>,
        success_url -> Text,
        cancel_url -> Text,
        expires_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    cities (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        country_code -> Text,
        time_zone -> Text,
    }
}

diesel::table! {
    email_codes (id) {
        id -> Uuid,
        email -> Text,
        purpose -> Text,
        user_id -> Nullable<Uuid>,
        language -> Text,
        code_hash -> Bytea,
        registration -> Nullable<Jsonb>,
        attempts -> Int4,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    email_sends (address) {
        address -> Text,
        sent_at -> Array<Timestamptz>,
        last_sent_at -> Timestamptz,
    }
}

diesel::table! {
    held_times (id) {
        id -> Uuid,
        booking_id -> Uuid,
        proposal_id -> Nullable<Uuid>,
        provider_id -> Uuid,
        client_id -> Uuid,
        during -> Tstzrange,
        exact -> Tstzrange,
    }
}

diesel::table! {
    idempotency_keys (actor_id, operation, key) {
        actor_id -> Uuid,
        operation -> Text,
        key -> Text,
        input_sha256 -> Bytea,
        outcome -> Jsonb,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    jobs (id) {
        id -> Uuid,
        kind -> Text,
        dedupe_key -> Text,
        payload -> Jsonb,
        run_at -> Timestamptz,
        attempts -> Int4,
        locked_until -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
        lease -> Nullable<Uuid>,
        next_run_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    media (id) {
        id -> Uuid,
        owner_id -> Uuid,
        purpose -> Text,
        storage_key -> Text,
        content_type -> Text,
        byte_size -> Int8,
        width -> Int4,
        height -> Int4,
        sha256 -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    order_lines (id) {
        id -> Uuid,
        order_id -> Uuid,
        position -> Int4,
        title -> Text,
        amount_minor -> Int8,
    }
}

diesel::table! {
    orders (id) {
        id -> Uuid,
        booking_id -> Uuid,
        client_id -> Uuid,
        state -> Text,
        currency -> Text,
        total_minor -> Int8,
        captured_minor -> Int8,
        refunded_minor -> Int8,
        paid_at -> Nullable<Timestamptz>,
        disputed_at -> Nullable<Timestamptz>,
        needs_attention -> Nullable<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        attention_seen -> Array<Text>,
        lost_minor -> Int8,
    }
}

diesel::table! {
    payment_events (id) {
        id -> Text,
        kind -> Text,
        order_id -> Nullable<Uuid>,
        mismatch -> Nullable<Text>,
        raw_body -> Bytea,
        created_at -> Timestamptz,
        received_at -> Timestamptz,
        payment_intent -> Nullable<Text>,
    }
}

diesel::table! {
    permissions (id) {
        id -> Uuid,
        name -> Text,
        description -> Text,
        built_in -> Bool,
    }
}

diesel::table! {
    provider_media (id) {
        id -> Uuid,
        provider_id -> Uuid,
        media_id -> Uuid,
        caption -> Text,
        position -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    provider_services (id) {
        id -> Uuid,
        provider_id -> Uuid,
        service_id -> Uuid,
        price_minor -> Int8,
        currency -> Text,
        duration_minutes -> Int4,
        active -> Bool,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        listed_category_id -> Nullable<Uuid>,
        listed_currency -> Nullable<Text>,
        listed_minor -> Nullable<Int8>,
    }
}

diesel::table! {
    providers (id) {
        id -> Uuid,
        user_id -> Uuid,
        status -> Text,
        display_name -> Text,
        headline -> Text,
        bio -> Text,
        city_id -> Uuid,
        time_zone -> Text,
        cancellation_policy -> Text,
        applied_at -> Timestamptz,
        reviewed_at -> Nullable<Timestamptz>,
        reviewed_by -> Nullable<Uuid>,
        decision_reason -> Nullable<Text>,
        rating_sum -> Int8,
        rating_count -> Int4,
        rating -> Numeric,
        lowest_price_minor -> Nullable<Int8>,
        lowest_price_currency -> Nullable<Text>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        suspended_with_account -> Bool,
    }
}

diesel::table! {
    rate_limits (key) {
        key -> Bytea,
        full_at -> Timestamptz,
    }
}

diesel::table! {
    refresh_tokens (token_hash) {
        token_hash -> Bytea,
        session_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    refunds (id) {
        id -> Uuid,
        order_id -> Uuid,
        payment_intent -> Text,
        amount_minor -> Int8,
        state -> Text,
        cause -> Text,
        reason -> Text,
        requested_by -> Nullable<Uuid>,
        gateway_refund_id -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    reports (id) {
        id -> Uuid,
        reporter_id -> Uuid,
        user_id -> Nullable<Uuid>,
        booking_id -> Nullable<Uuid>,
        review_id -> Nullable<Uuid>,
        reason -> Text,
        details -> Text,
        state -> Text,
        resolution -> Nullable<Text>,
        resolved_by -> Nullable<Uuid>,
        resolved_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    reviews (id) {
        id -> Uuid,
        booking_id -> Uuid,
        provider_id -> Uuid,
        author_id -> Uuid,
        rating -> Int4,
        comment -> Text,
        visible -> Bool,
        hidden_reason -> Nullable<Text>,
        reply -> Nullable<Text>,
        replied_at -> Nullable<Timestamptz>,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    role_permissions (role_id, permission_id) {
        role_id -> Uuid,
        permission_id -> Uuid,
    }
}

diesel::table! {
    roles (id) {
        id -> Uuid,
        name -> Text,
        description -> Text,
        built_in -> Bool,
        version -> Int4,
    }
}

diesel::table! {
    services (id) {
        id -> Uuid,
        category_id -> Uuid,
        title -> Text,
        description -> Text,
        status -> Text,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        device_name -> Text,
        ip_address -> Nullable<Text>,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        expires_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
        revoked_reason -> Nullable<Text>,
    }
}

diesel::table! {
    uploads (id) {
        id -> Uuid,
        user_id -> Uuid,
        purpose -> Text,
        token_hash -> Bytea,
        byte_size -> Int8,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
        media_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    user_blocks (blocker_id, blocked_id) {
        blocker_id -> Uuid,
        blocked_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    user_roles (user_id, role_id) {
        user_id -> Uuid,
        role_id -> Uuid,
        granted_by -> Nullable<Uuid>,
        granted_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Uuid,
        display_name -> Text,
        username -> Nullable<Text>,
        language -> Text,
        city_id -> Nullable<Uuid>,
        avatar_media_id -> Nullable<Uuid>,
        telegram_id -> Nullable<Int8>,
        telegram_username -> Nullable<Text>,
        status -> Text,
        version -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        email -> Nullable<Text>,
        email_verified_at -> Nullable<Timestamptz>,
        password_hash -> Nullable<Text>,
        status_reason -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    audit_events,
    availabilities,
    booking_events,
    booking_proposals,
    bookings,
    boundary_acknowledgements,
    boundary_policies,
    categories,
    checkouts,
    cities,
    email_codes,
    email_sends,
    held_times,
    idempotency_keys,
    jobs,
    media,
    order_lines,
    orders,
    payment_events,
    permissions,
    provider_media,
    provider_services,
    providers,
    rate_limits,
    refresh_tokens,
    refunds,
    reports,
    reviews,
    role_permissions,
    roles,
    services,
    sessions,
    uploads,
    user_blocks,
    user_roles,
    users,
);
