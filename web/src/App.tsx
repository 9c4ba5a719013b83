import { GraphiQL } from "graphiql";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Bar } from "./Bar";
import { examples } from "./examples";
import { createFetcher, type TokenState } from "./fetcher";
import { loadSession, saveSession, type Session } from "./session";
import { forgetTabs, prepareVisit, storage } from "./storage";
import { useTheme } from "./theme";

/** The page: a bar with the sign-in, and GraphiQL under it. */
export function App({ title }: { title: string }) {
  const [session, setSession] = useState<Session | null>(loadSession);
  const [tokenState, setTokenState] = useState<TokenState>("accepted");
  const [theme, toggleTheme] = useTheme();
  const [tabs] = useState(() => {
    const opened = examples();
    if (opened[0]) prepareVisit(opened[0]);
    return opened;
  });

  const changeSession = useCallback((next: Session | null) => {
    saveSession(next);
    setTokenState("accepted");
    setSession(next);
  }, []);

  // A new token means a new fetcher, which makes GraphiQL read the schema again: in production only some may.
  const token = session?.token ?? null;
  const fetcher = useMemo(() => createFetcher(token, setTokenState), [token]);

  // GraphiQL writes its state as it is left; reloading is the one way to have it start over.
  const openExamples = useCallback(() => {
    forgetTabs();
    location.reload();
  }, []);

  useEffect(() => {
    document.title = session ? `${title} · ${session.label}` : title;
  }, [session, title]);

  return (
    <>
      <Bar
        title={title}
        session={session}
        tokenState={tokenState}
        theme={theme}
        onSession={changeSession}
        onTheme={toggleTheme}
        onExamples={openExamples}
      />
      <GraphiQL
        fetcher={fetcher}
        storage={storage}
        defaultTabs={tabs}
        defaultEditorToolsVisibility="variables"
        forcedTheme={theme}
        inputValueDeprecation
        onTabChange={showActiveTab}
        shouldPersistHeaders={false}
        showPersistHeadersSettings={false}
      >
        <GraphiQL.Logo>
          <span />
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}

/** There are more tabs than fit: the one in use is brought into view once it is drawn. */
function showActiveTab() {
  requestAnimationFrame(() => {
    document.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}
