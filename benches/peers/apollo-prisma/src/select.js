import { valueFromASTUntyped } from 'graphql'

/** What Prisma must select of a model for a field that is not a column of the same name. */
const special = {
  __typename: () => ({}),
  'Provider.rating': () => ({ ratingSum: true, ratingCount: true }),
  'Provider.user': (field) => ({ user: select('User', field) }),
  'Provider.services': (field) => ({
    services: {
      where: { active: true, service: { status: 'ACTIVE' } },
      orderBy: [{ service: { title: 'asc' } }, { id: 'asc' }],
      ...select('ProviderService', field),
    },
  }),
  'Provider.reviews': (field) => ({
    reviews: {
      where: { visible: true },
      orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
      take: page(field.args.first ?? 20),
      ...select('Review', { fields: field.fields.filter(({ name }) => name === 'nodes').flatMap(({ fields }) => fields) }),
    },
  }),
  'ProviderService.price': () => ({ priceMinor: true, currency: true }),
  'ProviderService.service': (field) => ({ service: select('Service', field) }),
  'Review.author': (field) => ({ author: select('User', field) }),
}

/** How many rows a page has. */
export const page = (first) => Math.min(Math.max(first, 0), 100)

function select(model, { fields }) {
  const selected = { id: true }
  for (const field of fields) {
    const make = special[`${model}.${field.name}`] ?? special[field.name]
    merge(selected, make ? make(field) : { [field.name]: true })
  }
  return { select: selected }
}

function merge(into, from) {
  for (const [key, value] of Object.entries(from)) {
    const there = into[key]
    if (key === 'take' && there !== undefined) into[key] = Math.max(there, value)
    else if (there && typeof there === 'object' && !Array.isArray(there)) merge(there, value)
    else into[key] = value
  }
}

/** `{ select }` of the providers below the field that is being resolved, at `path`. */
export function providerSelect(info, path = []) {
  let asked = tree(info.fieldNodes, info)
  for (const step of path) asked = asked.filter(({ name }) => name === step).flatMap(({ fields }) => fields)
  return select('Provider', { fields: asked })
}

function tree(nodes, info) {
  return nodes.flatMap((node) =>
    (node.selectionSet?.selections ?? []).flatMap((selection) => {
      if (selection.kind === 'FragmentSpread') return tree([info.fragments[selection.name.value]], info)
      if (selection.kind === 'InlineFragment') return tree([selection], info)
      const args = selection.arguments.map(({ name, value }) => [
        name.value,
        valueFromASTUntyped(value, info.variableValues),
      ])
      return [{ name: selection.name.value, args: Object.fromEntries(args), fields: tree([selection], info) }]
    }),
  )
}
