import DataLoader from 'dataloader'
import Knex from 'knex'
import pg from 'pg'

// bigint as a number: every one that is read here is within ±(2^53 − 1).
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

const knex = Knex({
  client: 'pg',
  connection: { connectionString: process.env.DATABASE_URL },
  pool: { min: 0, max: 8 },
})

/** Columns of `providers` by field. */
const columns = {
  id: { id: 'id' },
  displayName: { displayName: 'display_name' },
  headline: { headline: 'headline' },
  bio: { bio: 'bio' },
  rating: { rating: knex.raw('CASE WHEN rating_count > 0 THEN rating_sum::float8 / rating_count END') },
  ratingCount: { ratingCount: 'rating_count' },
  timeZone: { timeZone: 'time_zone' },
  cancellationPolicy: { cancellationPolicy: 'cancellation_policy' },
  user: { userId: 'user_id' },
}

const selections = new Map()

// The option `name` makes node-postgres prepare a statement; a literal 'APPROVED' lets it use the partial index.
function providers(fields) {
  const selected = Object.keys(columns).filter((field) => field === 'id' || fields.includes(field))
  const key = selected.join()
  if (!selections.has(key)) selections.set(key, selections.size)
  return {
    name: selections.get(key),
    query: knex('providers').select(...selected.map((field) => columns[field])).whereRaw(`status = 'APPROVED'`),
  }
}

export function providerById(fields) {
  const { name, query } = providers(fields)
  return (id) => query.clone().where({ id }).first().options({ name: `provider ${name}` })
}

export function providersByRating(fields) {
  const { name, query } = providers(fields)
  const ordered = query.orderByRaw('providers.rating DESC, rating_count DESC, id DESC')
  return (cityId, limit) => ordered.clone().where({ city_id: cityId }).limit(limit).options({ name: `providers ${name}` })
}

async function usersById(ids) {
  const found = await knex('users')
    .select({ id: 'id', displayName: 'display_name' })
    .whereRaw('id = ANY (?::uuid[])', [ids])
    .options({ name: 'users' })
  const users = new Map(found.map((user) => [user.id, user]))
  return ids.map((id) => users.get(id))
}

function grouped(providers, rows) {
  const groups = new Map(providers.map((id) => [id, []]))
  for (const row of rows) groups.get(row.providerId).push(row)
  return providers.map((id) => groups.get(id))
}

async function pricesOf(providers) {
  const found = await knex('provider_services AS ps')
    .join('services AS s', 's.id', 'ps.service_id')
    .select({
      id: 'ps.id',
      providerId: 'ps.provider_id',
      durationMinutes: 'ps.duration_minutes',
      amountMinor: 'ps.price_minor',
      currency: 'ps.currency',
      serviceId: 's.id',
      title: 's.title',
    })
    .whereRaw(`ps.provider_id = ANY (?::uuid[]) AND ps.active AND s.status = 'ACTIVE'`, [providers])
    .orderBy(['s.title', 'ps.id'])
    .options({ name: 'prices' })
  return grouped(providers, found)
}

async function newestReviewsOf(providers, first) {
  const { rows } = await knex
    .raw(
      `SELECT r.id, r.provider_id AS "providerId", r.author_id AS "authorId", r.rating, r.comment,
              r.created_at AS "createdAt"
       FROM unnest(?::uuid[]) AS p (id) CROSS JOIN LATERAL (
           SELECT * FROM reviews WHERE provider_id = p.id AND visible ORDER BY created_at DESC, id DESC LIMIT ?
       ) AS r
       ORDER BY r.provider_id, r.created_at DESC, r.id DESC`,
      [providers, first],
    )
    .options({ name: 'reviews' })
  return grouped(providers, rows)
}

/** Loaders of one request. */
export function loaders() {
  const reviews = new Map()
  return {
    users: new DataLoader(usersById),
    prices: new DataLoader(pricesOf),
    /** A loader for pages of this size. */
    reviews(first) {
      if (!reviews.has(first)) reviews.set(first, new DataLoader((providers) => newestReviewsOf(providers, first)))
      return reviews.get(first)
    },
  }
}
