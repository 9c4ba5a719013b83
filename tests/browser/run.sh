#!/bin/sh
# run.sh [BASE_URL]: looks at the GraphiQL page of the server at BASE_URL in headless Chromium; without BASE_URL it
# starts a server of its own (COMPANION names the program) on a private PostgreSQL with demo data.
#
# Wants node, npm and Chromium (CHROMIUM names its program where it isn't in the PATH) and a server in development
# with demo data and the page built. What is missing is said, and the test is skipped with status 0; with
# BROWSER_TEST=required that is an error instead. Screenshots go to SHOTS (default: target/browser).
set -eu

base=${1:-}
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "browser test skipped: $1" >&2
    [ "${BROWSER_TEST:-}" != required ] || exit 1
    exit 0
}

chromium=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$chromium" ] || chromium=$(command -v "$name" || true)
done
[ -n "$chromium" ] || skip "Chromium is not installed (Debian: apt-get install chromium)"
command -v node >/dev/null && command -v npm >/dev/null || skip "node and npm are not installed"
[ "$(node -p 'parseInt(process.versions.node, 10)')" -ge 20 ] || skip "node is older than 20"

installed=$here/node_modules/.package-lock.json
if [ ! -f "$installed" ] || [ "$here/package-lock.json" -nt "$installed" ]; then
    (cd "$here" && npm ci --no-fund --no-audit --loglevel=error) || skip "npm could not install what the test needs"
fi

export CHROMIUM="$chromium" SHOTS="${SHOTS:-$here/../../target/browser}"
if [ -n "$base" ]; then
    BASE_URL=$base exec node "$here/graphiql.mjs"
fi
[ -f "$here/../../web/dist/index.html" ] || skip "the page is not built (make web)"
exec node "$here/with-server.mjs" "${COMPANION:-$here/../../target/debug/companion}" "$here/graphiql.mjs"
