// The legend: a table of last, min, max and mean, sortable. Click shows only that series, Ctrl-click (or the box) toggles
// it; moving over or focusing a row brings its line forward. Rows outside the view are not in the page.
import './chart.css';

import { useMemo, useRef, useState } from 'preact/hooks';

import { summarise, type Summary } from '../model/samples';
import { formatValue } from '../model/units';
import type { ChartSeries } from './lines';

interface Props {
  series: ChartSeries[];
  onShow: (hidden: boolean[]) => void;
  onFocus: (index: number | null) => void;
}

type Column = 'name' | keyof Summary;

const rowPx = 28;
const viewRows = 10;

// Sizes go through CSSOM: the policy forbids style attributes.
function place(element: HTMLElement | null, property: 'height' | 'transform', value: string): void {
  if (element) element.style[property] = value;
}

export function Legend({ series, onShow, onFocus }: Props) {
  const [sort, setSort] = useState<{ by: Column; down: boolean }>({ by: 'name', down: false });
  const [top, setTop] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useMemo(() => {
    const all = series.map((one, index) => ({ one, index, ...summarise(one.column) }));
    const sign = sort.down ? -1 : 1;
    all.sort((a, b) => {
      if (sort.by === 'name') return sign * (a.one.name < b.one.name ? -1 : a.one.name > b.one.name ? 1 : 0);
      const [x, y] = [a[sort.by], b[sort.by]];
      return Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : sign * (x - y);
    });
    return all;
  }, [series, sort]);

  const click = (index: number, toggle: boolean) => {
    const hidden = series.map((s) => s.hidden);
    if (toggle) {
      hidden[index] = !hidden[index];
    } else {
      const alone = series.every((s, i) => s.hidden === (i !== index));
      for (let i = 0; i < hidden.length; i++) hidden[i] = !alone && i !== index;
    }
    onShow(hidden);
  };

  const head = (by: Column, text: string) => (
    <button
      type="button"
      class={by === 'name' ? 'legend-name' : 'number'}
      aria-pressed={sort.by === by}
      onClick={() => setSort({ by, down: sort.by === by ? !sort.down : by !== 'name' })}
    >
      {text}
      {sort.by === by ? (sort.down ? ' ↓' : ' ↑') : ''}
    </button>
  );

  const first = Math.max(0, Math.floor(top / rowPx) - 2);
  const shown = rows.slice(first, first + viewRows + 5);
  return (
    <div class="legend" onMouseLeave={() => onFocus(null)}>
      <div class="legend-row legend-head">
        {head('name', `Series (${series.length})`)}
        {head('last', 'Last')}
        {head('min', 'Min')}
        {head('max', 'Max')}
        {head('mean', 'Mean')}
      </div>
      <div
        class="legend-scroll"
        ref={scroller}
        tabIndex={0}
        role="region"
        aria-label="Legend"
        onScroll={(e) => setTop(e.currentTarget.scrollTop)}
      >
        <div ref={(el) => place(el, 'height', `${rows.length * rowPx}px`)}>
          <div ref={(el) => place(el, 'transform', `translateY(${first * rowPx}px)`)}>
            {shown.map(({ one, index, last, min, max, mean }) => (
              <div
                key={one.name}
                class={`legend-row ${one.hidden ? 'legend-off' : ''}`}
                onMouseEnter={() => onFocus(index)}
              >
                <button
                  type="button"
                  class="legend-name"
                  title={one.name}
                  aria-pressed={!one.hidden}
                  onFocus={() => onFocus(index)}
                  onBlur={() => onFocus(null)}
                  onClick={(e) => click(index, e.ctrlKey || e.metaKey)}
                >
                  <span class={`swatch series-${one.colour}`} aria-hidden="true" />
                  {one.name}
                </button>
                <span class="number">{formatValue(last)}</span>
                <span class="number">{formatValue(min)}</span>
                <span class="number">{formatValue(max)}</span>
                <span class="number">{formatValue(mean)}</span>
              </div>
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}
