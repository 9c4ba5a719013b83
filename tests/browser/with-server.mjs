// with-server.mjs COMPANION SCRIPT: runs SCRIPT with BASE_URL set to a server of its own, started in an empty folder so
// that neither a `.env` nor anybody's data take part, and stopped by an interrupt, which must end it in order.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, open, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const [companion, script] = process.argv.slice(2).map((path) => resolve(path));
const shots = resolve(process.env.SHOTS ?? "target/browser");
await mkdir(shots, { recursive: true });

const probe = createServer().listen(0, "127.0.0.1");
await once(probe, "listening");
const port = probe.address().port;
probe.close();
await once(probe, "close");

const folder = await mkdtemp(join(tmpdir(), "companion-browser-"));
// Started by root, PostgreSQL has another account, which must get in.
await chmod(folder, 0o755);
const logFile = join(shots, "server.log");
const log = await open(logFile, "w");
const { PATH, HOME, RUST_BACKTRACE = "1" } = process.env;
const server = spawn(companion, ["serve"], {
  cwd: folder,
  env: { PATH, HOME, RUST_BACKTRACE, PORT: String(port), DATA_DIR: join(folder, "data") },
  stdio: ["ignore", log.fd, log.fd],
});
const ended = new Promise((done) => {
  server.once("exit", (code, signal) => done(signal ?? code));
  server.once("error", (error) => done(error.message));
});

const base = `http://localhost:${port}`;
const isReady = () =>
  fetch(`${base}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
    (answer) => answer.ok,
    () => false,
  );

let failure;
try {
  const deadline = Date.now() + 120_000;
  while (!(await isReady())) {
    const end = await Promise.race([ended, pause(100, "waiting")]);
    assert.equal(end, "waiting", `the server ended: ${end}`);
    assert.ok(Date.now() < deadline, "the server is not ready after 120 s");
  }
  const test = spawn(process.execPath, [script], { stdio: "inherit", env: { ...process.env, BASE_URL: base } });
  const [code, signal] = await once(test, "exit");
  assert.equal(signal ?? code, 0, "the browser test failed");
} catch (error) {
  failure = error;
} finally {
  server.kill("SIGINT");
  const end = await Promise.race([ended, pause(45_000, "nothing in 45 s", { ref: false })]);
  if (end !== 0) {
    failure ??= new Error(`the server did not stop in order: ${end}`);
    server.kill("SIGKILL");
  }
  await log.close();
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
if (failure) {
  console.error((await readFile(logFile, "utf8")).split("\n").slice(-40).join("\n"));
  console.error(`not ok - ${failure.message}`);
  process.exit(1);
}
console.log("ok - the server stopped in order");
