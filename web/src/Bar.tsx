import { useEffect, useState, type FormEvent } from "react";
import icon from "./icon.svg";
import type { TokenState } from "./fetcher";
import { fetchPeople, sessionOfToken, signInAs, type DemoPerson, type Session } from "./session";
import type { Theme } from "./theme";

interface BarProps {
  title: string;
  session: Session | null;
  tokenState: TokenState;
  theme: Theme;
  onSession: (session: Session | null) => void;
  onTheme: () => void;
  onExamples: () => void;
}

/** The bar over GraphiQL: what this is, who is signed in, how to sign in or out, dark or light. */
export function Bar({ title, session, tokenState, theme, onSession, onTheme, onExamples }: BarProps) {
  return (
    <header className="bar">
      <h1 className="bar-title">
        <img src={icon} alt="" width="24" height="24" />
        {title}
      </h1>
      {session ? (
        <SignedIn session={session} tokenState={tokenState} onSession={onSession} />
      ) : (
        <SignIn onSession={onSession} />
      )}
      <div className="bar-tools">
        <button type="button" onClick={onExamples} title="Close all tabs and open the example queries again">
          Reset tabs
        </button>
        <button
          type="button"
          className="bar-icon"
          onClick={onTheme}
          aria-label={theme === "dark" ? "Use the light theme" : "Use the dark theme"}
          title={theme === "dark" ? "Light theme" : "Dark theme"}
        >
          {theme === "dark" ? <Sun /> : <Moon />}
        </button>
      </div>
    </header>
  );
}

function SignedIn({
  session,
  tokenState,
  onSession,
}: Pick<BarProps, "session" | "tokenState" | "onSession"> & { session: Session }) {
  const trouble =
    tokenState === "expired"
      ? "The token has expired: sign out and in again."
      : tokenState === "refused"
        ? "The server refuses this token: sign out and in again."
        : null;
  return (
    <div className="bar-session">
      <p className={trouble ? "bar-state bar-trouble" : "bar-state"} role="status">
        <span className="bar-dot" aria-hidden="true" />
        <span className="bar-who">
          Signed in as <strong title={session.label}>{session.label}</strong>
        </span>
        {session.role && <span className="bar-role">{session.role}</span>}
        <span className="bar-note">{trouble ?? until(session.expiresAt)}</span>
      </p>
      <button type="button" onClick={() => onSession(null)}>
        Sign out
      </button>
    </div>
  );
}

function SignIn({ onSession }: Pick<BarProps, "onSession">) {
  const [people, setPeople] = useState<DemoPerson[]>([]);
  const [pasted, setPasted] = useState("");
  const [problem, setProblem] = useState<string | null>(null);

  useEffect(() => {
    let shown = true;
    void fetchPeople().then((found) => shown && setPeople(found));
    return () => {
      shown = false;
    };
  }, []);

  const pick = async (role: string) => {
    const person = people.find((one) => one.role === role);
    const session = person ? await signInAs(person) : null;
    if (session) onSession(session);
    else setProblem("The server does not sign this person in.");
  };

  const paste = (event: FormEvent) => {
    event.preventDefault();
    const made = sessionOfToken(pasted);
    if (typeof made === "string") setProblem(made);
    else onSession(made);
  };

  return (
    <div className="bar-session">
      <p className="bar-state bar-out" role="status">
        <span className="bar-dot" aria-hidden="true" />
        Not signed in
      </p>
      {people.length > 0 && (
        <select
          aria-label="Sign in as a demo person"
          value=""
          onChange={(event) => void pick(event.currentTarget.value)}
        >
          <option value="" disabled>
            Demo person…
          </option>
          {people.map((person) => (
            <option key={person.role} value={person.role}>
              {person.label} · {person.role}
            </option>
          ))}
        </select>
      )}
      <form className="bar-paste" onSubmit={paste}>
        <input
          type="password"
          autoComplete="off"
          spellCheck={false}
          aria-label="Access token"
          placeholder="Paste an access token"
          value={pasted}
          onChange={(event) => {
            setProblem(null);
            setPasted(event.currentTarget.value);
          }}
        />
        <button type="submit">Sign in</button>
      </form>
      {problem && (
        <span className="bar-problem" role="alert">
          {problem}
        </span>
      )}
    </div>
  );
}

function until(expiresAt: number | null): string {
  if (expiresAt === null) return "";
  const time = new Date(expiresAt).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return `until ${time}`;
}

function Sun() {
  return (
    <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
      <circle cx="12" cy="12" r="4.5" />
      <path
        strokeLinecap="round"
        d="M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M4.9 4.9l1.8 1.8M17.3 17.3l1.8 1.8M4.9 19.1l1.8-1.8M17.3 6.7l1.8-1.8"
      />
    </svg>
  );
}

function Moon() {
  return (
    <svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" strokeWidth="2" aria-hidden="true">
      <path strokeLinejoin="round" d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z" />
    </svg>
  );
}
