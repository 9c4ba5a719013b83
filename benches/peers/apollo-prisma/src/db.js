import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'

const names = new Map()

/** A name of its own for each text, under which node-postgres keeps it prepared. */
function statementNameGenerator({ sql }) {
  let name = names.get(sql)
  if (!name) names.set(sql, (name = `s${names.size}`))
  return name
}

export const prisma = new PrismaClient({
  adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL, max: 8 }, { statementNameGenerator }),
})
