import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { newestReviewsOf, pricesOf, providerById, providersByRating, rows, usersById } from './db.js'
import { selected } from './selection.js'

const page = (first) => Math.min(Math.max(first, 0), 100)

const resolvers = {
  DateTime: { serialize: (at) => at.toISOString() },
  Query: {
    async provider(_, { id }, context, info) {
      return (await rows(selected(info, [], providerById), [id]))[0]
    },
    async providers(_, { filter, first }, context, info) {
      const limit = page(first)
      const found = await rows(selected(info, ['nodes'], providersByRating), [filter.cityId, limit + 1])
      return { nodes: found.slice(0, limit), pageInfo: { hasNextPage: found.length > limit } }
    },
  },
}

// Batched, not cached: a cache's keys are made by serialising every parent.
const loader = (load) => ({ loader: load, opts: { cache: false } })

const loaders = {
  Provider: {
    user: loader((queries) => usersById(queries.map(({ obj }) => obj.userId))),
    services: loader((queries) => pricesOf(queries.map(({ obj }) => obj.id))),
    reviews: loader(async (queries) => {
      const answers = new Array(queries.length)
      const sizes = new Set(queries.map(({ params }) => params.first))
      const load = async (first) => {
        const asked = [...queries.keys()].filter((at) => queries[at].params.first === first)
        const found = await newestReviewsOf(asked.map((at) => queries[at].obj.id), page(first))
        asked.forEach((at, nth) => (answers[at] = { nodes: found[nth] }))
      }
      await Promise.all([...sizes].map(load))
      return answers
    }),
  },
  Review: {
    author: loader((queries) => usersById(queries.map(({ obj }) => obj.authorId))),
  },
}

const app = Fastify()
app.register(mercurius, { schema: readFileSync('schema.graphql', 'utf8'), resolvers, loaders, jit: 1 })
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
