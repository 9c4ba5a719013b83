-- The permissions and roles that are built in: the tables of src/auth/permissions.rs, which a test compares.

INSERT INTO permissions (id, name, description, built_in) VALUES
    ('019aa000-0000-7000-8000-001100000001', '*', 'Everything.', true),
    ('019aa000-0000-7000-8000-001100000002', 'audit:read', 'Read the audit trail.', true),
    ('019aa000-0000-7000-8000-001100000003', 'bookings:manage', 'Cancel any booking and settle contrary claims.', true),
    ('019aa000-0000-7000-8000-001100000004', 'bookings:read', 'Find and read any booking and its history.', true),
    ('019aa000-0000-7000-8000-001100000005', 'boundary:publish', 'Publish a new version of the boundary rules.', true),
    ('019aa000-0000-7000-8000-001100000006', 'orders:read', 'Find and read any order, and see what needs a person.', true),
    ('019aa000-0000-7000-8000-001100000007', 'permissions:read', 'Read the list of permissions.', true),
    ('019aa000-0000-7000-8000-001100000008', 'permissions:write', 'Create and delete permissions that are not built in.', true),
    ('019aa000-0000-7000-8000-001100000009', 'providers:read', 'Find and read providers and applications in every state.', true),
    ('019aa000-0000-7000-8000-001100000010', 'providers:review', 'Approve and reject applications of providers.', true),
    ('019aa000-0000-7000-8000-001100000011', 'providers:suspend', 'Suspend and reinstate providers.', true),
    ('019aa000-0000-7000-8000-001100000012', 'refunds:create', 'Refund any order, in whole or in part.', true),
    ('019aa000-0000-7000-8000-001100000013', 'reports:read', 'Read reports, with who made them.', true),
    ('019aa000-0000-7000-8000-001100000014', 'reports:resolve', 'Decide reports.', true),
    ('019aa000-0000-7000-8000-001100000015', 'reviews:moderate', 'See hidden reviews, hide and restore reviews.', true),
    ('019aa000-0000-7000-8000-001100000016', 'roles:grant', 'Give roles to users and take them away.', true),
    ('019aa000-0000-7000-8000-001100000017', 'roles:read', 'Read roles and what they grant.', true),
    ('019aa000-0000-7000-8000-001100000018', 'roles:write', 'Create, change and delete roles and what they grant.', true),
    ('019aa000-0000-7000-8000-001100000019', 'schema:read', 'Read the schema through the API in production.', true),
    ('019aa000-0000-7000-8000-001100000020', 'services:write', 'Create, change and archive services of the catalog.', true),
    ('019aa000-0000-7000-8000-001100000021', 'users:delete', 'Delete users.', true),
    ('019aa000-0000-7000-8000-001100000022', 'users:read', 'Find and read any user.', true),
    ('019aa000-0000-7000-8000-001100000023', 'users:suspend', 'Suspend and reinstate users.', true),
    ('019aa000-0000-7000-8000-001100000024', 'users:write', 'Create users and change any user''s account.', true);

INSERT INTO roles (id, name, description, built_in, version) VALUES
    ('019aa000-0000-7000-8000-001200000001', 'USER', 'Everyone who signs in. What is their own needs no permission.', true, 1),
    ('019aa000-0000-7000-8000-001200000002', 'PROVIDER', 'An approved provider. What is their own needs no permission.', true, 1),
    ('019aa000-0000-7000-8000-001200000003', 'MODERATOR', 'Reviews applications, reviews and reports, and keeps the catalog.', true, 1),
    ('019aa000-0000-7000-8000-001200000004', 'SUPPORT', 'Helps people with bookings and payments.', true, 1),
    ('019aa000-0000-7000-8000-001200000005', 'AUDITOR', 'Reads everything and changes nothing.', true, 1),
    ('019aa000-0000-7000-8000-001200000006', 'ADMIN', 'May do everything.', true, 1);

INSERT INTO role_permissions (role_id, permission_id)
SELECT roles.id, permissions.id FROM (VALUES
    ('MODERATOR', 'bookings:read'),
    ('MODERATOR', 'providers:read'),
    ('MODERATOR', 'providers:review'),
    ('MODERATOR', 'providers:suspend'),
    ('MODERATOR', 'reports:read'),
    ('MODERATOR', 'reports:resolve'),
    ('MODERATOR', 'reviews:moderate'),
    ('MODERATOR', 'schema:read'),
    ('MODERATOR', 'services:write'),
    ('MODERATOR', 'users:read'),
    ('SUPPORT', 'bookings:manage'),
    ('SUPPORT', 'bookings:read'),
    ('SUPPORT', 'orders:read'),
    ('SUPPORT', 'providers:read'),
    ('SUPPORT', 'refunds:create'),
    ('SUPPORT', 'schema:read'),
    ('SUPPORT', 'users:read'),
    ('AUDITOR', 'audit:read'),
    ('AUDITOR', 'bookings:read'),
    ('AUDITOR', 'orders:read'),
    ('AUDITOR', 'permissions:read'),
    ('AUDITOR', 'providers:read'),
    ('AUDITOR', 'reports:read'),
    ('AUDITOR', 'roles:read'),
    ('AUDITOR', 'schema:read'),
    ('AUDITOR', 'users:read'),
    ('ADMIN', '*')
) AS granted (role, permission)
JOIN roles ON roles.name = granted.role
JOIN permissions ON permissions.name = granted.permission;
