// Runs the audits of npm's graphql-http against a running server:
//   npm --prefix tests/http-audit ci && node tests/http-audit/audit.mjs http://localhost:8000/graphql
import { auditServer } from "graphql-http";

const url = process.argv[2] ?? "http://localhost:8000/graphql";
const results = await auditServer({ url, fetchFn: fetch });
const failed = results.filter((result) => result.status !== "ok");
for (const { id, name, status, reason } of failed) console.error(id, name, status, reason);
console.log(`${results.length - failed.length} of ${results.length} audits pass`);
process.exitCode = failed.length === 0 ? 0 : 1;
