#!/bin/sh
# build.sh: builds the GraphiQL page into web/dist.
#
# The API works without the page, so where npm is missing, too old or can't reach its registry this says what to do
# and ends with status 0; with WEB=required that is an error instead. Does nothing where the page is newer than its
# sources.
set -eu
cd "$(dirname "$0")"

skip() {
    echo "GraphiQL page not built: $1. The API works without it." >&2
    mkdir -p dist
    [ "${WEB:-}" != required ] || exit 1
    exit 0
}

if [ -f dist/index.html ] && [ -z "$(find src index.html package-lock.json package.json tsconfig.json vite.config.ts build.sh -newer dist/index.html)" ]; then
    exit 0
fi
command -v node >/dev/null && command -v npm >/dev/null || skip "install Node.js 20.19 or newer with npm, then run 'make web'"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
    || skip "Node.js $(node -v) is too old; install 20.19 or newer, then run 'make web'"
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-fund --no-audit --loglevel=error || skip "npm could not install what it needs; run 'make web' to try again"
fi
npm run --silent build || skip "its build failed; run 'make web' to see why"
