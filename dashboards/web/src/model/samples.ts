// Sample values from text to numbers, and matrix answers onto one grid of steps for the charts.
import type { MatrixSeries } from '../api/types';

// Number("+Inf") is NaN in JavaScript; the API writes +Inf, -Inf and NaN.
export function parseSample(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

export interface Grid {
  times: Float64Array; // seconds, start + k * step
  columns: (Float64Array | null)[]; // a series each; NaN where it has no sample; null: no float sample at all
}

// Puts every series on the grid start, start + step, … ≤ end. Infinite values become gaps: they cannot be drawn.
export function toGrid(series: MatrixSeries[], start: number, end: number, step: number): Grid {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  const times = new Float64Array(count);
  for (let k = 0; k < count; k++) times[k] = start + k * step;
  const columns = series.map((one) => {
    if (!one.values || one.values.length === 0) return null;
    const column = new Float64Array(count).fill(NaN);
    for (const [t, v] of one.values) {
      const k = Math.round((t - start) / step);
      const value = parseSample(v);
      if (k >= 0 && k < count && Number.isFinite(value)) column[k] = value;
    }
    return column;
  });
  return { times, columns };
}

export interface Summary {
  last: number;
  min: number;
  max: number;
  mean: number;
}

export function summarise(column: Float64Array): Summary {
  let last = NaN;
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let count = 0;
  for (const v of column) {
    if (Number.isNaN(v)) continue;
    last = v;
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    count++;
  }
  return count === 0 ? { last, min: NaN, max: NaN, mean: NaN } : { last, min, max, mean: sum / count };
}
