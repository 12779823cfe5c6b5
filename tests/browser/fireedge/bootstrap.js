/* Starts the GUI the way FireEdge 7 does: loads every module of the configuration by a script of its own, all
 * at once; begins again with all of them if one fails; and only then starts the client. */
(() => {
  const load = (src) =>
    new Promise((resolve, reject) => {
      const script = document.createElement('script');
      script.src = src;
      script.async = true;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${src}`));
      window.addEventListener('error', (event) => reject(new Error(event.message)), { once: true });
      document.head.appendChild(script);
    });

  const bootstrap = async (attempts) => {
    try {
      await Promise.all(window.modules.map((name) => load(`/fireedge/modules/${name}/remoteEntry.js`)));
    } catch (error) {
      if (attempts > 1) return bootstrap(attempts - 1);
      document.title = `blocked: ${error.message}`;
      return;
    }
    await load('/client.js');
  };
  bootstrap(2);
})();
