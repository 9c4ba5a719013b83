const selections = new WeakMap()

/**
 * What `build` makes of the names of the fields that are asked for below `path`; made once for each document, which is
 * kept parsed.
 */
export function selected(info, path, build) {
  const [field] = info.fieldNodes
  let made = selections.get(field)
  if (!made) {
    let nodes = [...info.fieldNodes]
    for (const name of path) nodes = fields(nodes, info).filter((node) => node.name.value === name)
    made = build(fields(nodes, info).map((node) => node.name.value))
    selections.set(field, made)
  }
  return made
}

function fields(nodes, info) {
  return nodes.flatMap((node) =>
    (node.selectionSet?.selections ?? []).flatMap((selection) => {
      if (selection.kind === 'Field') return [selection]
      const fragment = selection.kind === 'FragmentSpread' ? info.fragments[selection.name.value] : selection
      return fields([fragment], info)
    }),
  )
}
