// Shell and routes only. Each page is a chunk of its own, loaded when it is first shown.
import './app/shell.css';

import { type ComponentType, render } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { startCounts } from './app/counts';
import { href, listen, navigate, path } from './app/router';
import { Shell } from './app/shell';
import { startTheme } from './app/theme';

const pages: Record<string, () => Promise<ComponentType>> = {
  '/query': () => import('./pages/query').then((m) => m.QueryPage),
  '/graph': () => import('./pages/query').then((m) => m.QueryPage),
  '/queries': () => import('./pages/queries').then((m) => m.QueriesPage),
  '/targets': () => import('./pages/targets').then((m) => m.TargetsPage),
  '/alerts': () => import('./pages/alerts').then((m) => m.AlertsPage),
  '/rules': () => import('./pages/rules').then((m) => m.RulesPage),
};

function App() {
  const [page, setPage] = useState<{ path: string; view: ComponentType } | null>(null);
  const [failed, setFailed] = useState('');
  const here = path.value;
  useEffect(() => {
    if (here === '/') {
      navigate('/query', true);
      return;
    }
    let current = true;
    pages[here]?.()
      .then((view) => current && setPage({ path: here, view }))
      .catch(() => current && setFailed('This page could not be loaded. Reload to get the current version.'));
    return () => {
      current = false;
    };
  }, [here]);
  if (failed !== '') {
    return (
      <Shell>
        <p class="error" role="alert">
          {failed}
        </p>
      </Shell>
    );
  }
  if (here !== '/' && !pages[here]) {
    return (
      <Shell>
        <h1>No such page</h1>
        <p>
          There is nothing at {here}. <a href={href('/query')}>Query</a>
        </p>
      </Shell>
    );
  }
  const View = page?.path === here ? page.view : null;
  return <Shell>{View && <View />}</Shell>;
}

startTheme();
listen();
startCounts();
const root = document.getElementById('app');
if (root) render(<App />, root);
