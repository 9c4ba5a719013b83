-- What a new database starts with: the categories of the catalog and the first cities. Ids are fixed, so that every
-- installation and the demo data mean the same rows. Services are the staff's to make.

INSERT INTO categories (id, slug, title, position) VALUES
    ('019aa000-0000-7000-8000-000100000001', 'city-companion', 'City companion', 1),
    ('019aa000-0000-7000-8000-000100000002', 'event-companion', 'Event companion', 2),
    ('019aa000-0000-7000-8000-000100000003', 'travel-companion', 'Travel companion', 3),
    ('019aa000-0000-7000-8000-000100000004', 'tutoring', 'Tutoring and languages', 4),
    ('019aa000-0000-7000-8000-000100000005', 'wellness-sport', 'Sport and wellness', 5),
    ('019aa000-0000-7000-8000-000100000006', 'pet-care', 'Pet care', 6),
    ('019aa000-0000-7000-8000-000100000007', 'home-help', 'Help at home', 7),
    ('019aa000-0000-7000-8000-000100000008', 'senior-care', 'Company for seniors', 8);

INSERT INTO cities (id, slug, name, country_code, time_zone) VALUES
    ('019aa000-0000-7000-8000-000200000001', 'berlin', 'Berlin', 'DE', 'Europe/Berlin'),
    ('019aa000-0000-7000-8000-000200000002', 'london', 'London', 'GB', 'Europe/London'),
    ('019aa000-0000-7000-8000-000200000003', 'paris', 'Paris', 'FR', 'Europe/Paris'),
    ('019aa000-0000-7000-8000-000200000004', 'lisbon', 'Lisbon', 'PT', 'Europe/Lisbon'),
    ('019aa000-0000-7000-8000-000200000005', 'new-york', 'New York', 'US', 'America/New_York'),
    ('019aa000-0000-7000-8000-000200000006', 'tokyo', 'Tokyo', 'JP', 'Asia/Tokyo'),
    ('019aa000-0000-7000-8000-000200000007', 'amsterdam', 'Amsterdam', 'NL', 'Europe/Amsterdam'),
    ('019aa000-0000-7000-8000-000200000008', 'dubai', 'Dubai', 'AE', 'Asia/Dubai'),
    ('019aa000-0000-7000-8000-000200000009', 'hong-kong', 'Hong Kong', 'HK', 'Asia/Hong_Kong'),
    ('019aa000-0000-7000-8000-00020000000a', 'madrid', 'Madrid', 'ES', 'Europe/Madrid'),
    ('019aa000-0000-7000-8000-00020000000b', 'singapore', 'Singapore', 'SG', 'Asia/Singapore'),
    ('019aa000-0000-7000-8000-00020000000c', 'warsaw', 'Warsaw', 'PL', 'Europe/Warsaw');
