/* The constants, as FireEdge exports them: by names that cannot be assigned to. */
(() => {
  const kvm = {
    backup: ['POWEROFF', 'RUNNING'],
    deploy: ['PENDING', 'HOLD', 'STOPPED', 'UNDEPLOYED', 'UNKNOWN'],
    'disk-attach-image': ['POWEROFF', 'RUNNING'],
    'disk-saveas': ['SUSPENDED', 'POWEROFF', 'RUNNING'],
    'disk-snapshot-create': ['SUSPENDED', 'POWEROFF', 'RUNNING'],
    'live-migrate': ['RUNNING', 'UNKNOWN'],
    lock: [],
    'nic-attach': ['POWEROFF', 'RUNNING'],
    'pci-attach': ['POWEROFF'],
    poweroff: ['RUNNING', 'UNKNOWN'],
    'poweroff-hard': ['RUNNING', 'SHUTDOWN', 'UNKNOWN'],
    reboot: ['RUNNING'],
    resize: ['PENDING', 'ACTIVE', 'POWEROFF', 'UNDEPLOYED'],
    restore: ['POWEROFF'],
    resume: ['STOPPED', 'SUSPENDED', 'POWEROFF', 'UNDEPLOYED', 'UNKNOWN'],
    'sg-attach': ['POWEROFF', 'RUNNING'],
    'snapshot-create': ['RUNNING'],
    suspend: ['RUNNING'],
    terminate: ['RUNNING', 'POWEROFF'],
    vnc: ['RUNNING', 'UNKNOWN'],
  };
  const HYPERVISORS = { kvm: 'kvm', lxc: 'lxc', dummy: 'dummy', qemu: 'qemu' };
  const VM_ACTIONS_BY_STATE = { undefined: {}, dummy: {}, kvm, lxc: {}, qemu: kvm };
  const constants = {};
  Object.defineProperty(constants, 'HYPERVISORS', { enumerable: true, get: () => HYPERVISORS });
  Object.defineProperty(constants, 'VM_ACTIONS_BY_STATE', { enumerable: true, get: () => VM_ACTIONS_BY_STATE });
  window.webpackChunkConstantsModule.push(constants);
})();
