import pg from 'pg'

// bigint as a number: every one that is read here is within ±(2^53 − 1).
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 })

const names = new Map()

/** Rows of a statement, which each connection prepares once. */
export async function rows(text, values) {
  let name = names.get(text)
  if (!name) names.set(text, (name = `s${names.size}`))
  return (await pool.query({ name, text, values })).rows
}

/** Columns of `providers` by field. */
const provider = {
  id: 'id',
  displayName: 'display_name',
  headline: 'headline',
  bio: 'bio',
  rating: 'CASE WHEN rating_count > 0 THEN rating_sum::float8 / rating_count END',
  ratingCount: 'rating_count',
  timeZone: 'time_zone',
  cancellationPolicy: 'cancellation_policy',
  user: 'user_id',
}

const as = { user: 'userId' }

function columns(fields) {
  return [...new Set(['id', ...fields])]
    .filter((field) => field in provider)
    .map((field) => `${provider[field]} AS "${as[field] ?? field}"`)
    .join(', ')
}

export const providerById = (fields) =>
  `SELECT ${columns(fields)} FROM providers WHERE id = $1 AND status = 'APPROVED'`

export const providersByRating = (fields) =>
  `SELECT ${columns(fields)} FROM providers WHERE city_id = $1 AND status = 'APPROVED'
   ORDER BY providers.rating DESC, rating_count DESC, id DESC LIMIT $2`

export async function usersById(ids) {
  const found = await rows('SELECT id, display_name AS "displayName" FROM users WHERE id = ANY ($1::uuid[])', [
    [...new Set(ids)],
  ])
  const users = new Map(found.map((user) => [user.id, user]))
  return ids.map((id) => users.get(id))
}

export async function pricesOf(providers) {
  const found = await rows(
    `SELECT ps.id, ps.provider_id, ps.duration_minutes, ps.price_minor, ps.currency, s.id AS service_id, s.title
     FROM provider_services ps JOIN services s ON s.id = ps.service_id
     WHERE ps.provider_id = ANY ($1::uuid[]) AND ps.active AND s.status = 'ACTIVE'
     ORDER BY s.title, ps.id`,
    [providers],
  )
  const prices = new Map(providers.map((id) => [id, []]))
  for (const row of found) {
    prices.get(row.provider_id).push({
      id: row.id,
      durationMinutes: row.duration_minutes,
      price: { amountMinor: row.price_minor, currency: row.currency },
      service: { id: row.service_id, title: row.title },
    })
  }
  return providers.map((id) => prices.get(id))
}

export async function newestReviewsOf(providers, first) {
  const found = await rows(
    `SELECT r.id, r.provider_id AS "providerId", r.author_id AS "authorId", r.rating, r.comment,
            r.created_at AS "createdAt"
     FROM unnest($1::uuid[]) AS p (id) CROSS JOIN LATERAL (
         SELECT * FROM reviews WHERE provider_id = p.id AND visible ORDER BY created_at DESC, id DESC LIMIT $2
     ) AS r
     ORDER BY r.provider_id, r.created_at DESC, r.id DESC`,
    [providers, first],
  )
  const reviews = new Map(providers.map((id) => [id, []]))
  for (const row of found) reviews.get(row.providerId).push(row)
  return providers.map((id) => reviews.get(id))
}
