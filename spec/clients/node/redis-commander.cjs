// A person's way through redis-commander: node redis-commander.cjs URL FOLDER. Pictures of it go into FOLDER.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { chromium } = require('playwright-core');

const [url, folder] = process.argv.slice(2);
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

async function main() {
  const browser = await chromium.launchPersistentContext(path.join(folder, 'profile'), {
    executablePath: process.env.CHROMIUM,
    headless: true,
    viewport: { width: 1100, height: 700 },
    args: ARGUMENTS,
  });
  try {
    await walk(browser.pages()[0] ?? (await browser.newPage()));
  } finally {
    await browser.close();
  }
}

async function walk(page) {
  page.setDefaultTimeout(5_000);
  page.on('dialog', (dialog) => dialog.accept());
  const picture = (name) => page.screenshot({ path: path.join(folder, `${name}.png`) });
  const key = (text) => page.locator('.jstree-anchor', { hasText: new RegExp(`^\\s*${text}`) });
  const body = page.locator('#body');
  const shows = (text) => body.getByText(text, { exact: true }).first().waitFor();

  await page.goto(url);
  for (const name of ['board', 'greeting', 'log', 'queue', 'tags', 'user']) await key(name).waitFor();

  // Each type has its own view, and names the type.
  const views = { queue: ['List', 'b'], tags: ['Set', 'x'], board: ['Sorted Set', '2.5'], log: ['Stream', 'began'] };
  for (const [name, [type, inside]] of Object.entries(views)) {
    await key(name).click();
    await shows(type);
    await shows(inside);
    await picture(name);
  }
  await page.locator('.jstree-node', { has: page.locator('> .jstree-anchor', { hasText: 'user:' }) }).locator('> .jstree-ocl').click();
  await page.locator('[id$=":user:1_anchor"]').click();
  await shows('Hash');
  await shows('Ana');
  await picture('user');

  // A value is edited and saved; seen again from the tree it is the new one.
  await key('greeting').click();
  await shows('string');
  assert.equal(await page.locator('#stringValue').inputValue(), 'hello');
  await page.locator('#stringValue').fill('good evening');
  const posted = (response) => response.request().method() === 'POST' && response.url().includes('greeting');
  const [saved] = await Promise.all([page.waitForResponse(posted), body.locator('#saveKeyButton').click()]);
  assert.equal(saved.status(), 200);
  await key('queue').click();
  await shows('List');
  await key('greeting').click();
  await shows('string');
  assert.equal(await page.locator('#stringValue').inputValue(), 'good evening');
  await picture('greeting');

  // The command line at the foot.
  const cli = page.locator('#_readline_cliForm input');
  const output = page.locator('#commandLineOutput');
  for (const [line, answer] of [
    ['incrby counter 42', '42'],
    ['hget user:1 age', '30'],
    ['zrange board 0 -1 withscores', '2.5'],
    ['nosuch', 'unknown command'],
  ]) {
    await page.locator('#commandLine').click();
    await cli.fill(line);
    await cli.press('Enter');
    await output.getByText(answer).last().waitFor();
  }
  await picture('cli');

  // The root of the tree is the server itself.
  await key('local').click();
  await shows('Redis version');
  await picture('server');
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
