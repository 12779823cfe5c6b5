/*
 * one-xcp for OpenNebula Sunstone: makes XCP a hypervisor whose VMs can be operated.
 *
 * FireEdge 7 loads this file beside its own modules (remotes-config.yaml), in any order, before the GUI
 * starts. It changes no file of the GUI: when the GUI takes FireEdge's constants out of their module, XCP is
 * added to the two tables that lack it. Whatever it does not know it leaves alone, with a warning on the
 * browser's console. An error that left this file would stop the whole GUI: so none does.
 */
(function () {
  'use strict';

  /* >>> xcpActions: install.sh puts this function into the GUI of FireEdge 6 as well >>> */
  function xcpActions(kvm) {
    /* What the GUI may offer for a VM on an XCP host; in which states is as for KVM. Names differ from
     * release to release: all are here. Left out are those that the drivers do not have, or not for every
     * datastore: save-as, templates and apps made of a VM, backups. */
    const supported = [
      'deploy', 'hold', 'release', 'recover', 'resched', 'unresched', 'lock', 'unlock',
      'rename', 'chmod', 'chown', 'chgrp',
      'sched-add', 'sched-update', 'sched-delete', 'charter_create',
      'sched_action_create', 'sched_action_update', 'sched_action_delete',
      'terminate', 'terminate-hard', 'terminate_hard',
      'poweroff', 'poweroff-hard', 'poweroff_hard',
      'reboot', 'reboot-hard', 'reboot_hard',
      'undeploy', 'undeploy-hard', 'undeploy_hard',
      'suspend', 'stop', 'resume',
      'migrate', 'live-migrate', 'migrate_live',
      'poweroff-migrate', 'migrate_poff', 'poweroff-hard-migrate', 'migrate_poff_hard',
      'resize', 'resize_capacity', 'update_configuration',
      'disk-attach', 'disk-attach-image', 'disk-attach-volatile', 'attach_disk',
      'disk-detach', 'detach_disk', 'disk-resize', 'resize_disk',
      'nic-attach', 'nic-attach-alias', 'attach_nic', 'nic-detach', 'detach_nic',
      'nic-update', 'sg-attach', 'sg-detach',
      'pci-attach', 'pci-detach',
      'snapshot-create', 'snapshot-revert', 'snapshot-delete',
      'snapshot_create', 'snapshot_revert', 'snapshot_delete',
      'disk-snapshot-rename', 'disk-snapshot-revert', 'disk-snapshot-delete',
      'snapshot-disk-rename', 'snapshot-disk-revert', 'snapshot-disk-delete',
      'snapshot_disk_rename', 'snapshot_disk_revert', 'snapshot_disk_delete',
      'vnc', 'ssh', 'rdp', 'file_rdp', 'file_virt_viewer'
    ];
    /* Taken of a running VM: there OpenNebula refuses it for disks that are files. At other times it would
     * snapshot the file, which may be older than the data in XAPI. */
    const live = ['disk-snapshot-create', 'snapshot-disk-create', 'snapshot_disk_create'];
    const actions = {};
    for (const action of supported) {
      if (Array.isArray(kvm[action])) actions[action] = [...kvm[action]];
    }
    /* Never an empty list: that would be every state. */
    for (const action of live) {
      if (Array.isArray(kvm[action]) && kvm[action].includes('RUNNING')) actions[action] = ['RUNNING'];
    }
    return actions;
  }
  /* <<< xcpActions <<< */

  const MODULE = 'ConstantsModule';
  const CHUNKS = 'webpackChunkConstantsModule';
  const PATIENCE_MS = 30000;

  let wrapper;
  let added = false;
  let warned = false;

  function warn(why) {
    if (!warned) console.warn(`one-xcp: ${why}. The VMs of XCP hosts cannot be operated in this Sunstone.`);
    warned = true;
  }

  function isTable(value) {
    return value !== null && typeof value === 'object' && Object.isExtensible(value);
  }

  /* Adds XCP to FireEdge's constants: to both tables, or to none. */
  function extend({ HYPERVISORS: hypervisors, VM_ACTIONS_BY_STATE: byState }) {
    if (!isTable(hypervisors) || !isTable(byState) || hypervisors.kvm !== 'kvm' || !byState.kvm) {
      warn('this FireEdge keeps its hypervisors in another way');
      return;
    }
    if (!hypervisors.xcp && !byState.xcp) {
      const actions = xcpActions(byState.kvm);
      if (!actions.poweroff || !actions.terminate) {
        warn('this FireEdge names its actions in another way');
        return;
      }
      byState.xcp = actions;
      hypervisors.xcp = 'xcp';
    }
    added = true;
  }

  function extended(constants) {
    try {
      if (typeof constants.then === 'function') constants.then(extended, () => {});
      else extend(constants);
    } catch (error) {
      warn(`adding XCP failed: ${error}`);
    }
    return constants;
  }

  /* What a container's get answers, such that what it leads to is extended before anybody has it. */
  function watched(answer) {
    const watchedFactory = (factory) =>
      typeof factory === 'function' ? (...args) => extended(factory(...args)) : factory;
    return typeof answer?.then === 'function' ? answer.then(watchedFactory) : watchedFactory(answer);
  }

  /* Puts a container that extends in the place of FireEdge's, once that one is there. */
  function wrap() {
    const container = window[MODULE];
    if (container === undefined || container === wrapper) return;
    if (typeof container?.get !== 'function') {
      warn(`the ${MODULE} of this FireEdge is not a module container`);
      return;
    }
    const get = (name, ...scope) => {
      const answer = container.get(name, ...scope);
      return name === '.' ? watched(answer) : answer;
    };
    const extending = Object.create(container, { get: { value: get } });
    window[MODULE] = extending;
    wrapper = extending;
    /* Parts of it are loaded: so it was initialised, and asked, before we came. Only then may we ask, too. */
    if (window[CHUNKS]?.length > 0) {
      get('.').then((factory) => factory()).catch(() => {});
    }
  }

  function afterScript() {
    try {
      wrap();
    } catch (error) {
      warn(`the ${MODULE} of this FireEdge cannot be extended: ${error}`);
    }
  }

  /* Loaded again, as the GUI loads all modules again if one fails: the first one is still at work. */
  if (window.oneXcp) return;
  window.oneXcp = true;

  /* In the capture phase, so before anybody who waits for that script hears of it. */
  document.addEventListener('load', afterScript, true);
  afterScript();
  setTimeout(() => {
    if (!added) warn(wrapper ? `this FireEdge does not ask its ${MODULE}` : `this FireEdge has no ${MODULE}`);
  }, PATIENCE_MS);
})();
