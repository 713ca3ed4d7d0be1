// What each part of an expression cost, as a tree: the answer of /api/v1/explain.
import type { PlanAnswer, PlanNode } from '../api/types';
import { formatBytes } from '../model/bytes';
import { TableHead } from '../ui/table_head';

const maxRows = 2000;

interface Row {
  node: PlanNode;
  depth: number;
}

function rows(plan: PlanNode[]): Row[] {
  const out: Row[] = [];
  const walk = (nodes: PlanNode[], depth: number) => {
    for (const node of nodes) {
      if (out.length >= maxRows) return;
      out.push({ node, depth });
      walk(node.children, depth + 1);
    }
  };
  walk(plan, 0);
  return out;
}

const count = (n: number) => n.toLocaleString('en');

// What a selector did not have to read.
function hints(node: PlanNode): string {
  if (node.timesOnly) return node.newestOnly ? 'newest times only' : 'times only';
  return node.newestOnly ? 'newest only' : '';
}

// Depth is shown by indentation that stops growing, so that a deep tree stays on the page.
const indent = (depth: number) => `plan-expr plan-depth-${Math.min(depth, 12)}`;

export function Plan({ answer }: { answer: PlanAnswer }) {
  const all = rows(answer.plan);
  const total = Math.max(...all.map((row) => row.node.milliseconds), 0);
  return (
    <div class="table-wrap plan" tabIndex={0} role="region" aria-label="Plan">
      <p class="secondary note">
        {count(answer.series)} series · {count(answer.points)} points · {answer.cpuMilliseconds.toFixed(2)} ms of CPU ·{' '}
        {count(answer.stats.samples.samplesRead ?? 0)} samples read · {formatBytes(answer.peakBytes)} at most
      </p>
      <table>
        <TableHead
          columns={[
            'Expression',
            ['Time', 'number'],
            ['Series', 'number'],
            ['Samples', 'number'],
            ['Points', 'number'],
            ['Memory', 'number'],
          ]}
        />
        <tbody>
          {all.map(({ node, depth }, i) => (
            <tr key={i}>
              <td class="expression">
                <span class={indent(depth)}>{node.expr}</span> <span class="secondary">{hints(node)}</span>
              </td>
              <td class="number">
                <meter
                  min={0}
                  max={Math.max(total, 0.001)}
                  value={node.milliseconds}
                  aria-label={`share of the time of ${node.expr}`}
                />{' '}
                {node.milliseconds.toFixed(2)} ms
              </td>
              <td class="number">{count(node.series)}</td>
              <td class="number">{count(node.samples)}</td>
              <td class="number">{count(node.points)}</td>
              <td class="number">{formatBytes(node.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {all.length >= maxRows && <p class="secondary">Only the first {count(maxRows)} parts are shown.</p>}
    </div>
  );
}
