import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "/graphiql/",
  resolve: {
    // GraphiQL formats its JSON panes with prettier's whole JavaScript parser (540 kB); ours does JSON alone.
    alias: {
      "prettier/parser-babel": here("src/prettier-jsonc.ts"),
      "prettier/plugins/estree": here("src/prettier-jsonc.ts"),
    },
    dedupe: ["graphql", "monaco-editor", "react", "react-dom"],
  },
  worker: { format: "es" },
  build: {
    target: "es2022",
    // Nothing becomes a data: address, so that the page's Content-Security-Policy needs none for scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4000,
    rolldownOptions: {
      // "use client" matters to servers that render React; there is none here.
      checks: { moduleLevelDirective: false },
    },
  },
  server: {
    proxy: { "/graphql": "http://localhost:8000", "/graphiql/people.json": "http://localhost:8000" },
  },
});
