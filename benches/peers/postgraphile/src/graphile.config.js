import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { makePgService } from 'postgraphile/adaptors/pg'
import { connection, lambda } from 'postgraphile/grafast'
import { extendSchema, gql } from 'postgraphile/utils'

// Conditions that are always the same are literals, so that the planner sees the partial indexes.
const MarketplacePlugin = extendSchema((build) => {
  const { sql } = build
  const { providers, provider_services: prices, reviews } = build.input.pgRegistry.pgResources
  return {
    typeDefs: gql`
      extend type Query {
        approvedProvider(id: UUID!): Provider
        approvedProviders(cityId: UUID!): ProviderConnection
      }
      extend type Provider {
        averageRating: Float
        services: [ProviderService!]!
        reviews: ReviewConnection!
      }
      extend type ProviderService {
        price: Money!
      }
      type Money {
        amountMinor: Float!
        currency: String!
      }
    `,
    objects: {
      Query: {
        plans: {
          approvedProvider(_, { $id }) {
            const $provider = providers.find({ id: $id })
            $provider.where(sql`${$provider.alias}.status = 'APPROVED'`)
            return $provider.single()
          },
          approvedProviders(_, { $cityId }) {
            const $providers = providers.find({ city_id: $cityId })
            $providers.where(sql`${$providers.alias}.status = 'APPROVED'`)
            for (const attribute of ['rating', 'rating_count', 'id']) {
              $providers.orderBy({ attribute, direction: 'DESC' })
            }
            $providers.setOrderIsUnique()
            return connection($providers)
          },
        },
      },
      Provider: {
        plans: {
          averageRating: ($provider) =>
            lambda([$provider.get('rating_sum'), $provider.get('rating_count')], ([sum, count]) =>
              count > 0 ? Number(sum) / count : null,
            ),
          services($provider) {
            const $prices = prices.find({ provider_id: $provider.get('id') })
            const service = $prices.singleRelation('servicesByMyServiceId')
            $prices.where(sql`${$prices.alias}.active AND ${service}.status = 'ACTIVE'`)
            $prices.orderBy({ fragment: sql`${service}.title`, codec: build.dataplanPg.TYPES.text, direction: 'ASC' })
            $prices.orderBy({ attribute: 'id', direction: 'ASC' })
            return $prices
          },
          reviews($provider) {
            const $reviews = reviews.find({ provider_id: $provider.get('id') })
            $reviews.where(sql`${$reviews.alias}.visible`)
            $reviews.orderBy({ attribute: 'created_at', direction: 'DESC' })
            $reviews.orderBy({ attribute: 'id', direction: 'DESC' })
            $reviews.setOrderIsUnique()
            return connection($reviews)
          },
        },
      },
      ProviderService: {
        plans: { price: ($price) => $price },
      },
      Money: {
        plans: {
          amountMinor: ($price) => lambda($price.get('price_minor'), Number),
          currency: ($price) => $price.get('currency'),
        },
      },
    },
  }
})

/** @type {GraphileConfig.Preset} */
export default {
  extends: [PostGraphileAmberPreset],
  plugins: [MarketplacePlugin],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ['public'],
      pubsub: false,
      poolConfig: { max: 8 },
    }),
  ],
  grafast: { explain: false },
  grafserv: { outputDataAsString: true, graphiql: false, websockets: false, watch: false },
}
