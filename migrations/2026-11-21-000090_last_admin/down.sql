DROP TRIGGER users_last_admin ON users;
DROP TRIGGER user_roles_last_admin ON user_roles;
DROP FUNCTION keep_last_admin();
