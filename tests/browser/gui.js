// A FireEdge to look at in a browser: its pages from fireedge/, the module of one-xcp from the source tree.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const file = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const OURS = file('../../sunstone/XcpModule/remoteEntry.js');

const ALL = ['UtilsModule', 'ConstantsModule', 'XcpModule'];

const page = (modules) => `<!DOCTYPE html>
<title>loading</title>
<select id="wizard"></select>
<script>
  window.shareScope = {};
  window.modules = ${JSON.stringify(modules)};
</script>
<script src="/bootstrap.js"></script>`;

/** What is served, by path; `null` in `changed` takes a path away. */
const pages = (modules, changed) => ({
  '/fireedge/sunstone': page(modules),
  '/bootstrap.js': file('fireedge/bootstrap.js'),
  '/client.js': file('fireedge/client.js'),
  '/fireedge/modules/ConstantsModule/remoteEntry.js': file('fireedge/container.js'),
  '/fireedge/modules/ConstantsModule/chunk.js': file('fireedge/chunk.js'),
  '/fireedge/modules/UtilsModule/remoteEntry.js': 'var UtilsModule = {};',
  '/fireedge/modules/XcpModule/remoteEntry.js': OURS,
  ...changed,
});

let browser;

export async function startBrowser() {
  const args = process.getuid() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}

export const stopBrowser = () => browser.close();

/**
 * Opens the GUI and waits until it has started, or has given up.
 *
 * `modules` are those of the configuration, `changed` pages in the place of FireEdge's own, `late` the modules
 * whose script comes only after the others have run, `flaky` the paths that cannot be had the first time.
 */
export async function open(test, { modules = ALL, changed = {}, late = [], flaky = [] } = {}) {
  const served = pages(modules, changed);
  const failing = new Set(flaky);
  const server = createServer(async ({ url }, response) => {
    // FireEdge sends whoever asks for what it does not have to its first page.
    if (served[url] === undefined || served[url] === null) {
      return response.writeHead(302, { Location: '/fireedge/sunstone' }).end();
    }
    if (failing.delete(url)) return response.writeHead(503).end();
    if (late.some((name) => url === `/fireedge/modules/${name}/remoteEntry.js`)) await othersHaveRun();
    const type = url.endsWith('.js') ? 'text/javascript' : 'text/html';
    return response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(served[url]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

  const tab = await browser.newPage();
  const warnings = [];
  const errors = [];
  tab.on('console', (message) => message.type() === 'warning' && warnings.push(message.text()));
  tab.on('pageerror', (error) => errors.push(String(error)));
  // bootstrap.js and the modules that are in time.
  const inTime = 1 + modules.length - late.length;
  const othersHaveRun = () => tab.waitForFunction((count) => window.ran >= count, inTime);
  test.after(async () => {
    await tab.close();
    server.close();
  });

  await tab.clock.install();
  await tab.addInitScript(() => {
    window.ran = 0;
    document.addEventListener('load', () => (window.ran += 1), true);
  });
  await tab.goto(`http://127.0.0.1:${server.address().port}/fireedge/sunstone`);
  await tab.waitForFunction(() => document.title !== 'loading');
  return {
    tab,
    warnings,
    errors,
    title: () => tab.title(),
    offered: () => tab.locator('#wizard option').allTextContents(),
    isAvailable: (...of) => tab.evaluate((of) => window.isAvailable(...of), of),
    actionsOf: (hypervisor) => tab.evaluate((of) => window.actionsOf(of), hypervisor),
  };
}
