ALTER TABLE users DROP CONSTRAINT users_avatar_media_id_fkey;
DROP TABLE provider_media, provider_services, providers, services, categories, uploads, media;
DROP FUNCTION keep_lowest_price;
