DROP INDEX users_username_start_idx, users_name_start_idx, users_text_idx, users_status_name_idx, users_status_idx,
    users_name_idx, users_created_idx;
ALTER TABLE providers DROP COLUMN suspended_with_account;
ALTER TABLE users DROP COLUMN status_reason;
