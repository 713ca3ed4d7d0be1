// The frame around every page: skip link, navigation with counts, theme switch, offline banner.
import type { ComponentChildren } from 'preact';

import { down, firing, offline } from './counts';
import { href, path } from './router';
import { nextTheme, theme } from './theme';

const links: [string, string][] = [
  ['/query', 'Query'],
  ['/alerts', 'Alerts'],
  ['/rules', 'Rules'],
  ['/targets', 'Targets'],
  ['/queries', 'Queries'],
];

function Count({ to }: { to: string }) {
  const count = to === '/alerts' ? firing.value : to === '/targets' ? down.value : 0;
  if (count === 0) return null;
  const words = to === '/alerts' ? `${count} firing` : `${count} down`;
  return (
    <span class="nav-count" title={words}>
      {count}
      <span class="visually-hidden"> {words.split(' ')[1]}</span>
    </span>
  );
}

export function Shell({ children }: { children: ComponentChildren }) {
  const here = path.value === '/graph' ? '/query' : path.value;
  return (
    <>
      <a class="skip" href="#main" data-external>
        Skip to content
      </a>
      <header class="bar">
        <a class="brand" href={href('/query')}>
          Tocsin
        </a>
        <nav aria-label="Pages">
          {links.map(([to, word]) => (
            <a key={to} href={href(to)} aria-current={here === to ? 'page' : undefined}>
              {word}
              <Count to={to} />
            </a>
          ))}
        </nav>
        <button type="button" class="quiet" onClick={nextTheme} title="Switch between system, light and dark">
          Theme: {theme.value}
        </button>
      </header>
      {offline.value && (
        <p class="banner" role="status">
          The server does not answer. What is shown may be old; trying again.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <footer>
        <a href={href('/assets/licenses.txt')} data-external>
          Licences of the parts of these pages
        </a>
      </footer>
    </>
  );
}
