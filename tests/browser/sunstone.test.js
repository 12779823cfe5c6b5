// XcpModule in a real browser, in a page that loads it beside FireEdge's modules.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { open, startBrowser, stopBrowser } from './gui.js';

before(startBrowser);
after(stopBrowser);

const CHUNK = '/fireedge/modules/ConstantsModule/chunk.js';
const CONTAINER = '/fireedge/modules/ConstantsModule/remoteEntry.js';
const STOCK = ['kvm', 'lxc', 'dummy', 'qemu'];

/** A chunk that exposes these constants. */
const chunk = (constants) => `window.webpackChunkConstantsModule.push(${constants})`;

async function xcpIsOffered(gui) {
  assert.equal(await gui.title(), 'Sunstone');
  assert.deepEqual(await gui.offered(), [...STOCK, 'xcp']);
  assert.equal(await gui.isAvailable('xcp', 'poweroff', 'RUNNING'), true);
  assert.deepEqual([gui.warnings, gui.errors], [[], []]);
}

for (const late of ['XcpModule', 'ConstantsModule']) {
  test(`XCP is offered if ${late} comes last`, async (t) => {
    await xcpIsOffered(await open(t, { late: [late] }));
  });
}

test('what the drivers can do is as for KVM, the rest is greyed out', async (t) => {
  const gui = await open(t);
  const kvm = await gui.actionsOf('kvm');
  const without = ['backup', 'restore', 'disk-saveas'];
  for (const action of without) {
    assert.ok(kvm[action], action);
    delete kvm[action];
  }
  kvm['disk-snapshot-create'] = ['RUNNING'];
  assert.deepEqual(await gui.actionsOf('xcp'), kvm);
  assert.equal(await gui.isAvailable('xcp', 'vnc', 'RUNNING'), true);
  assert.equal(await gui.isAvailable('xcp', 'vnc', 'POWEROFF'), false);
  assert.equal(await gui.isAvailable('xcp', 'lock', 'RUNNING'), true);
  assert.equal(await gui.isAvailable('xcp', 'disk-saveas', 'RUNNING'), false);
});

test('a disk snapshot is of running VMs alone, and never of all for want of that state', async (t) => {
  const gui = await open(t);
  assert.equal(await gui.isAvailable('xcp', 'disk-snapshot-create', 'RUNNING'), true);
  assert.equal(await gui.isAvailable('xcp', 'disk-snapshot-create', 'POWEROFF'), false);
  const kvm = "{ poweroff: ['RUNNING'], terminate: ['RUNNING'], 'disk-snapshot-create': ['POWEROFF'] }";
  const constants = `{ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { kvm: ${kvm} } }`;
  const other = await open(t, { changed: { [CHUNK]: chunk(constants) } });
  assert.deepEqual(await other.actionsOf('xcp'), { poweroff: ['RUNNING'], terminate: ['RUNNING'] });
});

test('KVM keeps what it had', async (t) => {
  const stock = await open(t, { modules: ['UtilsModule', 'ConstantsModule'] });
  const gui = await open(t);
  assert.deepEqual(await stock.offered(), STOCK);
  for (const hypervisor of STOCK) {
    assert.deepEqual(await gui.actionsOf(hypervisor), await stock.actionsOf(hypervisor), hypervisor);
  }
});

test('a container already initialised and in use', async (t) => {
  const gui = await open(t, { modules: ['UtilsModule', 'ConstantsModule'] });
  assert.equal(await gui.isAvailable('xcp', 'poweroff', 'RUNNING'), false);
  await gui.tab.addScriptTag({ url: '/fireedge/modules/XcpModule/remoteEntry.js' });
  await gui.tab.waitForFunction(() => window.isAvailable('xcp', 'poweroff', 'RUNNING'));
  // A share scope of its own would have been refused, and the scope's owner is still welcome.
  await gui.tab.evaluate(() => window.ConstantsModule.init(window.shareScope));
  assert.deepEqual([gui.warnings, gui.errors], [[], []]);
});

test('a container that nobody has initialised yet is not asked by us', async (t) => {
  const gui = await open(t, { changed: { '/client.js': 'document.title = "idle"' } });
  await gui.tab.evaluate(() => window.ConstantsModule.init(window.shareScope));
  assert.equal(await gui.tab.evaluate(() => window.webpackChunkConstantsModule.length), 0);
});

test('all modules loaded a second time, after one failed', async (t) => {
  for (const late of [[], ['XcpModule'], ['ConstantsModule']]) {
    const flaky = ['/fireedge/modules/UtilsModule/remoteEntry.js'];
    const gui = await open(t, { flaky, late });
    assert.deepEqual(await gui.offered(), [...STOCK, 'xcp']);
    assert.deepEqual(gui.warnings, []);
  }
});

test('a FireEdge without that container starts, and the console says what is missing', async (t) => {
  const core = `var CoreModule = {
    init() {},
    get: async () => () => ({ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { kvm: {} } }),
  };`;
  const changed = { '/fireedge/modules/CoreModule/remoteEntry.js': core };
  const gui = await open(t, { modules: ['CoreModule', 'XcpModule'], changed });
  assert.deepEqual([await gui.title(), await gui.offered()], ['Sunstone', ['kvm']]);
  await gui.tab.clock.fastForward(31000);
  assert.equal(gui.warnings.length, 1);
  assert.match(gui.warnings[0], /^one-xcp: this FireEdge has no ConstantsModule\. /);
  assert.deepEqual(gui.errors, []);
});

const KVM = "{ poweroff: ['RUNNING'], terminate: ['RUNNING'] }";
const SHAPES = [
  ['a frozen list of hypervisors', `{ HYPERVISORS: Object.freeze({ kvm: 'kvm' }), VM_ACTIONS_BY_STATE: { kvm: ${KVM} } }`],
  ['a frozen table of actions', `{ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: Object.freeze({ kvm: ${KVM} }) }`],
  ['actions by state alone', `{ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: ${KVM} }`],
  ['hypervisors as objects', `{ HYPERVISORS: { kvm: { id: 'kvm' } }, VM_ACTIONS_BY_STATE: { kvm: ${KVM} } }`],
  ['hypervisors as a list', `{ HYPERVISORS: ['kvm'], VM_ACTIONS_BY_STATE: { kvm: ${KVM} } }`],
  ['other names of actions', "{ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { kvm: { powerOff: ['RUNNING'] } } }"],
  ['a table that throws', "{ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { get kvm() { throw Error('no'); } } }"],
];
for (const [shape, constants] of SHAPES) {
  test(`${shape}: left as it is, with a warning`, async (t) => {
    const gui = await open(t, { changed: { [CHUNK]: chunk(constants) } });
    assert.deepEqual([await gui.title(), gui.errors], ['Sunstone', []]);
    const left = await gui.tab.evaluate(() => [...document.querySelectorAll('#wizard option')].length);
    assert.equal(left, 1);
    assert.equal(await gui.isAvailable('xcp', 'poweroff', 'RUNNING'), false);
    assert.equal(gui.warnings.length, 1);
    assert.match(gui.warnings[0], /^one-xcp: .* cannot be operated in this Sunstone\.$/);
  });
}

const CONTAINERS = [
  ['a name that is no container', "var ConstantsModule = 'moved';"],
  ['a container without get', 'var ConstantsModule = { load: async () => ({}) };'],
  ['a container that cannot be replaced', "Object.defineProperty(window, 'ConstantsModule', { value: { get() {} } });"],
];
for (const [shape, container] of CONTAINERS) {
  test(`${shape}: no error, a warning`, async (t) => {
    const idle = 'document.title = "started"';
    const gui = await open(t, { changed: { [CONTAINER]: container, '/client.js': idle } });
    assert.deepEqual([await gui.title(), gui.errors], ['started', []]);
    assert.equal(gui.warnings.length, 1);
    assert.match(gui.warnings[0], /^one-xcp: the ConstantsModule of this FireEdge /);
  });
}

test('a container that answers without a promise, as older webpacks may', async (t) => {
  const container = `var ConstantsModule = { init() {}, get: () => () => window.constants };`;
  const constants = "window.constants = { HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { kvm: " + KVM + ' } };';
  const gui = await open(t, { changed: { [CONTAINER]: container + constants } });
  assert.deepEqual(await gui.offered(), ['kvm', 'xcp']);
});

test('constants that come as a promise', async (t) => {
  const constants = `Promise.resolve({ HYPERVISORS: { kvm: 'kvm' }, VM_ACTIONS_BY_STATE: { kvm: ${KVM} } })`;
  const container = `var ConstantsModule = { init() {}, get: async () => () => ${constants} };`;
  const client = `(async () => {
    const { HYPERVISORS } = await (await window.ConstantsModule.get('.'))();
    document.title = Object.keys(HYPERVISORS).join();
  })();`;
  const gui = await open(t, { changed: { [CONTAINER]: container, '/client.js': client } });
  assert.equal(await gui.title(), 'kvm,xcp');
});

test('a container that fails fails for the GUI as without us', async (t) => {
  const client = `window.ConstantsModule.init(window.shareScope);
    window.ConstantsModule.get('./gone').catch((error) => { document.title = error.message; });`;
  const gui = await open(t, { changed: { '/client.js': client } });
  assert.equal(await gui.title(), 'Module "./gone" does not exist in container.');
});

test('a FireEdge that knows XCP by itself keeps its own', async (t) => {
  const constants = `{
    HYPERVISORS: { kvm: 'kvm', xcp: 'xcp' },
    VM_ACTIONS_BY_STATE: { kvm: ${KVM}, xcp: { reboot: ['RUNNING'] } },
  }`;
  const gui = await open(t, { changed: { [CHUNK]: chunk(constants) } });
  assert.deepEqual(await gui.actionsOf('xcp'), { reboot: ['RUNNING'] });
  assert.deepEqual(gui.warnings, []);
});

test('an entry without its file blocks the whole GUI: why install.sh puts the file first', async (t) => {
  const gui = await open(t, { changed: { '/fireedge/modules/XcpModule/remoteEntry.js': null } });
  assert.match(await gui.title(), /^blocked: /);
});
