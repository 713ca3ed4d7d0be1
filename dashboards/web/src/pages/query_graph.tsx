// The graph of a range answer. At most 100 series are drawn as lines unless asked for; above that the 20 largest, with a
// sentence that says so and a button for the rest. Above 5,000 only the table would be readable, and the page says that.
import { useMemo, useState } from 'preact/hooks';

import { Legend } from '../chart/legend';
import { type ChartSeries, Lines } from '../chart/lines';
import { assignColours } from '../model/colours';
import { seriesName } from '../model/labels';
import { summarise, toGrid } from '../model/samples';
import { formatTime, formatValue } from '../model/units';
import type { GraphData } from './query_panel';

const drawnMax = 100;
const largestCount = 20;
const seriesMax = 5000;

interface Props {
  data: GraphData;
  stacked: boolean;
  onZoom: (from: number, to: number) => void;
}

export function Graph({ data, stacked, onZoom }: Props) {
  const [hidden, setHidden] = useState<boolean[]>([]);
  const [focus, setFocus] = useState<number | null>(null);
  const [all, setAll] = useState(false);
  const { times, drawable, histograms } = useMemo(() => {
    const grid = toGrid(data.series, data.start, data.end, data.step);
    const kept: { name: string; column: Float64Array }[] = [];
    let without = 0;
    data.series.forEach((one, i) => {
      const column = grid.columns[i];
      if (column) kept.push({ name: seriesName(one.metric), column });
      else without++;
    });
    return { times: grid.times, drawable: kept, histograms: without };
  }, [data]);
  const chosen = useMemo(() => {
    if (all || drawable.length <= drawnMax) return drawable;
    const size = (one: { column: Float64Array }) => {
      const { max, min } = summarise(one.column);
      return Number.isNaN(max) ? -1 : Math.max(Math.abs(max), Math.abs(min));
    };
    return [...drawable].sort((a, b) => size(b) - size(a)).slice(0, largestCount);
  }, [drawable, all]);
  const series: ChartSeries[] = useMemo(() => {
    const colours = assignColours(chosen.map((one) => one.name));
    return chosen.map((one, i) => ({ ...one, colour: colours[i] ?? 0, hidden: hidden[i] ?? false }));
  }, [chosen, hidden]);

  if (data.series.length === 0) {
    return (
      <p class="empty">
        No series between {formatTime(data.start * 1000)} and {formatTime(data.end * 1000)}.
      </p>
    );
  }
  if (drawable.length > seriesMax) {
    return (
      <p class="empty">
        {drawable.length} series are too many to draw. Narrow the expression, for example with topk(20, …) or sum by
        (label) (…).
      </p>
    );
  }
  const label = `Graph of ${series.length} series from ${formatTime(data.start * 1000)} to ${formatTime(data.end * 1000)}. ${series
    .slice(0, 3)
    .map((one) => {
      const s = summarise(one.column);
      return `${one.name}: last ${formatValue(s.last)}, min ${formatValue(s.min)}, max ${formatValue(s.max)}`;
    })
    .join('; ')}`;
  return (
    <>
      {histograms > 0 && (
        <p class="notice">
          {histograms} series hold only native histograms, which this graph does not draw; the table shows them.
        </p>
      )}
      {chosen.length < drawable.length && (
        <p class="notice">
          Showing the {largestCount} largest of {drawable.length} series.{' '}
          <button type="button" onClick={() => setAll(true)}>
            Draw all {drawable.length}
          </button>
        </p>
      )}
      {series.length > 0 && (
        <>
          <Lines
            times={times}
            series={series}
            stacked={stacked}
            focus={focus}
            stepSeconds={data.step}
            label={label}
            onZoom={onZoom}
          />
          <Legend series={series} onShow={setHidden} onFocus={setFocus} />
        </>
      )}
    </>
  );
}
