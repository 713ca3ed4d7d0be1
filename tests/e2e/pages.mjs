// node pages.mjs URL WORK SHOTS: opens every page of a running Tocsin in Chromium (light, dark, phone), fails on console
// errors, policy violations, axe findings and missing content, and leaves screenshots in SHOTS. WORK holds node_modules.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [url, work, shots] = process.argv.slice(2);
const require = createRequire(join(work, 'package.json'));
const { chromium } = require('playwright-core');
const axePath = require.resolve('axe-core/axe.min.js');

const query = (expr, tab) => `/query?g0.expr=${encodeURIComponent(expr)}&g0.tab=${tab}&g0.range_input=1m`;
const pages = [
  ['query-empty', '/query', 'press Enter'],
  ['query-table', query('up', 'table'), 'up'],
  ['query-graph', query('sum by (mode) (rate(node_cpu_seconds_total[10s]))', 'graph'), 'idle'],
  ['query-evil', query('evil_total', 'table'), '<img src=x onerror=alert(1)>'],
  ['query-evil-graph', query('evil_total', 'graph'), '<img src=x onerror=alert(1)>'],
  ['query-explain', query('sum by (mode) (rate(node_cpu_seconds_total[10s]))', 'explain'), 'ms of CPU'],
  ['query-error', query('sum(', 'table'), 'parse error'],
  ['targets', '/targets', '503'],
  ['alerts', '/alerts', 'Down'],
  ['rules', '/rules', 'job:up:sum'],
  ['queries', '/queries', 'Since the start'],
];
const looks = [
  ['light', 'light', 1280, 800],
  ['dark', 'dark', 1280, 800],
  ['phone', 'light', 390, 844],
];

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const problems = [];
try {
  for (const [look, scheme, width, height] of looks) {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, bypassCSP: false });
    const lax = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, bypassCSP: true });
    for (const [name, path, text] of pages) {
      const page = await context.newPage();
      const where = `${name} (${look})`;
      const expectedFailure = name === 'query-error';
      page.on('console', (m) => {
        if (m.type() === 'error' && !(expectedFailure && /status of 400/.test(m.text()))) problems.push(`${where}: console: ${m.text()}`);
      });
      page.on('pageerror', (e) => problems.push(`${where}: ${e.message}`));
      page.on('dialog', (d) => {
        problems.push(`${where}: script from data ran`);
        void d.dismiss();
      });
      await page.goto(url + path, { waitUntil: 'load' });
      try {
        await page.waitForFunction((t) => document.body.innerText.includes(t), text, { timeout: 10_000 });
      } catch {
        problems.push(`${where}: does not show ${JSON.stringify(text)}`);
      }
      if (name === 'query-graph') {
        // The legend is there before the canvas is painted: wait for the pixels.
        const painted = () => {
          const canvas = document.querySelector('canvas');
          if (!canvas) return false;
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let n = 0;
          for (let i = 3; i < data.length; i += 4) if (data[i] > 0) n++;
          return n >= 500;
        };
        try {
          await page.waitForFunction(painted, null, { timeout: 10_000 });
        } catch {
          problems.push(`${where}: the graph is empty`);
        }
      }
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (sideways > 1) problems.push(`${where}: scrolls sideways by ${sideways} px`);
      await page.screenshot({ path: join(shots, `${name}-${look}.png`), fullPage: true });
      // axe cannot be loaded under the page's own policy, which is as it should be: the second context bypasses it.
      const second = await lax.newPage();
      await second.goto(url + path, { waitUntil: 'load' });
      await second.waitForFunction((t) => document.body.innerText.includes(t), text, { timeout: 10_000 });
      await second.addScriptTag({ path: axePath });
      const findings = await second.evaluate(async () => {
        const result = await window.axe.run(document, { resultTypes: ['violations'] });
        return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`);
      });
      await second.close();
      for (const finding of findings) problems.push(`${where}: axe ${finding}`);
      await page.close();
    }
    await context.close();
    await lax.close();
  }

  // Typing a query and pressing Enter, the way a person does, and coming back by the browser's Back.
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  await page.goto(url + '/query', { waitUntil: 'load' });
  await page.locator('.cm-content').click();
  await page.keyboard.type('count(up)');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => location.search.includes('count%28up%29') || location.search.includes('count(up)'), null, { timeout: 5000 });
  await page.waitForFunction(() => document.querySelector('.value-cell')?.textContent === '3', null, { timeout: 5000 });
  await page.goBack();
  await page.waitForFunction(() => document.body.innerText.includes('press Enter'), null, { timeout: 5000 });
} catch (error) {
  problems.push(String(error));
} finally {
  await browser.close();
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log('all pages clean');
