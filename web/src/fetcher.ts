import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { parse } from "graphql";

/** How the server sees the token of the page. */
export type TokenState = "accepted" | "expired" | "refused";

/**
 * Sends operations to this server's `/graphql`, signed in with `token` unless the header editor says otherwise.
 * `onToken` hears what the server thought of the token.
 */
export function createFetcher(token: string | null, onToken: (state: TokenState) => void): Fetcher {
  return async (params, options) => {
    const headers = new Headers({
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json;q=0.9",
    });
    if (token) headers.set("authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries(options?.headers ?? {})) headers.set(name, String(value));
    const own = token !== null && headers.get("authorization") === `Bearer ${token}`;

    const answer = await fetch("/graphql", {
      method: "POST",
      credentials: "omit",
      headers,
      body: JSON.stringify(withOwnName(params)),
    });
    const text = await answer.text();
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      throw new Error(`The server answered ${answer.status} without JSON: ${text.slice(0, 200)}`);
    }
    if (own) onToken(tokenState(body));
    return body as Awaited<ReturnType<Fetcher>>;
  };
}

/** GraphiQL knows a document's operations a moment after its text: run at once, it names one of the tab before. */
function withOwnName(params: FetcherParams): FetcherParams {
  try {
    const names = parse(params.query).definitions.flatMap((definition) =>
      definition.kind === "OperationDefinition" ? [definition.name?.value] : [],
    );
    if (names.length === 1) return { ...params, operationName: names[0] };
  } catch {
    // The server says what is wrong with the document.
  }
  return params;
}

function tokenState(body: unknown): TokenState {
  const errors = (body as { errors?: { extensions?: { code?: string; reason?: string } }[] }).errors ?? [];
  const bad = errors.find((error) => error.extensions?.code === "UNAUTHENTICATED");
  if (!bad) return "accepted";
  return bad.extensions?.reason === "TOKEN_EXPIRED" ? "expired" : "refused";
}
