# syntax=docker/dockerfile:1
# docker build -t companion .

# The GraphiQL page, which the binary embeds.
FROM node:22-bookworm-slim AS web
WORKDIR /build/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-fund --no-audit --loglevel=error
COPY web/ ./
RUN npm run build

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# The dependencies alone, behind an empty program: this layer is built again only when they change.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs \
    && touch src/lib.rs \
    && cargo build --locked --release --bin companion
COPY migrations/ migrations/
COPY src/ src/
COPY --from=web /build/web/dist/ web/dist/
# A copied file keeps its old date, with which it would pass for the empty program's.
RUN touch build.rs src/main.rs src/lib.rs && cargo build --locked --release --bin companion

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /var/lib/companion --create-home companion
COPY --from=build /build/target/release/companion /usr/local/bin/companion
USER companion
WORKDIR /var/lib/companion
# The base image is no place for a private PostgreSQL: without DATABASE_URL a production start is refused.
ENV ENVIRONMENT=production HOST=0.0.0.0 PORT=8000 DATA_DIR=/var/lib/companion
VOLUME /var/lib/companion
EXPOSE 8000
# Alive, not ready: an absent database is no reason to start the container anew.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/$PORT && printf 'GET /health/live HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
ENTRYPOINT ["companion"]
CMD ["serve"]
