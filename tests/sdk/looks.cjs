// Looks at every page with headless Chromium as somebody who cannot see well, has a phone, and uses the keyboard.
//
// Reads a plan as JSON from LOOKS: {base, address, email, password, start, strangers, viewer, folder, prefix}. Signs in,
// follows every link of every page on the same origin (GET only, no form is pressed), and looks at some pages of each
// kind in two widths and both schemes. Prints one JSON line: {kinds, links, complaints}.
const { readFileSync, mkdirSync } = require("node:fs");
const { chromium } = require("playwright-core");

const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const VIEWS = [1280, 390].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));
const LINKS_MAX = 400;
const OF_A_KIND = 2;
const TAP_PX = 40;

const plan = JSON.parse(process.env.LOOKS);
const complaints = [];
const complain = (where, what) => complaints.push(`${where}: ${what}`);

/** What distinguishes kinds of pages: the address without the names in it. */
const kindOf = (path) => {
  const url = new URL(path, plan.base);
  const parts = url.pathname.split("/").slice(1);
  const named = parts.map((part, at) => (at > 0 && !/^(welcome|new)$/.test(part) ? "one" : part));
  const asked = [...url.searchParams].filter(([, value]) => value).map(([key, value]) => (/^(show|state|status|days)$/.test(key) ? value : key));
  return [...named, asked[0]].filter(Boolean).join("-").replace(/[^a-z0-9_-]/gi, "") || "overview";
};

/** Runs in the page: what a person would stumble over and axe does not look at. */
const stumbles = ({ width, tap }) => {
  const found = [];
  const name = (part) => `<${part.tagName.toLowerCase()} class="${part.className}"> ${(part.textContent || "").trim().slice(0, 40)}`;
  const seen = (part) => part.checkVisibility({ checkVisibilityCSS: true }) && part.getBoundingClientRect().width > 1;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.querySelectorAll("main *")].filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1);
    found.push(`scrolls sideways by ${root.scrollWidth - root.clientWidth} px: ${wide.slice(0, 3).map(name).join(" · ")}`);
  }
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) found.push(`${headings} h1`);
  for (const part of document.querySelectorAll("a[href], button, input, select, textarea, summary")) {
    if (!seen(part) || part.disabled) continue;
    part.focus();
    if (document.activeElement !== part) continue;
    const shown = getComputedStyle(part).opacity === "0" ? part.labels[0] : part;
    const style = getComputedStyle(shown);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) found.push(`focus is not visible: ${name(part)}`);
  }
  document.activeElement?.blur();
  if (width < 500) {
    for (const part of document.querySelectorAll(".btn, .fold > summary, select, input:not([type=checkbox]):not([type=radio]):not([type=hidden])")) {
      const height = part.getBoundingClientRect().height;
      if (seen(part) && height < tap - 0.5) found.push(`${Math.round(height)} px high: ${name(part)}`);
    }
  }
  return found;
};

async function look(page, { path, name, status }, view) {
  const where = `${name} at ${view.width} ${view.scheme}`;
  const noise = (message) => {
    const isOwnStatus = status >= 400 && message.location?.().url === page.url();
    if (message.type?.() === "error" && !isOwnStatus) complain(where, `console: ${message.text()}`);
  };
  const broken = (error) => complain(where, `script: ${error.message}`);
  page.on("console", noise);
  page.on("pageerror", broken);
  try {
    const answer = await page.goto(plan.base + path, { waitUntil: "load" });
    if (answer.status() !== status) complain(where, `${path} answered ${answer.status()}, not ${status}`);
    await page.screenshot({ path: `${plan.folder}/${plan.prefix}${name}-${view.width}-${view.scheme}.png`, fullPage: true });
    await page.keyboard.press("Tab");
    // What is folded is looked at, too: forms that change something stand there.
    await page.evaluate(() => document.querySelectorAll("details.fold").forEach((part) => { part.open = true; }));
    for (const found of await page.evaluate(stumbles, { width: view.width, tap: TAP_PX })) complain(where, found);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate((values) => axe.run(document, { runOnly: values, resultTypes: ["violations"] }), RULES);
    for (const { id, help, nodes } of violations) {
      const parts = nodes.slice(0, 3).map((node) => `${node.html.slice(0, 120)} (${node.any[0]?.message ?? node.all[0]?.message ?? ""})`);
      complain(where, `${id}: ${help}: ${nodes.length}× ${parts.join(" · ")}`);
    }
    for (const what of await page.evaluate(() => window.violations)) complain(where, `content policy: ${what}`);
  } catch (error) {
    complain(where, error.message);
  } finally {
    page.off("console", noise);
    page.off("pageerror", broken);
  }
}

/** A browser window of its own, with what it heard of broken rules. */
async function open(browser, view, storageState) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.width < 500 ? 844 : 900 },
    colorScheme: view.scheme,
    reducedMotion: "reduce",
    storageState,
  });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
  });
  return context.newPage();
}

async function lookAt(browser, pages, storageState) {
  // Two windows at a time: more would only wait for each other.
  for (const scheme of ["light", "dark"]) {
    await Promise.all(
      VIEWS.filter((view) => view.scheme === scheme).map(async (view) => {
        const page = await open(browser, view, storageState);
        for (const one of pages) await look(page, one, view);
        await page.context().close();
      }),
    );
  }
}

/** Signs in by the form and leaves something silenced behind, as a person would; returns the cookies. */
async function signIn(browser) {
  const page = await open(browser, VIEWS[0]);
  await page.goto(`${plan.base}/sign-in`);
  await page.fill("input[name=email]", plan.email);
  await page.fill("input[name=password]", plan.password);
  await page.click("main button");
  await page.waitForURL(`${plan.base}/`);
  for (const [reason, ends] of plan.silences ?? []) {
    await page.goto(`${plan.base}/silences`);
    await page.fill("input[name=key]", "issue:99:*");
    await page.fill("input[name=reason]", reason);
    await page.click("form[action='/silences'] button");
    await page.waitForURL(`${plan.base}/silences`);
    if (!ends) continue;
    await page.click("details.ask summary");
    await page.click("form[action$='/end'] button");
    await page.waitForURL(`${plan.base}/silences`);
  }
  const cookies = await page.context().storageState();
  await page.context().close();
  return cookies;
}

/** Follows links from the start on; every one must answer. Returns some pages of each kind. */
async function crawl(browser, storageState) {
  const page = await open(browser, VIEWS[0], storageState);
  await page.goto(`${plan.base}/account`);
  const get = (path) => page.evaluate(async (path) => {
    const answer = await fetch(path, { redirect: "manual", headers: { accept: "text/html" } });
    return { status: answer.status, type: answer.headers.get("content-type") ?? "", text: await answer.text() };
  }, path);
  const [seen, waiting, kinds] = [new Set(plan.start), [...plan.start], new Map()];
  while (waiting.length && seen.size <= LINKS_MAX) {
    const path = waiting.shift();
    const answer = await get(path);
    if (answer.status !== 200) complain(path, `a link leads there, and it answers ${answer.status || "with a redirect"}`);
    if (answer.status !== 200 || !answer.type.startsWith("text/html")) continue;
    const kind = kindOf(path);
    const pages = kinds.get(kind) ?? [];
    kinds.set(kind, pages);
    if (pages.length < (/-one/.test(kind) ? OF_A_KIND : 1)) pages.push({ path, status: 200, name: pages.length ? `${kind}-${pages.length + 1}` : kind });
    for (const [, raw] of answer.text.matchAll(/<a\b[^>]*?\shref="([^"]*)"/g)) {
      const href = raw.replaceAll("&amp;", "&").replaceAll("&#38;", "&");
      const url = new URL(href, plan.base + path);
      const next = url.pathname + url.search;
      if (url.origin === plan.base && !seen.has(next)) {
        seen.add(next);
        waiting.push(next);
      }
    }
  }
  await page.context().close();
  return { pages: [...kinds.values()].flat(), links: seen.size, kinds: kinds.size };
}

/** What opens over a page: the menu of a phone, the list of keys. */
async function lookAtLayers(browser, storageState) {
  const page = await open(browser, { width: 390, scheme: "light" }, storageState);
  await page.goto(plan.base);
  await page.click("[data-menu]");
  await page.screenshot({ path: `${plan.folder}/menu-390-light.png` });
  await page.keyboard.press("?");
  if (!(await page.locator("#keys").isVisible())) complain("keys", "? shows no list of keys");
  await page.screenshot({ path: `${plan.folder}/keys-390-light.png` });
  await page.context().close();
}

/** What somebody types on a live page stays there while the page hears of changes; afterwards it catches up. */
async function typeDuringAnOutage(browser, pages, storageState) {
  const incident = pages.find(({ path }) => /^\/incidents\/./.test(path));
  if (!incident) return complain("incident", "no page of one was found");
  const page = await open(browser, VIEWS[0], storageState);
  const loads = () => page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(location.pathname)).length);
  const change = () => page.evaluate(() => document.body.dispatchEvent(new CustomEvent("live:incidents")));
  const settled = () => page.waitForTimeout(500);
  await page.goto(plan.base + incident.path);
  const proof = page.locator("details.proof").first();
  await proof.locator("summary").click();
  await change();
  await settled();
  if (!(await loads())) complain("incident", "a change does not load it again");
  if ((await proof.getAttribute("open")) === null) complain("incident", "a change closes an opened message");
  const form = page.locator("details.ask", { has: page.locator("input[name=reason]") });
  await form.locator("summary").click();
  await form.locator("input[name=reason]").fill("known");
  const before = await loads();
  await change();
  await settled();
  if ((await loads()) !== before || (await form.locator("input[name=reason]").inputValue()) !== "known") complain("incident", "a change takes away what was typed");
  await form.locator("summary").click();
  await settled();
  if ((await loads()) === before) complain("incident", "it does not catch up when the form is closed");
  await page.context().close();
}

/** The one-use link signs a viewer in; what is not for viewers is refused on a page. */
async function asViewer(browser) {
  const page = await open(browser, VIEWS[0]);
  await page.goto(plan.viewer);
  await page.click("main button");
  // Without a password yet, the account's page comes first.
  await page.waitForURL(`${plan.base}/account`);
  const cookies = await page.context().storageState();
  await page.context().close();
  await lookAt(browser, [{ path: "/account", name: "account-viewer", status: 200 }, { path: "/", name: "overview-viewer", status: 200 }, { path: "/tasks", name: "forbidden", status: 403 }], cookies);
}

async function main() {
  mkdirSync(plan.folder, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      // The name that messages carry is this server.
      `--host-resolver-rules=MAP ${new URL(plan.base).host} ${plan.address}`,
    ],
  });
  const cookies = await signIn(browser);
  await lookAt(browser, plan.strangers ?? []);
  const { pages, links, kinds } = await crawl(browser, cookies);
  const missing = { path: "/nothing/here", name: "not-found", status: 404 };
  await lookAt(browser, plan.prefix ? pages : [...pages, missing], cookies);
  if (!plan.prefix) await lookAtLayers(browser, cookies);
  if (!plan.prefix) await typeDuringAnOutage(browser, pages, cookies);
  if (plan.viewer) await asViewer(browser);
  await browser.close();
  console.log(JSON.stringify({ kinds, links, complaints: complaints.slice(0, 200) }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
