-- The last active administrator stays: nobody else could make another one through the API.

CREATE FUNCTION keep_last_admin() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    admin uuid;
BEGIN
    SELECT id INTO admin FROM roles WHERE name = 'ADMIN';
    IF TG_TABLE_NAME = 'user_roles' THEN
        IF OLD.role_id <> admin THEN
            RETURN NULL;
        END IF;
    ELSIF NOT EXISTS (SELECT FROM user_roles WHERE user_id = NEW.id AND role_id = admin) THEN
        RETURN NULL;
    END IF;
    -- Two administrators who remove each other take turns.
    PERFORM FROM roles WHERE id = admin FOR NO KEY UPDATE;
    IF NOT EXISTS (
        SELECT FROM user_roles ur JOIN users u ON u.id = ur.user_id WHERE ur.role_id = admin AND u.status = 'ACTIVE'
    ) THEN
        RAISE EXCEPTION 'the last active administrator stays'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'users_last_admin';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER user_roles_last_admin AFTER DELETE ON user_roles
    FOR EACH ROW EXECUTE FUNCTION keep_last_admin();
CREATE TRIGGER users_last_admin AFTER UPDATE OF status ON users
    FOR EACH ROW WHEN (OLD.status = 'ACTIVE' AND NEW.status <> 'ACTIVE') EXECUTE FUNCTION keep_last_admin();
