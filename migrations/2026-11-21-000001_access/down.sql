DROP TABLE audit_events, refresh_tokens, sessions, user_roles, role_permissions, roles, permissions, users, cities;
DROP FUNCTION notify_access_change, refuse_change;
DROP EXTENSION pg_trgm, btree_gist;
