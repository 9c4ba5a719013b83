import { readFileSync } from 'node:fs'
import { ApolloServer } from '@apollo/server'
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled'
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify'
import Fastify from 'fastify'
import { prisma } from './db.js'
import { page, providerSelect } from './select.js'

const resolvers = {
  DateTime: { serialize: (at) => at.toISOString() },
  Query: {
    provider: (_, { id }, context, info) =>
      prisma.provider.findUnique({ where: { id, status: 'APPROVED' }, ...providerSelect(info) }),
    async providers(_, { filter, first }, context, info) {
      const limit = page(first)
      const found = await prisma.provider.findMany({
        relationLoadStrategy: 'join',
        where: { cityId: filter.cityId, status: 'APPROVED' },
        orderBy: [{ rating: 'desc' }, { ratingCount: 'desc' }, { id: 'desc' }],
        take: limit + 1,
        ...providerSelect(info, ['nodes']),
      })
      return { nodes: found.slice(0, limit), pageInfo: { hasNextPage: found.length > limit } }
    },
  },
  Provider: {
    rating: ({ ratingSum, ratingCount }) => (ratingCount > 0 ? Number(ratingSum) / ratingCount : null),
    reviews: ({ reviews }, { first }) => ({ nodes: reviews.slice(0, page(first)) }),
  },
  ProviderService: {
    price: ({ priceMinor, currency }) => ({ amountMinor: Number(priceMinor), currency }),
  },
}

const app = Fastify()
const apollo = new ApolloServer({
  typeDefs: readFileSync('schema.graphql', 'utf8'),
  resolvers,
  plugins: [fastifyApolloDrainPlugin(app), ApolloServerPluginCacheControlDisabled()],
})
await apollo.start()
await app.register(fastifyApollo(apollo))
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
