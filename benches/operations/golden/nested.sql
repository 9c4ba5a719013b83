SELECT json_build_object('providers', json_build_object('nodes', (
    SELECT coalesce(json_agg(json_build_object(
        'id', p.id, 'displayName', p.display_name, 'rating', CASE WHEN p.rating_count > 0 THEN p.rating END,
        'user', json_build_object('displayName', u.display_name),
        'services', s.list, 'reviews', json_build_object('nodes', r.list))
        ORDER BY p.rating DESC, p.rating_count DESC, p.id DESC), '[]')
    FROM (SELECT * FROM providers WHERE status = 'APPROVED' AND city_id = :'city'
          ORDER BY rating DESC, rating_count DESC, id DESC LIMIT 20) p
    JOIN users u ON u.id = p.user_id
    CROSS JOIN LATERAL (
        SELECT coalesce(json_agg(json_build_object(
            'price', json_build_object('amountMinor', ps.price_minor, 'currency', ps.currency),
            'service', json_build_object('title', se.title)) ORDER BY se.title, ps.id), '[]') AS list
        FROM provider_services ps JOIN services se ON se.id = ps.service_id
        WHERE ps.provider_id = p.id AND ps.active AND se.status = 'ACTIVE') s
    CROSS JOIN LATERAL (
        SELECT coalesce(json_agg(json_build_object(
            'rating', n.rating, 'comment', n.comment, 'author', json_build_object('displayName', a.display_name)) ORDER BY n.created_at DESC, n.id DESC), '[]') AS list
        FROM (SELECT * FROM reviews WHERE provider_id = p.id AND visible ORDER BY created_at DESC, id DESC LIMIT 3) n
        JOIN users a ON a.id = n.author_id) r)))
