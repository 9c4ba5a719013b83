SELECT json_build_object('me', json_build_object('bookings', json_build_object('nodes', (
    SELECT coalesce(json_agg(json_build_object(
        'id', b.id, 'state', b.state, 'startsAt', b.starts_at,
        'provider', json_build_object('id', p.id, 'displayName', p.display_name, 'services', s.list))
        ORDER BY b.starts_at DESC, b.id DESC), '[]')
    FROM (SELECT * FROM bookings WHERE client_id = :'user' ORDER BY starts_at DESC, id DESC LIMIT 20) b
    JOIN providers p ON p.id = b.provider_id
    CROSS JOIN LATERAL (
        SELECT coalesce(json_agg(json_build_object(
            'id', ps.id, 'durationMinutes', ps.duration_minutes,
            'price', json_build_object('amountMinor', ps.price_minor, 'currency', ps.currency),
            'service', json_build_object('id', se.id, 'title', se.title)) ORDER BY se.title, ps.id), '[]') AS list
        FROM provider_services ps JOIN services se ON se.id = ps.service_id
        WHERE ps.provider_id = p.id AND ps.active AND se.status = 'ACTIVE') s))))
