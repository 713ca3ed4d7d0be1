// Alerts, one line each: state, name, distinguishing labels, value, since when. Inactive rules are listed below on
// request, so that "is it watched at all?" has an answer here.
import './lists.css';

import { rules as loadRules } from '../api/client';
import type { Alert, AlertingRule, RulesAnswer } from '../api/types';
import { useLive } from '../app/live';
import { navigate, search } from '../app/router';
import { seriesName } from '../model/labels';
import { parseSample } from '../model/samples';
import { formatAge, formatTime, formatValue } from '../model/units';
import { Badge, DataLink, ErrorBox, LabelChips } from '../ui/states';
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
  const params = new URLSearchParams(search.value);
  const state = params.get('state') ?? '';
  const text = (params.get('search') ?? '').toLowerCase();
  const { lines, inactive } = collect(live.data);
  const set = (name: string, value: string) => {
    if (value === '') params.delete(name);
    else params.set(name, value);
    const query = params.toString();
    navigate('/alerts' + (query === '' ? '' : `?${query}`), true);
  };
  const shown = lines.filter(
    ({ alert }) =>
      (state === '' || alert.state === state) && (text === '' || seriesName(alert.labels).toLowerCase().includes(text)),
  );
  const firing = lines.filter(({ alert }) => alert.state === 'firing').length;
  return (
    <>
      <div class="page-head">
        <h1>Alerts</h1>
        <span class={firing > 0 ? 'bad-text' : 'secondary'}>
          {firing} firing, {lines.length - firing} pending, {inactive.length} inactive
        </span>
        <label>
          State{' '}
          <select value={state} onChange={(e) => set('state', e.currentTarget.value)}>
            <option value="">firing and pending</option>
            <option value="firing">firing</option>
            <option value="pending">pending</option>
          </select>
        </label>
        <label class="grow">
          Search{' '}
          <input
            type="search"
            value={params.get('search') ?? ''}
            placeholder="name or label"
            onInput={(e) => set('search', e.currentTarget.value)}
          />
        </label>
      </div>
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
              <thead>
                <tr>
                  <th scope="col">State</th>
                  <th scope="col">Alert</th>
                  <th scope="col">Labels</th>
                  <th scope="col">Value</th>
                  <th scope="col">For</th>
                </tr>
              </thead>
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
