// Label sets as text: series names, and which labels tell the members of a list apart.
import type { LabelMap } from '../api/types';

const legacyName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const legacyMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function quote(text: string): string {
  return JSON.stringify(text);
}

// up{job="node"}; {"my.metric", "my.label"="v"} where a name is not legacy-valid; {} for nothing.
export function seriesName(labels: LabelMap): string {
  const metric = labels['__name__'] ?? '';
  const plain = legacyMetric.test(metric);
  const parts: string[] = metric !== '' && !plain ? [quote(metric)] : [];
  for (const name of Object.keys(labels).sort()) {
    if (name === '__name__') continue;
    parts.push(`${legacyName.test(name) ? name : quote(name)}=${quote(labels[name] ?? '')}`);
  }
  const braces = parts.length > 0 || !plain ? `{${parts.join(', ')}}` : '';
  return (plain ? metric : '') + braces;
}

// All label names of the sets, sorted, the metric name first.
export function allNames(sets: LabelMap[]): string[] {
  const names = new Set<string>();
  for (const set of sets) for (const name of Object.keys(set)) names.add(name);
  return [...names].sort((a, b) => (a === '__name__' ? -1 : b === '__name__' ? 1 : a < b ? -1 : 1));
}
