// The GraphiQL page in headless Chromium: signs in both ways, runs queries, sees errors, changes the theme, and
// checks that nothing left for another host and that neither console nor Content-Security-Policy complained.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildClientSchema, parse, validate } from "graphql";
import { getVariableValues } from "graphql/execution/values.js";
import { chromium } from "playwright-core";

const base = new URL(process.env.BASE_URL ?? "http://localhost:8000");
const shots = process.env.SHOTS ?? "target/browser";
const profile = await mkdtemp(join(tmpdir(), "companion-browser-"));
await mkdir(shots, { recursive: true });

const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1440, height: 860 },
  colorScheme: "light",
  locale: "en-GB",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // No name but ours resolves: the page has to work without the internet.
    `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE ${base.hostname}`,
  ],
});

const foreign = [];
const complaints = [];
// A refused operation is answered 4xx, which Chromium reports in the console: those that a step expects are no fault.
const expectedStatus = /^Failed to load resource: the server responded with a status of (400|401|404) /;

context.on("request", (request) => {
  const url = new URL(request.url());
  const local = url.protocol === "data:" || url.protocol === "blob:" || url.origin === base.origin;
  if (!local) foreign.push(request.url());
});
context.on("console", (message) => {
  if (message.type() !== "error" && message.type() !== "warning") return;
  const at = message.location().url;
  const known = expectedStatus.test(message.text()) && /\/(graphql|people\.json)$/.test(at);
  if (!known) complaints.push(`${message.type()}: ${message.text()} (${at})`);
});
context.on("weberror", (error) => complaints.push(`uncaught: ${error.error()}`));

const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(20_000);

const shoot = (name) => page.screenshot({ path: join(shots, `${name}.png`) });
const step = async (name, run) => {
  await run();
  console.log(`ok - ${name}`);
};
const status = page.locator(".bar-state");
const tab = (name) => page.locator(".graphiql-tabs").getByRole("button", { name, exact: true });

/** Presses the run button and answers the JSON which the server gave and the text which the page shows of it. */
async function run() {
  const answered = page.waitForResponse(
    (response) => response.url() === new URL("/graphql", base).href && !isIntrospection(response.request()),
  );
  await page.locator(".graphiql-execute-button").click();
  const response = await answered;
  const body = await response.json();
  await page.waitForFunction(() => document.querySelector(".graphiql-spinner") === null);
  return { body, sent: response.request(), shown: await responseText() };
}

const isIntrospection = (request) => (request.postData() ?? "").includes("__schema");

/** What the response pane holds; Monaco draws only the lines in view, so the model is asked. */
const responseText = () => modelText("response.json");
const modelText = (suffix) =>
  page.evaluate(
    (end) => globalThis.__MONACO.editor.getModels().find((model) => model.uri.path.endsWith(end))?.getValue() ?? "",
    suffix,
  );

/** Fills the editor whose model ends in `suffix`. Not by keys: Monaco closes brackets by itself as one types. */
const fill = (suffix, text) =>
  page.evaluate(
    ([end, value]) =>
      globalThis.__MONACO.editor
        .getEditors()
        .find((editor) => editor.getModel().uri.path.endsWith(end))
        .setValue(value),
    [suffix, text],
  );

/** Opens a new tab with a query named `name`, and waits until GraphiQL has understood it: the tab gets its name. */
async function open(name, fields) {
  const before = await page.locator(".graphiql-tab").count();
  await page.locator(".graphiql-tab-add").click();
  await page.locator(".graphiql-tab").nth(before).waitFor();
  await fill("operation.graphql", `query   ${name}${fields}`);
  await tab(name).waitFor();
}

const introspected = () =>
  page.waitForResponse((response) => response.url().endsWith("/graphql") && isIntrospection(response.request()));

let served;

try {
  await step("the page opens with its tabs and reads the schema", async () => {
    const schema = introspected();
    const answer = await page.goto(new URL("/graphiql", base).href);
    assert.equal(answer.status(), 200);
    assert.ok(
      await page.locator("script[src^='/graphiql/assets/']").count(),
      "the page was not built: npm is missing, or `make web` was not run",
    );
    assert.match(answer.headers()["content-security-policy"], /script-src 'self';/);
    served = buildClientSchema((await (await schema).json()).data);
    await page.locator(".graphiql-query-editor .view-line").first().waitFor();
    await status.getByText("Not signed in").waitFor();
    for (const name of ["Providers", "Me", "BookingCreate", "CheckoutCreate", "ReviewCreate"]) {
      assert.equal(await tab(name).count(), 1, `tab ${name}`);
    }
    await shoot("1-light");
  });

  await step("the first tab runs without a sign-in", async () => {
    const { body, sent, shown } = await run();
    assert.equal(body.errors, undefined, JSON.stringify(body.errors));
    assert.ok(body.data.providers.nodes.length > 0, "providers");
    assert.equal(sent.headers().authorization, undefined);
    assert.ok(shown.includes(body.data.providers.nodes[0].displayName), "the answer is shown");
    await shoot("2-providers");
  });

  await step("every example fits the schema", async () => {
    const examples = await page.evaluate(() => JSON.parse(localStorage.getItem("graphiql:tabState")).tabs);
    assert.ok(examples.length > 10, `${examples.length} tabs`);
    for (const { title, query, variables } of examples) {
      const document = parse(query);
      assert.deepEqual(validate(served, document).map((error) => error.message), [], title);
      const given = JSON.parse(variables || "{}");
      const used = new Set();
      for (const { variableDefinitions } of document.definitions) {
        for (const definition of variableDefinitions) used.add(definition.variable.name.value);
        const { errors } = getVariableValues(served, variableDefinitions, given);
        assert.equal(errors, undefined, `${title}: ${errors}`);
      }
      assert.deepEqual(Object.keys(given).filter((name) => !used.has(name)), [], `${title}: variables in use`);
    }
  });

  let client;
  await step("picking a demo person signs in", async () => {
    const select = page.getByLabel("Sign in as a demo person");
    await select.waitFor();
    const people = await (await fetch(new URL("/graphiql/people.json", base))).json();
    client = people.find((person) => person.role === "client");
    assert.ok(client, "a demo client");
    const schema = introspected();
    await select.selectOption(client.role);
    await status.getByText(`Signed in as ${client.label}`).waitFor();
    assert.match((await schema).request().headers().authorization, /^Bearer \S+$/);
    await tab("Me").click();
    const { body, shown } = await run();
    assert.equal(body.errors, undefined, JSON.stringify(body.errors));
    assert.ok(body.data.me.id, "me");
    assert.ok(shown.includes(body.data.me.id), "me is shown");
    await shoot("3-signed-in");
  });

  await step("the token is in sessionStorage alone", async () => {
    const kept = await page.evaluate(() => ({
      session: JSON.stringify(Object.values(sessionStorage)),
      local: JSON.stringify(Object.values(localStorage)),
      cookie: document.cookie,
    }));
    const token = JSON.parse(JSON.parse(kept.session)[0]).token;
    assert.ok(token.length > 10);
    assert.ok(!kept.local.includes(token) && !kept.cookie.includes(token));
    const tabs = await page.locator(".graphiql-tab").count();
    await page.reload();
    await page.locator(".graphiql-query-editor .view-line").first().waitFor();
    await status.getByText(`Signed in as ${client.label}`).waitFor();
    assert.equal(await page.locator(".graphiql-tab").count(), tabs, "the same tabs after a reload");
  });

  await step("a field for staff answers FORBIDDEN to a client", async () => {
    await open("Staff", "{ providerApplications(first: 1) { nodes { id } } }");
    const { body, shown } = await run();
    assert.equal(body.errors[0].extensions.code, "FORBIDDEN");
    assert.ok(shown.includes("FORBIDDEN"), shown);
  });

  await step("a field that isn't there is marked and answered BAD_REQUEST", async () => {
    await open("Wrong", "{ noSuchField }");
    await page.locator(".graphiql-query-editor .squiggly-error").first().waitFor();
    const { body, shown } = await run();
    assert.equal(body.errors[0].extensions.code, "BAD_REQUEST");
    assert.ok(!("data" in body));
    assert.ok(shown.includes("BAD_REQUEST"), shown);
    await shoot("4-error");
  });

  await step("the header editor's headers are sent, and stay out of storage", async () => {
    await open("Header", "{ __typename }");
    await page.getByRole("button", { name: "Headers", exact: true }).click();
    await fill("request-headers.json", '{"X-Cost": "1", "X-Secret": "kept-nowhere"}');
    const { body, sent } = await run();
    assert.equal(body.data.__typename, "Query");
    assert.equal(sent.headers()["x-cost"], "1");
    const local = await page.evaluate(() => JSON.stringify(Object.values(localStorage)));
    assert.ok(!local.includes("kept-nowhere"), "a header was stored");
    await page.getByRole("button", { name: "Variables", exact: true }).click();
  });

  await step("signing out and pasting a token signs in", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await status.getByText("Not signed in").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await page.getByLabel("Access token").fill("two words");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.locator(".bar-problem").getByText("no spaces").waitFor();
    const signIn = await fetch(new URL("/graphiql/people/client", base), { method: "POST" });
    const { accessToken } = await signIn.json();
    await page.getByLabel("Access token").fill(`Bearer ${accessToken}`);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await status.getByText("Signed in as").waitFor();
    await tab("Me").click();
    const { body, sent } = await run();
    assert.ok(body.data.me.id);
    assert.equal(sent.headers().authorization, `Bearer ${accessToken}`);
  });

  await step("a token that the server refuses is said so", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Access token").fill("not.a.token");
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
    await page.getByText("The server refuses this token").waitFor();
    const { body } = await run();
    assert.equal(body.errors[0].extensions.code, "UNAUTHENTICATED");
    await shoot("5-refused");
    await page.getByRole("button", { name: "Sign out" }).click();
    await status.getByText("Not signed in").waitFor();
  });

  await step("dark and light", async () => {
    const ground = () => page.evaluate(() => getComputedStyle(document.querySelector(".graphiql-container")).backgroundColor);
    const light = await ground();
    await page.getByRole("button", { name: "Use the dark theme" }).click();
    await page.locator("body.graphiql-dark").waitFor();
    assert.notEqual(await ground(), light);
    await tab("Providers").click();
    await run();
    await shoot("6-dark");
    await page.reload();
    await page.locator("body.graphiql-dark").waitFor();
    await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    await page.locator(".graphiql-doc-explorer").getByText("Query", { exact: true }).first().click();
    await page.locator(".graphiql-doc-explorer").getByText("providers", { exact: true }).first().waitFor();
    await shoot("7-dark-docs");
    await page.getByRole("button", { name: "Use the light theme" }).click();
    await page.locator("body.graphiql-light").waitFor();
    await shoot("8-light-docs");
  });

  await step("prettify needs nothing from outside", async () => {
    await open("Tidy", "{__typename}");
    await page.getByRole("button", { name: /^Prettify query/ }).click();
    await page.waitForFunction(() =>
      globalThis.__MONACO.editor.getModels().some((model) => model.getValue().startsWith("query Tidy {\n  __typename")),
    );
  });

  await step("the examples come back", async () => {
    await page.getByRole("button", { name: "Reset tabs" }).click();
    await page.waitForFunction(() => ![...document.querySelectorAll("[role=tab]")].some((t) => t.textContent === "Tidy"));
    await tab("ReviewCreate").waitFor();
  });

  await step("nothing left for another host", () => assert.deepEqual(foreign, []));
  await step("neither console nor policy complained", () => assert.deepEqual(complaints, []));
} catch (error) {
  await shoot("failure").catch(() => {});
  console.error(`not ok - ${error.stack ?? error}`);
  if (complaints.length) console.error(complaints.join("\n"));
  process.exitCode = 1;
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
