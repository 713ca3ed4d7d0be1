// What runs now, with a way to stop it, and what queries have cost since the start.
import './lists.css';

import { useCallback, useState } from 'preact/hooks';

import { activeQueries, ApiError, cancelQuery, topQueries, type TopOrder } from '../api/client';
import type { ActiveQuery, TopQuery } from '../api/types';
import { useLive } from '../app/live';
import { formatBytes } from '../model/bytes';
import { PageHead } from '../ui/filter';
import { ErrorBox } from '../ui/states';
import { TableHead } from '../ui/table_head';
import { queryLink } from './rule_link';

const activeRefreshMs = 2000;
const topRefreshMs = 5000;
const orders: [TopOrder, string][] = [
  ['cpu', 'CPU time'],
  ['memory', 'memory'],
  ['duration', 'longest run'],
  ['runs', 'runs'],
];

const count = (n: number) => n.toLocaleString('en');

function who(query: ActiveQuery): string {
  return query.lane === 'rules' ? `rule group ${query.ruleGroup}` : query.client;
}

function Active({ query, onCancel }: { query: ActiveQuery; onCancel: () => void }) {
  return (
    <tr>
      <td class="expression">
        <a href={queryLink(query.query)}>{query.query}</a>
      </td>
      <td>{who(query)}</td>
      <td class="number">{query.seconds.toFixed(1)} s</td>
      <td class="number">{count(query.samplesRead)}</td>
      <td class="number">{formatBytes(query.memoryBytes)}</td>
      <td>
        <button type="button" onClick={onCancel} disabled={query.cancelled}>
          {query.cancelled ? 'Stopping' : 'Cancel'}
        </button>
      </td>
    </tr>
  );
}

function Top({ query }: { query: TopQuery }) {
  return (
    <tr>
      <td class="expression">
        <a href={queryLink(query.query)}>{query.query}</a>
      </td>
      <td>{query.lane}</td>
      <td class="number">{count(query.runs)}</td>
      <td class="number">{count(query.failures)}</td>
      <td class="number">{query.cpuSeconds.toFixed(3)} s</td>
      <td class="number">{query.longestSeconds.toFixed(3)} s</td>
      <td class="number">{formatBytes(query.peakMemoryBytes)}</td>
      <td class="number">{count(query.samplesRead)}</td>
    </tr>
  );
}

export function QueriesPage() {
  const [order, setOrder] = useState<TopOrder>('cpu');
  const [failure, setFailure] = useState<ApiError | null>(null);
  const active = useLive(activeQueries, activeRefreshMs);
  const loadTop = useCallback((signal: AbortSignal) => topQueries(order, 50, signal), [order]);
  const top = useLive(loadTop, topRefreshMs);
  const cancel = async (id: number) => {
    try {
      await cancelQuery(id);
      setFailure(null);
    } catch (error) {
      setFailure(error instanceof ApiError ? error : new ApiError('page', String(error), 0));
    }
    active.reload();
  };
  return (
    <>
      <PageHead title="Queries" />
      {failure && <ErrorBox error={failure} />}
      {active.error && <ErrorBox error={active.error} onRetry={active.reload} />}
      <section class="card">
        <h2>Running</h2>
        {active.data?.queries.length === 0 && <p class="empty">No query runs now.</p>}
        {active.data && active.data.queries.length > 0 && (
          <div class="table-wrap" tabIndex={0} role="region" aria-label="Running queries">
            <table>
              <TableHead
                columns={[
                  'Expression',
                  'Asked by',
                  ['Running for', 'number'],
                  ['Samples', 'number'],
                  ['Memory', 'number'],
                  'Action',
                ]}
              />
              <tbody>
                {active.data.queries.map((query) => (
                  <Active key={query.id} query={query} onCancel={() => void cancel(query.id)} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
      <section class="card">
        <h2>Since the start</h2>
        <label>
          Most{' '}
          <select value={order} onChange={(e) => setOrder(e.currentTarget.value as TopOrder)}>
            {orders.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {top.error && <ErrorBox error={top.error} onRetry={top.reload} />}
        <div class="table-wrap" tabIndex={0} role="region" aria-label="Queries since the start">
          <table>
            <TableHead
              columns={[
                'Expression',
                'Lane',
                ['Runs', 'number'],
                ['Failed', 'number'],
                ['CPU', 'number'],
                ['Longest', 'number'],
                ['Memory', 'number'],
                ['Samples', 'number'],
              ]}
            />
            <tbody>
              {top.data?.queries.map((query) => (
                <Top key={query.query} query={query} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}
