# `make run` and `make test` are all a newcomer needs; `make help` lists the rest.

CARGO ?= cargo
TARGET ?= $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help run test web check schema release bench bench-full bench-guard hint

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The development profile: a release takes about twice as long to build, and a newcomer waits for it.
run: hint web ## Build, start a private PostgreSQL with demo data, serve on http://localhost:8000 (Ctrl-C stops it)
	@$(CARGO) run --locked -- serve

test: web ## Every test: cargo's, then the page in a browser where Chromium is installed
	@tests/smtp/python.sh >/dev/null || test "$$SMTP_TEST" != required
	INSTALL_POSTGRESQL=1 $(CARGO) test --locked
	COMPANION=$(TARGET)/debug/companion tests/browser/run.sh

web: ## Build the GraphiQL page, where npm is installed
	@web/build.sh

check: ## Format, lints and documentation, every warning an error
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --no-deps --document-private-items

schema: ## Write schema.graphql
	$(CARGO) run --locked -- schema --output schema.graphql

release: ## Build target/release/companion, with the page inside
	WEB=$(or $(WEB),required) web/build.sh
	$(CARGO) build --locked --release

# The page is no part of what is measured.
bench: WEB = optional
bench: release ## Compare with others in about 9 minutes, once everything is installed (benches/README.md)
	BENCH_COMPANION=$(abspath $(TARGET))/release/companion benches/run.py short

bench-full: WEB = optional
bench-full: release ## Compare with others on up to a million rows, with growth and load: about two hours
	BENCH_COMPANION=$(abspath $(TARGET))/release/companion benches/run.py full
	BENCH_COMPANION=$(abspath $(TARGET))/release/companion benches/run.py load

bench-guard: ## Count the instructions of requests, against benches/guard.json (UPDATE=1 writes it)
	$(CARGO) build --locked --release
	benches/guard.py $(TARGET)/release/companion $(if $(UPDATE),--update)

# Only the server knows for sure (src/db/private), but a person should not hear of it after the long build.
hint:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: see https://rustup.rs"; exit 1; }
	@test -n "$$DATABASE_URL" || command -v initdb >/dev/null || command -v apt-get >/dev/null \
		|| ls -d /usr/*/postgresql*/bin /usr/*/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
			/usr/local/opt/postgresql*/bin /Applications/Postgres.app 2>/dev/null | grep -q . \
		|| echo "PostgreSQL seems to be missing: install it while this builds (macOS: brew install postgresql@17)"
