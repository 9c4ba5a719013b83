SELECT json_build_object('provider', (
    SELECT json_build_object('id', p.id, 'displayName', p.display_name, 'headline', p.headline, 'bio', p.bio,
                             'rating', CASE WHEN p.rating_count > 0 THEN p.rating END, 'ratingCount', p.rating_count,
                             'timeZone', p.time_zone, 'cancellationPolicy', p.cancellation_policy)
    FROM providers p WHERE p.id = :'id' AND p.status = 'APPROVED'))
