import { describe, expect, it } from 'vitest';

import { assignColours, seriesColours } from '../src/model/colours';
import { allNames, seriesName } from '../src/model/labels';
import { parseSample, summarise, toGrid } from '../src/model/samples';
import { formatAge, formatDuration, formatValue, parseDuration } from '../src/model/units';

describe('samples', () => {
  it('reads what the API writes', () => {
    expect(parseSample('+Inf')).toBe(Infinity);
    expect(parseSample('-Inf')).toBe(-Infinity);
    expect(parseSample('NaN')).toBeNaN();
    expect(parseSample('1e-07')).toBe(1e-7);
  });

  it('puts series on the grid with gaps where nothing was', () => {
    const grid = toGrid(
      [
        {
          metric: {},
          values: [
            [10, '1'],
            [30, '3'],
            [40, '+Inf'],
          ],
        },
        { metric: {}, histograms: [] },
      ],
      10,
      40,
      10,
    );
    expect([...grid.times]).toEqual([10, 20, 30, 40]);
    expect([...(grid.columns[0] ?? [])]).toEqual([1, NaN, 3, NaN]);
    expect(grid.columns[1]).toBeNull();
    expect(summarise(grid.columns[0] ?? new Float64Array())).toEqual({ last: 3, min: 1, max: 3, mean: 2 });
  });
});

describe('labels', () => {
  it('prints names as PromQL', () => {
    expect(seriesName({ __name__: 'up', job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(seriesName({ __name__: 'my.metric', 'my.label': 'v' })).toBe('{"my.metric", "my.label"="v"}');
    expect(seriesName({})).toBe('{}');
    expect(allNames([{ b: '1' }, { __name__: 'x', a: '2' }])).toEqual(['__name__', 'a', 'b']);
  });
});

describe('units', () => {
  it.each([
    [0, '0'],
    [1234, '1.234k'],
    [0.5, '0.5'],
    [1e-5, '1.00e-5'],
    [-2_500_000, '-2.5M'],
    [Infinity, '+Inf'],
  ])('formats %d as %s', (value, text) => expect(formatValue(value)).toBe(text));

  it.each([
    ['1h30m', 5400],
    ['90', 90],
    ['2w', 1209600],
    ['', null],
    ['5x', null],
  ])('reads the duration %s', (text, seconds) => expect(parseDuration(text)).toBe(seconds));

  it('writes durations and ages', () => {
    expect(formatDuration(5400)).toBe('1h30m');
    expect(formatDuration(0.25)).toBe('250ms');
    expect(formatAge(0, 61_000)).toBe('1 min');
  });
});

describe('colours', () => {
  it('uses every colour before one repeats, and is stable', () => {
    const names = Array.from({ length: seriesColours }, (_, i) => `series ${i}`);
    const slots = assignColours(names);
    expect(new Set(slots).size).toBe(seriesColours);
    expect(assignColours(names)).toEqual(slots);
  });
});
