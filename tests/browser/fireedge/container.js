/* A module container as webpack makes it: `get` and `init` cannot be replaced, what it exposes comes from a
 * chunk by another script, and a second share scope is an error. */
var ConstantsModule;
(() => {
  const entry = document.currentScript.src;
  const chunks = (window.webpackChunkConstantsModule = window.webpackChunkConstantsModule || []);
  let scope;
  let module;
  const init = (shareScope) => {
    if (scope && scope !== shareScope) throw new Error('initialized with a different share scope');
    scope = shareScope;
  };
  const chunk = () =>
    new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = entry.replace('remoteEntry.js', 'chunk.js');
      script.onload = () => resolve(chunks.at(-1));
      script.onerror = reject;
      document.head.appendChild(script);
    });
  const get = async (name) => {
    if (name !== '.') throw new Error(`Module "${name}" does not exist in container.`);
    if (!scope) init({});
    const constants = await (module ??= chunk());
    return () => constants;
  };
  const container = {};
  Object.defineProperty(container, 'get', { enumerable: true, get: () => get });
  Object.defineProperty(container, 'init', { enumerable: true, get: () => init });
  ConstantsModule = container;
})();
