// Alerts, one line each: state, name, distinguishing labels, value, since when. Inactive rules are listed below on
// request, so that "is it watched at all?" has an answer here.
import './lists.css';

import { rules as loadRules } from '../api/client';
import type { Alert, AlertingRule, RulesAnswer } from '../api/types';
import { useLive } from '../app/live';
import { seriesName } from '../model/labels';
import { parseSample } from '../model/samples';
import { formatAge, formatTime, formatValue } from '../model/units';
import { addressFilter, FilterSearch, FilterSelect, matchesWords, PageHead } from '../ui/filter';
import { Badge, DataLink, ErrorBox, LabelChips } from '../ui/states';
import { TableHead } from '../ui/table_head';
import { queryLink } from './rule_link';

const refreshMs = 5000;

interface Line {
  alert: Alert;
  rule: AlertingRule;
}

function collect(answer: RulesAnswer | null): { lines: Line[]; inactive: AlertingRule[] } {
  const lines: Line[] = [];
  const inactive: AlertingRule[] = [];
  for (const group of answer?.groups ?? []) {
    for (const rule of group.rules) {
      if (rule.type !== 'alerting') continue;
      if (!rule.alerts || rule.alerts.length === 0) inactive.push(rule);
      for (const alert of rule.alerts ?? []) lines.push({ alert, rule });
    }
  }
  const order = { firing: 0, pending: 1, inactive: 2 };
  lines.sort(
    (a, b) =>
      order[a.alert.state] - order[b.alert.state] || Date.parse(b.alert.activeAt) - Date.parse(a.alert.activeAt),
  );
  return { lines, inactive };
}

function Row({ line, now }: { line: Line; now: number }) {
  const { alert, rule } = line;
  const since = Date.parse(alert.activeAt);
  return (
    <tr>
      <td>
        <Badge state={alert.state} />
      </td>
      <td>
        <a href={queryLink(rule.query)}>{rule.name}</a>
        {Object.entries(alert.annotations).map(([name, text]) => (
          <p key={name} class="annotation">
            <span class="secondary">{name}</span> <DataLink text={text} />
          </p>
        ))}
      </td>
      <td>
        <LabelChips labels={alert.labels} hide={['alertname']} />
      </td>
      <td class="number" title={alert.value}>
        {formatValue(parseSample(alert.value))}
      </td>
      <td class="number">
        <time dateTime={alert.activeAt} title={formatTime(since)}>
          {formatAge(since, now)}
        </time>
      </td>
    </tr>
  );
}

export function AlertsPage() {
  const live = useLive(loadRules, refreshMs);
  const filter = addressFilter('/alerts');
  const state = filter.get('state');
  const text = filter.get('search');
  const { lines, inactive } = collect(live.data);
  const shown = lines.filter(
    ({ alert }) => (state === '' || alert.state === state) && matchesWords(seriesName(alert.labels), text),
  );
  const firing = lines.filter(({ alert }) => alert.state === 'firing').length;
  return (
    <>
      <PageHead title="Alerts">
        <span class={firing > 0 ? 'bad-text' : 'secondary'}>
          {firing} firing, {lines.length - firing} pending, {inactive.length} inactive
        </span>
        <FilterSelect
          filter={filter}
          name="state"
          label="State"
          choices={[
            ['', 'firing and pending'],
            ['firing', 'firing'],
            ['pending', 'pending'],
          ]}
        />
        <FilterSearch filter={filter} placeholder="name or label" />
      </PageHead>
      {live.error && <ErrorBox error={live.error} onRetry={live.reload} />}
      {live.data && lines.length === 0 && (
        <p class="empty">
          {inactive.length > 0
            ? `Nothing fires. ${inactive.length} alerting rules are watching.`
            : 'No alerting rules. Name rule files in the configuration: rule_files: [rules/*.yml]'}
        </p>
      )}
      {lines.length > 0 && shown.length === 0 && <p class="empty">None of {lines.length} alerts matches the filter.</p>}
      {shown.length > 0 && (
        <section class="card">
          <div class="table-wrap" tabIndex={0} role="region" aria-label="Alerts">
            <table>
              <TableHead columns={['State', 'Alert', 'Labels', ['Value', 'number'], ['For', 'number']]} />
              <tbody>
                {shown.map((line) => (
                  <Row key={seriesName(line.alert.labels)} line={line} now={live.loadedAt} />
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
      {inactive.length > 0 && (
        <details class="card">
          <summary>{inactive.length} inactive</summary>
          <ul class="plain">
            {inactive.map((rule, i) => (
              <li key={`${rule.name}${i}`}>
                <Badge state="inactive" /> <a href={queryLink(rule.query)}>{rule.name}</a>{' '}
                <LabelChips labels={rule.labels} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
