// The address is the state: `path` and `search` follow the browser's history, `navigate` changes both. Links are plain
// <a href>; a click inside the pages is caught here so that nothing reloads.
import { signal } from '@preact/signals';

const basePath = new URL(document.baseURI).pathname;

function currentPath(): string {
  const path = location.pathname;
  return '/' + (path.startsWith(basePath) ? path.slice(basePath.length) : path.replace(/^\//, ''));
}

export const path = signal(currentPath());
export const search = signal(location.search);

// "/targets" → the address below the external path.
export function href(to: string): string {
  return basePath + to.replace(/^\//, '');
}

export function navigate(to: string, replace = false): void {
  const url = href(to);
  if (url === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  path.value = currentPath();
  search.value = location.search;
}

export function listen(): void {
  addEventListener('popstate', () => {
    path.value = currentPath();
    search.value = location.search;
  });
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (link.dataset['external'] !== undefined || !link.pathname.startsWith(basePath)) return;
    event.preventDefault();
    navigate('/' + link.pathname.slice(basePath.length) + link.search);
  });
}
