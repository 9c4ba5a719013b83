// Where GraphiQL keeps tabs, history and layout. Headers may carry a token, and the token belongs to sessionStorage:
// GraphiQL leaves them out of its tabs, but its history would keep them.

import type { Example } from "./examples";

const HISTORY_KEYS = new Set(["graphiql:queries", "graphiql:favorites"]);

/** localStorage for GraphiQL, without request headers. */
export const storage = {
  get length() {
    return localStorage.length;
  },
  getItem: (key: string) => localStorage.getItem(key),
  setItem(key: string, value: string) {
    localStorage.setItem(key, HISTORY_KEYS.has(key) ? withoutHeaders(value) : value);
  },
  removeItem: (key: string) => localStorage.removeItem(key),
  clear() {
    for (const key of Object.keys(localStorage)) if (key.startsWith("graphiql:")) localStorage.removeItem(key);
  },
};

/**
 * Puts the editors' stored texts in step with the active tab before GraphiQL reads them. It looks for the tab whose
 * texts equal them and opens one more where none does, and of a default tab it takes only the query.
 */
export function prepareVisit(first: Example): void {
  let active: Partial<Record<"query" | "variables", string | null>> = first;
  try {
    const stored = JSON.parse(localStorage.getItem("graphiql:tabState") ?? "null");
    active = stored?.tabs?.[stored.activeTabIndex] ?? first;
  } catch {
    // GraphiQL starts over from the default tabs too.
  }
  for (const name of ["query", "variables"] as const) {
    if (active[name]) localStorage.setItem(`graphiql:${name}`, active[name]);
    else localStorage.removeItem(`graphiql:${name}`);
  }
}

/** Forgets the tabs, so that the next load opens the examples. */
export function forgetTabs(): void {
  for (const name of ["tabState", "query", "variables", "headers"]) localStorage.removeItem(`graphiql:${name}`);
}

function withoutHeaders(value: string): string {
  return JSON.stringify(JSON.parse(value), (key, inner: unknown) => (key === "headers" ? undefined : inner));
}
