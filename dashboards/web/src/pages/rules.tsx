// Rule groups by file: every rule with its expression, state, health and last error.
import './lists.css';

import { rules as loadRules } from '../api/client';
import type { Rule, RuleGroup } from '../api/types';
import { useLive } from '../app/live';
import { formatAge, formatDuration, formatTime } from '../model/units';
import { PageHead } from '../ui/filter';
import { Badge, ErrorBox, LabelChips } from '../ui/states';
import { TableHead } from '../ui/table_head';
import { queryLink } from './rule_link';

const refreshMs = 5000;

function RuleRow({ rule, now }: { rule: Rule; now: number }) {
  const evaluated = Date.parse(rule.lastEvaluation);
  return (
    <tr>
      <td>
        {rule.type === 'alerting' ? <Badge state={rule.state} /> : <span class="secondary">record</span>}
        {rule.health !== 'ok' && <Badge state={rule.health} />}
      </td>
      <td>
        <strong>{rule.name}</strong>
        <p class="expression">
          <a href={queryLink(rule.query)}>{rule.query}</a>
        </p>
        {rule.type === 'alerting' && (
          <p class="secondary">
            {rule.duration > 0 && `for ${formatDuration(rule.duration)} `}
            {rule.keepFiringFor > 0 && `keep firing for ${formatDuration(rule.keepFiringFor)}`}
          </p>
        )}
        {rule.lastError && <p class="row-error">{rule.lastError}</p>}
      </td>
      <td>
        <LabelChips labels={rule.labels} />
      </td>
      <td class="number">
        {evaluated > 0 ? (
          <time dateTime={rule.lastEvaluation} title={formatTime(evaluated)}>
            {formatAge(evaluated, now)} ago
          </time>
        ) : (
          'never'
        )}
      </td>
      <td class="number">{(rule.evaluationTime * 1000).toFixed(2)} ms</td>
    </tr>
  );
}

function Group({ group, now }: { group: RuleGroup; now: number }) {
  return (
    <section class="card">
      <h2>
        {group.name}{' '}
        <span class="secondary">
          {group.file}, every {formatDuration(group.interval)}
        </span>
      </h2>
      <div class="table-wrap" tabIndex={0} role="region" aria-label={`Rules of ${group.name}`}>
        <table>
          <TableHead columns={['State', 'Rule', 'Labels', ['Evaluated', 'number'], ['Took', 'number']]} />
          <tbody>
            {group.rules.map((rule, i) => (
              <RuleRow key={`${rule.name}${i}`} rule={rule} now={now} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function RulesPage() {
  const live = useLive(loadRules, refreshMs);
  return (
    <>
      <PageHead title="Rules" />
      {live.error && <ErrorBox error={live.error} onRetry={live.reload} />}
      {live.data?.groups.length === 0 && (
        <p class="empty">
          No rules. Name rule files in the configuration: <code>rule_files: [rules/*.yml]</code>
        </p>
      )}
      {live.data?.groups.map((group) => (
        <Group key={`${group.file};${group.name}`} group={group} now={live.loadedAt} />
      ))}
    </>
  );
}
