DELETE FROM role_permissions WHERE role_id IN (SELECT id FROM roles WHERE built_in);
DELETE FROM roles WHERE built_in;
DELETE FROM permissions WHERE built_in;
