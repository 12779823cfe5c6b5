/* What of the GUI goes by FireEdge's constants: the wizard that offers hypervisors, from a list made once, and
 * the buttons for the actions on a VM, which look their states up each time. */
(async () => {
  const constants = window.ConstantsModule ?? window.CoreModule;
  await constants.init(window.shareScope);
  const { HYPERVISORS, VM_ACTIONS_BY_STATE } = (await constants.get('.'))();

  const wizard = document.getElementById('wizard');
  for (const hypervisor of Object.values(HYPERVISORS)) wizard.add(new Option(hypervisor));

  window.isAvailable = (hypervisor, action, state) => {
    const states = VM_ACTIONS_BY_STATE[hypervisor]?.[action];
    return states?.length === 0 || Boolean(states?.includes(state));
  };
  window.actionsOf = (hypervisor) => structuredClone(VM_ACTIONS_BY_STATE[hypervisor]);
  document.title = 'Sunstone';
})();
