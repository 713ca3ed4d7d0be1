// The table of an instant answer: a column per label, sortable, values with every digit. Long results show the first
// thousand rows and say how many there are.
import { useMemo, useState } from 'preact/hooks';

import type { LabelMap, NativeHistogram, QueryAnswer } from '../api/types';
import { allNames, seriesName } from '../model/labels';
import { parseSample } from '../model/samples';
import { formatTime } from '../model/units';

const rowsMax = 1000;
const labelColumnsMax = 12;

interface Row {
  metric: LabelMap;
  cells: string[]; // a value a line
  order: number;
}

function histogramText(h: NativeHistogram): string {
  const buckets = (h.buckets ?? []).map(([kind, low, high, count]) => {
    const open = kind === 1 || kind === 3 ? '[' : '(';
    const close = kind === 0 || kind === 3 ? ']' : ')';
    return `${open}${low}, ${high}${close} ${count}`;
  });
  return [`count ${h.count}, sum ${h.sum}`, ...buckets].join('\n');
}

function toRows(answer: QueryAnswer): Row[] {
  if (answer.resultType === 'vector') {
    return answer.result.map(({ metric, value, histogram }) => {
      if (value) return { metric, cells: [value[1]], order: parseSample(value[1]) };
      return {
        metric,
        cells: [histogram ? histogramText(histogram[1]) : ''],
        order: Number(histogram?.[1].count ?? NaN),
      };
    });
  }
  if (answer.resultType === 'matrix') {
    return answer.result.map(({ metric, values, histograms }) => ({
      metric,
      cells: [
        ...(values ?? []).map(([t, v]) => `${v} @${formatTime(t * 1000)}`),
        ...(histograms ?? []).map(([t, h]) => `${histogramText(h)} @${formatTime(t * 1000)}`),
      ],
      order: parseSample(values?.[values.length - 1]?.[1] ?? 'NaN'),
    }));
  }
  return [{ metric: {}, cells: [answer.result[1]], order: parseSample(answer.result[1]) }];
}

export function Table({ answer }: { answer: QueryAnswer }) {
  // Unsorted at first: the engine's order is meaningful (sort, topk).
  const [sort, setSort] = useState<{ by: string; down: boolean } | null>(null);
  const rows = useMemo(() => toRows(answer), [answer]);
  const names = useMemo(() => allNames(rows.map((row) => row.metric)), [rows]);
  const wide = names.length > labelColumnsMax;
  const sorted = useMemo(() => {
    if (!sort) return rows;
    const sign = sort.down ? -1 : 1;
    return [...rows].sort((a, b) => {
      if (sort.by === '') return sign * (a.order - b.order);
      const [x, y] = [a.metric[sort.by] ?? '', b.metric[sort.by] ?? ''];
      return sign * x.localeCompare(y, 'en', { numeric: true });
    });
  }, [rows, sort]);

  if (rows.length === 0)
    return (
      <p class="empty">
        The expression is right and has no result at this time: no series matches, or none has a recent sample.
      </p>
    );

  const head = (by: string, text: string, number: boolean) => {
    const here = sort?.by === by;
    return (
      <th
        key={by}
        scope="col"
        class={number ? 'number' : undefined}
        aria-sort={here ? (sort.down ? 'descending' : 'ascending') : undefined}
      >
        <button type="button" class="quiet" onClick={() => setSort(here && sort.down ? null : { by, down: here })}>
          {text}
          {here ? (sort.down ? ' ↓' : ' ↑') : ''}
        </button>
      </th>
    );
  };
  return (
    <>
      <div class="table-wrap" tabIndex={0} role="region" aria-label="Result">
        <table class="result-table">
          <thead>
            <tr>
              {wide
                ? head('__name__', 'Series', false)
                : names.map((name) => head(name, name === '__name__' ? 'metric' : name, false))}
              {head('', 'Value', true)}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, rowsMax).map((row, i) => (
              <tr key={i}>
                {wide ? (
                  <td class="label-cell">{seriesName(row.metric)}</td>
                ) : (
                  names.map((name) => (
                    <td key={name} class="label-cell">
                      {row.metric[name] ?? ''}
                    </td>
                  ))
                )}
                <td class="number value-cell">{row.cells.join('\n')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > rowsMax && (
        <p class="notice">
          The first {rowsMax} of {sorted.length} rows.
        </p>
      )}
    </>
  );
}
