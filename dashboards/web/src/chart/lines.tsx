// A line or stacked chart of aligned columns (uPlot on a canvas). One uPlot per panel; new data goes in by setData.
//
// Line width follows a measurement (UI.md, 9): with more than 10,000 points exactly one device pixel, where the rasteriser
// is fast; 1.5 px below that.
import 'uplot/dist/uPlot.min.css';
import './chart.css';

import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

import { paint } from '../app/theme';
import { seriesColours } from '../model/colours';
import { formatTime, formatValue } from '../model/units';

export interface ChartSeries {
  name: string;
  column: Float64Array;
  colour: number; // slot of the palette
  hidden: boolean;
}

interface Props {
  times: Float64Array;
  series: ChartSeries[];
  stacked: boolean;
  focus: number | null;
  stepSeconds: number;
  label: string; // a sentence for screen readers
  onZoom: (from: number, to: number) => void;
}

const heightPx = 360;
const manyPoints = 10_000;

interface Palette {
  series: string[];
  text: string;
  line: string;
}

function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  const series = Array.from({ length: seriesColours }, (_, i) => read(`--series-${i}`));
  return { series, text: read('--secondary'), line: read('--hairline') };
}

// NaN becomes null, which uPlot leaves out and breaks the line at. Stacking adds up what is shown, in order.
function toPlot(times: Float64Array, series: ChartSeries[], stacked: boolean): uPlot.AlignedData {
  const columns: (number | null)[][] = [];
  const sums = stacked ? new Float64Array(times.length) : null;
  for (const one of series) {
    const out = new Array<number | null>(times.length);
    for (let k = 0; k < times.length; k++) {
      const v = one.column[k] ?? NaN;
      if (sums && !one.hidden) {
        sums[k] = (sums[k] ?? 0) + (Number.isNaN(v) ? 0 : v);
        out[k] = Number.isNaN(v) ? null : (sums[k] ?? null);
      } else {
        out[k] = Number.isNaN(v) ? null : v;
      }
    }
    columns.push(out);
  }
  return [Array.from(times), ...columns] as uPlot.AlignedData;
}

export function Lines(props: Props) {
  const { times, series, stacked, focus, stepSeconds, label, onZoom } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const tip = useRef<HTMLDivElement>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const [spoken, setSpoken] = useState('');
  const shape = series.map((s) => `${s.name}\n${s.colour}`).join('\n\n') + `|${stacked}|${paint.value}`;

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const palette = readPalette();
    const thin = series.length * times.length > manyPoints;
    const width = thin ? 1 / devicePixelRatio : 1.5;
    const showTip = (u: uPlot) => {
      const box = tip.current;
      if (!box) return;
      const k = u.cursor.idx;
      if (k === null || k === undefined || (u.cursor.left ?? -1) < 0) {
        box.hidden = true;
        return;
      }
      let best = -1;
      let distance = Infinity;
      for (let i = 1; i < u.data.length; i++) {
        const v = u.data[i]?.[k];
        if (v === null || v === undefined || !u.series[i]?.show) continue;
        const d = Math.abs(u.valToPos(v, 'y') - (u.cursor.top ?? 0));
        if (d < distance) [best, distance] = [i, d];
      }
      if (best < 0) {
        box.hidden = true;
        return;
      }
      const one = series[best - 1];
      const raw = one?.column[k] ?? NaN;
      box.hidden = false;
      box.textContent = `${formatTime((times[k] ?? 0) * 1000)}\n${one?.name ?? ''}\n${formatValue(raw)} (${raw})`;
      const left = Math.min(u.cursor.left ?? 0, u.over.clientWidth - 280);
      box.style.transform = `translate(${Math.max(0, left) + u.over.offsetLeft + 12}px, ${(u.cursor.top ?? 0) + 16}px)`;
    };
    const chart = new uPlot(
      {
        width: element.clientWidth,
        height: heightPx,
        legend: { show: false },
        cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
        scales: { x: { time: true } },
        axes: [
          {
            stroke: palette.text,
            grid: { stroke: palette.line, width: 1 },
            ticks: { stroke: palette.line, width: 1 },
            values: [
              [86400, '{YYYY}-{MM}-{DD}', null, null, null, null, null, null, 1],
              [3600, '{HH}:{mm}', '\n{YYYY}-{MM}-{DD}', null, '\n{MM}-{DD}', null, null, null, 1],
              [60, '{HH}:{mm}', '\n{YYYY}-{MM}-{DD}', null, '\n{MM}-{DD}', null, null, null, 1],
              [1, '{HH}:{mm}:{ss}', '\n{YYYY}-{MM}-{DD}', null, '\n{MM}-{DD}', null, null, null, 1],
            ],
          },
          {
            stroke: palette.text,
            grid: { stroke: palette.line, width: 1 },
            ticks: { stroke: palette.line, width: 1 },
            size: 64,
            values: (_, ticks) => ticks.map((v) => formatValue(v)),
          },
        ],
        series: [
          {},
          ...series.map((one, i) => {
            const colour = palette.series[one.colour % seriesColours] ?? '#888';
            const stroke: uPlot.Series = {
              label: one.name,
              stroke: colour,
              width,
              spanGaps: false,
              points: { show: false },
            };
            if (i >= seriesColours && !thin) stroke.dash = [6, 3];
            if (stacked) stroke.fill = colour + '30';
            stroke.show = !one.hidden;
            return stroke;
          }),
        ],
        hooks: {
          setCursor: [showTip],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              const from = u.posToVal(u.select.left, 'x');
              const to = u.posToVal(u.select.left + u.select.width, 'x');
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              zoom.current(from, to);
            },
          ],
        },
      },
      toPlot(times, series, stacked),
      element,
    );
    plot.current = chart;
    const resize = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: heightPx });
    });
    resize.observe(element);
    return () => {
      resize.disconnect();
      chart.destroy();
      plot.current = null;
    };
    // The chart is made anew only when its series or colours change; data goes in below.
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(toPlot(times, series, stacked));
  }, [times, series, stacked]);

  useEffect(() => {
    const chart = plot.current;
    if (!chart) return;
    series.forEach((one, i) => {
      if (chart.series[i + 1]?.show !== !one.hidden) chart.setSeries(i + 1, { show: !one.hidden });
    });
    chart.setSeries(focus === null ? null : focus + 1, { focus: focus !== null });
  }, [series, focus]);

  // Arrow keys move the cursor of a focused chart; a polite live region reads the values.
  const onKeyDown = (event: KeyboardEvent) => {
    const chart = plot.current;
    if (!chart || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight')) return;
    event.preventDefault();
    const now = chart.cursor.idx ?? times.length - 1;
    const k = Math.max(0, Math.min(times.length - 1, now + (event.key === 'ArrowLeft' ? -1 : 1)));
    const first = series.find((s) => !s.hidden);
    const value = first?.column[k] ?? NaN;
    const top = Number.isNaN(value) ? 10 : chart.valToPos(value, 'y');
    chart.setCursor({ left: chart.valToPos(times[k] ?? 0, 'x'), top });
    setSpoken(`${formatTime((times[k] ?? 0) * 1000)}: ${first?.name ?? ''} ${formatValue(value)}`);
  };

  return (
    <div class="chart">
      <div
        class="chart-canvas"
        ref={host}
        role="img"
        aria-label={`${label}, step ${stepSeconds} s`}
        tabIndex={0}
        onKeyDown={onKeyDown}
      />
      <div class="chart-tip" ref={tip} hidden />
      <p class="visually-hidden" aria-live="polite">
        {spoken}
      </p>
    </div>
  );
}
