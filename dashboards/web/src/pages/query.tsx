// The query page: one or more panels, each an expression with a table and a graph. The address holds everything that is
// needed to show the same thing to somebody else.
import './lists.css';
import './query.css';

import { navigate, search } from '../app/router';
import { defaultPanel, readPanels, writePanels, type Panel } from '../model/panel';
import { QueryPanel } from './query_panel';

const panelsMax = 20;

export function QueryPage() {
  const panels = readPanels(search.value).slice(0, panelsMax);
  const write = (next: Panel[], replace = false) => navigate(`/query?${writePanels(next)}`, replace);
  return (
    <>
      <h1 class="visually-hidden">Query</h1>
      {panels.map((panel, i) => (
        <QueryPanel
          key={i}
          panel={panel}
          onChange={(next) => write(panels.map((old, k) => (k === i ? next : old)))}
          onRemove={panels.length > 1 ? () => write(panels.filter((_, k) => k !== i)) : null}
          onDuplicate={
            panels.length < panelsMax ? () => write([...panels.slice(0, i + 1), panel, ...panels.slice(i + 1)]) : null
          }
        />
      ))}
      {panels.length < panelsMax && (
        <button type="button" onClick={() => write([...panels, { ...defaultPanel }])}>
          Add panel
        </button>
      )}
    </>
  );
}
