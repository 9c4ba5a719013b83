DROP TABLE email_sends;
DROP TABLE email_codes;
DROP INDEX users_one_per_verified_email;
ALTER TABLE users
    DROP COLUMN password_hash,
    DROP COLUMN email_verified_at,
    DROP COLUMN email;
