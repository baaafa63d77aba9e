// Serves a page with @sentry/browser on an origin of its own and clicks in it with headless Chromium.
const http = require("node:http");
const esbuild = require("esbuild");
const { chromium } = require("playwright-core");

const SCRIPT = `${__dirname}/browser_page.js`;
const PAGE = `<!doctype html><title>shop</title><button id="pay">Pay</button>
<script>window.DSN = ${JSON.stringify(process.env.SENTRY_DSN)}</script><script src="/static/shop.js"></script>`;

async function main() {
  const bundle = await esbuild.build({
    entryPoints: [SCRIPT],
    bundle: true,
    format: "iife",
    write: false,
    // The page's packages are found where they were installed, not beside this file.
    nodePaths: [process.env.NODE_PATH],
  });
  const server = http.createServer((request, response) => {
    const isScript = request.url === "/static/shop.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? bundle.outputFiles[0].text : PAGE);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const page = await (await browser.newContext()).newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/cart?coupon=spring`);
  await page.click("#pay");
  await page.waitForFunction(() => window.sent.length > 0, null, { timeout: 20_000 });
  if (!(await page.evaluate(() => window.flushed()))) throw new Error("the SDK could not send everything");
  const sent = await page.evaluate(() => window.sent);
  await browser.close();
  server.close();
  console.log(JSON.stringify({ event_ids: sent }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
