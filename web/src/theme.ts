import { useCallback, useEffect, useState } from "react";

/** The two looks of the page. */
export type Theme = "light" | "dark";

const KEY = "companion.theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");

/** The look: what the person chose here, else what the system says, as it changes; and a way to choose the other. */
export function useTheme(): [Theme, () => void] {
  const [chosen, setChosen] = useState<Theme | null>(stored);
  const [dark, setDark] = useState(system.matches);

  useEffect(() => {
    const listen = (event: MediaQueryListEvent) => setDark(event.matches);
    system.addEventListener("change", listen);
    return () => system.removeEventListener("change", listen);
  }, []);

  const theme = chosen ?? (dark ? "dark" : "light");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);

  const toggle = useCallback(() => {
    const next: Theme = theme === "dark" ? "light" : "dark";
    localStorage.setItem(KEY, next);
    setChosen(next);
  }, [theme]);
  return [theme, toggle];
}

function stored(): Theme | null {
  const value = localStorage.getItem(KEY);
  return value === "light" || value === "dark" ? value : null;
}
