// Who is signed in on this page. The token lives in sessionStorage alone: it goes with the tab and is never in a
// cookie, an address or a saved query.

/** A sign-in on this page. */
export interface Session {
  /** What the bar shows: a demo person's label, or the subject of a pasted token. */
  label: string;
  /** The demo person's role, empty for a pasted token. */
  role: string;
  /** The access token, without "Bearer". */
  token: string;
  /** When the token ends, in milliseconds since 1970, where the token says so. */
  expiresAt: number | null;
}

/** A demo person as `/graphiql/people.json` lists them. */
export interface DemoPerson {
  label: string;
  role: string;
}

const KEY = "companion.session";

/** The session that this tab holds, or null. */
export function loadSession(): Session | null {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    if (stored && typeof stored === "object" && "token" in stored && typeof stored.token === "string") {
      return stored as Session;
    }
  } catch {
    // Unreadable storage is no session.
  }
  return null;
}

/** Keeps or forgets the session of this tab. */
export function saveSession(session: Session | null): void {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser without storage keeps the session until the page is left.
  }
}

/** Signs a demo person in; null where the server does not know them. */
export async function signInAs(person: DemoPerson): Promise<Session | null> {
  try {
    const path = `/graphiql/people/${encodeURIComponent(person.role)}`;
    const answer = await fetch(path, { method: "POST", credentials: "omit", cache: "no-store" });
    if (!answer.ok) return null;
    const { accessToken: token } = (await answer.json()) as { accessToken: string };
    return { label: person.label, role: person.role, token, expiresAt: claims(token).expiresAt };
  } catch {
    return null;
  }
}

/** The session of a pasted token, or the reason why it can't be one. */
export function sessionOfToken(pasted: string): Session | string {
  const token = pasted.trim().replace(/^(authorization:\s*)?bearer\s+/i, "").trim();
  if (token === "") return "Paste an access token first.";
  // A header may carry visible ASCII alone; anything else would make every request fail in the browser.
  if (!/^[\x21-\x7e]+$/.test(token)) return "An access token has no spaces or special characters.";
  const { subject, expiresAt } = claims(token);
  return { label: subject ?? "Pasted token", role: "", token, expiresAt };
}

/** The demo people of this server; none where it has none (outside development). */
export async function fetchPeople(): Promise<DemoPerson[]> {
  try {
    const answer = await fetch("/graphiql/people.json", { credentials: "omit", cache: "no-store" });
    if (!answer.ok) return [];
    const people: unknown = await answer.json();
    return Array.isArray(people) ? (people as DemoPerson[]) : [];
  } catch {
    return [];
  }
}

/** What a token says about itself: only to show it, the server alone decides whether it is true. */
function claims(token: string): { subject: string | null; expiresAt: number | null } {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const body = JSON.parse(atob(payload)) as { sub?: unknown; exp?: unknown };
    return {
      subject: typeof body.sub === "string" ? body.sub : null,
      expiresAt: typeof body.exp === "number" ? body.exp * 1000 : null,
    };
  } catch {
    return { subject: null, expiresAt: null };
  }
}
