// One panel: runs its expression whenever its state in the address changes, keeps the old picture (dimmed) while a new
// one loads, stops the server's work when it is no longer wanted.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { ApiError, explain, queryInstant, queryRange, type Answer } from '../api/client';
import type { MatrixSeries, PlanAnswer, QueryAnswer, QueryStats } from '../api/types';
import { chooseStep, type Panel, type Tab } from '../model/panel';
import { formatDuration, formatUtc, parseDuration, parseUtc } from '../model/units';
import { Expression } from '../ui/expression';
import { ErrorBox } from '../ui/states';
import { Graph } from './query_graph';
import { Plan } from './query_plan';
import { Table } from './query_table';

interface Props {
  panel: Panel;
  onChange: (panel: Panel) => void;
  onRemove: (() => void) | null;
  onDuplicate: (() => void) | null;
}

export interface GraphData {
  series: MatrixSeries[];
  start: number;
  end: number;
  step: number;
}

interface Shown {
  table: QueryAnswer | null;
  graph: GraphData | null;
  plan: PlanAnswer | null;
  warnings: string[];
  infos: string[];
  note: string;
}

const nothing: Shown = { table: null, graph: null, plan: null, warnings: [], infos: [], note: '' };

const ranges = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '1d', '2d', '1w', '2w'];

function note(
  series: number,
  points: number,
  started: number,
  answer: Answer<{ stats?: QueryStats }>,
  step: number | null,
): string {
  const stats = answer.data.stats;
  const parts = [`${series} series`, `${points} points`];
  if (step !== null) parts.push(`step ${formatDuration(step)}`);
  parts.push(`${Math.round(performance.now() - started)} ms`);
  if (stats) {
    parts.push(`server ${(stats.timings.execTotalTime * 1000).toFixed(1)} ms`);
    parts.push(
      `${(stats.samples.samplesRead ?? stats.samples.totalQueryableSamples).toLocaleString('en')} samples read`,
    );
  }
  return parts.join(' · ');
}

export function QueryPanel({ panel, onChange, onRemove, onDuplicate }: Props) {
  const draft = useRef(panel.expr); // what stands in the field, run or not
  const [shown, setShown] = useState<Shown>(nothing);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(false);
  const [runs, setRuns] = useState(0);
  const box = useRef<HTMLElement>(null);
  const key = JSON.stringify([
    panel.expr,
    panel.tab,
    panel.rangeSeconds,
    panel.endMs,
    panel.momentMs,
    panel.stepSeconds,
    runs,
  ]);

  useEffect(() => {
    draft.current = panel.expr;
  }, [panel.expr]);

  useEffect(() => {
    if (panel.expr.trim() === '') {
      setError(null);
      setShown(nothing);
      return;
    }
    const abort = new AbortController();
    const started = performance.now();
    const run = async () => {
      setLoading(true);
      try {
        if (panel.tab === 'table') {
          const answer = await queryInstant(panel.expr, (panel.momentMs ?? Date.now()) / 1000, abort.signal);
          const { data } = answer;
          const count = data.resultType === 'vector' || data.resultType === 'matrix' ? data.result.length : 1;
          setShown({
            table: data,
            graph: null,
            plan: null,
            warnings: answer.warnings,
            infos: answer.infos,
            note: note(count, count, started, answer, null),
          });
        } else {
          const step = chooseStep(panel, box.current?.clientWidth ?? 1000);
          // Aligned to the step, so that repeated questions ask for the same points.
          const end = Math.floor((panel.endMs ?? Date.now()) / 1000 / step) * step;
          const start = end - Math.floor(panel.rangeSeconds / step) * step;
          const [answer, plan] = await Promise.all([
            queryRange(panel.expr, start, end, step, abort.signal),
            panel.tab === 'explain' ? explain(panel.expr, start, end, step, abort.signal) : null,
          ]);
          const series = answer.data.result;
          const points = series.reduce((sum, s) => sum + (s.values?.length ?? 0) + (s.histograms?.length ?? 0), 0);
          setShown({
            table: null,
            graph: { series, start, end, step },
            plan: plan?.data ?? null,
            warnings: answer.warnings,
            infos: answer.infos,
            note: note(series.length, points, started, answer, step),
          });
        }
        setError(null);
      } catch (failure) {
        if (abort.signal.aborted) return;
        setError(failure instanceof ApiError ? failure : new ApiError('page', String(failure), 0));
      }
      setLoading(false);
    };
    void run();
    return () => abort.abort();
  }, [key]);

  const run = () => {
    if (draft.current !== panel.expr) onChange({ ...panel, expr: draft.current });
    else setRuns((n) => n + 1);
  };
  const set = (change: Partial<Panel>) => onChange({ ...panel, expr: draft.current, ...change });
  const tab = (name: Tab, text: string) => (
    <button type="button" role="tab" aria-selected={panel.tab === name} onClick={() => set({ tab: name })}>
      {text}
    </button>
  );
  const rangeText = formatDuration(panel.rangeSeconds);
  const rangeChoices = useMemo(() => (ranges.includes(rangeText) ? ranges : [rangeText, ...ranges]), [rangeText]);

  return (
    <section class="card" ref={box} aria-label={panel.expr === '' ? 'Empty panel' : panel.expr}>
      <div class="query-row">
        <Expression
          text={panel.expr}
          onChange={(text) => {
            draft.current = text;
          }}
          onRun={run}
        />
        <button type="button" class="primary" onClick={run}>
          Run
        </button>
      </div>
      <div class="query-row">
        <div role="tablist" aria-label="Result">
          {tab('table', 'Table')}
          {tab('graph', 'Graph')}
          {tab('explain', 'Explain')}
        </div>
        {panel.tab !== 'table' ? (
          <>
            <label>
              Range{' '}
              <select
                value={rangeText}
                onChange={(e) => set({ rangeSeconds: parseDuration(e.currentTarget.value) ?? 3600 })}
              >
                {rangeChoices.map((r) => (
                  <option key={r}>{r}</option>
                ))}
              </select>
            </label>
            <label>
              Until{' '}
              <input
                class="time-input"
                placeholder="now (UTC)"
                value={panel.endMs === null ? '' : formatUtc(panel.endMs)}
                onChange={(e) => set({ endMs: parseUtc(e.currentTarget.value) })}
              />
            </label>
            <label>
              Step{' '}
              <input
                class="step-input"
                placeholder="auto"
                value={panel.stepSeconds === null ? '' : formatDuration(panel.stepSeconds)}
                onChange={(e) => set({ stepSeconds: parseDuration(e.currentTarget.value) })}
              />
            </label>
            <button
              type="button"
              aria-pressed={panel.display === 'stacked'}
              onClick={() => set({ display: panel.display === 'stacked' ? 'lines' : 'stacked' })}
            >
              Stacked
            </button>
          </>
        ) : (
          <label>
            At{' '}
            <input
              class="time-input"
              placeholder="now (UTC)"
              value={panel.momentMs === null ? '' : formatUtc(panel.momentMs)}
              onChange={(e) => set({ momentMs: parseUtc(e.currentTarget.value) })}
            />
          </label>
        )}
        <span class="grow" />
        {onDuplicate && (
          <button type="button" class="quiet" onClick={onDuplicate}>
            Duplicate
          </button>
        )}
        {onRemove && (
          <button type="button" class="quiet" onClick={onRemove}>
            Remove
          </button>
        )}
      </div>
      {error && <ErrorBox error={error} onRetry={error.type === 'bad_data' ? undefined : run} />}
      {shown.warnings.map((text) => (
        <p key={text} class="notice warn-edge">
          {text}
        </p>
      ))}
      {shown.infos.map((text) => (
        <p key={text} class="notice">
          {text}
        </p>
      ))}
      <div class={loading ? 'result loading' : 'result'} aria-busy={loading}>
        {panel.expr.trim() === '' && (
          <p class="empty">
            Type an expression, for example <code>up</code>, and press Enter.
          </p>
        )}
        {panel.tab === 'table' && shown.table && <Table answer={shown.table} />}
        {panel.tab !== 'table' && shown.graph && (
          <div class={panel.tab === 'explain' ? 'beside' : ''}>
            {panel.tab === 'explain' && shown.plan && <Plan answer={shown.plan} />}
            <Graph
              data={shown.graph}
              stacked={panel.display === 'stacked'}
              onZoom={(from, to) =>
                set({ rangeSeconds: Math.max(1, Math.round(to - from)), endMs: Math.round(to) * 1000 })
              }
            />
          </div>
        )}
      </div>
      <p class="secondary note">{shown.note}</p>
    </section>
  );
}
