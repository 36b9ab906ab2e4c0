/** Threads share memory only in an isolated page. Where the host does not send the headers for that, a service worker adds them. */
export const TRIED = "switchyard-isolation";
const PATIENCE = 4000;

/**
 * Resolves when the page may go on: at once where it is isolated or cannot be; otherwise the page is loaded again under the service
 * worker, once.
 */
export async function isolated(base: string): Promise<void> {
  const tried = sessionStorage.getItem(TRIED) !== null;
  if (crossOriginIsolated || tried || !isSecureContext || !("serviceWorker" in navigator)) return;
  sessionStorage.setItem(TRIED, "1");
  const ready = await Promise.race([registered(base).catch(() => false), new Promise<false>((no) => setTimeout(no, PATIENCE, false))]);
  if (!ready) return;
  location.reload();
  await new Promise(() => {}); // nothing begins in a page that is about to go
}

async function registered(base: string): Promise<true> {
  // The whole site is its scope: the page's worker stands in another folder, and an isolated page loads none without the headers.
  await navigator.serviceWorker.register(`${base}isolate.js`, { scope: base });
  await navigator.serviceWorker.ready;
  return true;
}
