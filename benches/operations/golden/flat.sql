SELECT json_build_object('providers', json_build_object(
    'nodes', (SELECT coalesce(json_agg(json_build_object(
                  'id', p.id, 'displayName', p.display_name, 'headline', p.headline,
                  'rating', CASE WHEN p.rating_count > 0 THEN p.rating END, 'ratingCount', p.rating_count, 'timeZone', p.time_zone)
                  ORDER BY p.rating DESC, p.rating_count DESC, p.id DESC), '[]')
              FROM (SELECT * FROM providers WHERE status = 'APPROVED' AND city_id = :'city'
                    ORDER BY rating DESC, rating_count DESC, id DESC LIMIT 20) p),
    'pageInfo', json_build_object('hasNextPage',
        (SELECT count(*) > 20 FROM providers WHERE status = 'APPROVED' AND city_id = :'city'))))
