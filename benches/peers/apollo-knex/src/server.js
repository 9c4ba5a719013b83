import { readFileSync } from 'node:fs'
import { ApolloServer } from '@apollo/server'
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled'
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify'
import Fastify from 'fastify'
import { loaders, providerById, providersByRating } from './db.js'
import { selected } from './selection.js'

const page = (first) => Math.min(Math.max(first, 0), 100)

const resolvers = {
  DateTime: { serialize: (at) => at.toISOString() },
  Query: {
    provider: (_, { id }, context, info) => selected(info, [], providerById)(id),
    async providers(_, { filter, first }, context, info) {
      const limit = page(first)
      const found = await selected(info, ['nodes'], providersByRating)(filter.cityId, limit + 1)
      return { nodes: found.slice(0, limit), pageInfo: { hasNextPage: found.length > limit } }
    },
  },
  Provider: {
    user: ({ userId }, _, { users }) => users.load(userId),
    services: ({ id }, _, { prices }) => prices.load(id),
    reviews: async ({ id }, { first }, { reviews }) => ({ nodes: await reviews(page(first)).load(id) }),
  },
  ProviderService: {
    price: (row) => row,
    service: ({ serviceId, title }) => ({ id: serviceId, title }),
  },
  Review: {
    author: ({ authorId }, _, { users }) => users.load(authorId),
  },
}

const app = Fastify()
const apollo = new ApolloServer({
  typeDefs: readFileSync('schema.graphql', 'utf8'),
  resolvers,
  plugins: [fastifyApolloDrainPlugin(app), ApolloServerPluginCacheControlDisabled()],
})
await apollo.start()
await app.register(fastifyApollo(apollo), { context: async () => loaders() })
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
