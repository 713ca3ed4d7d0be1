import { describe, expect, it } from 'vitest';

import { chooseStep, defaultPanel, readPanels, writePanels } from '../src/model/panel';

describe('panel address', () => {
  it('survives writing and reading', () => {
    const panels = [
      {
        ...defaultPanel,
        expr: 'sum by (a) (rate(x{b="c&d"}[5m]))',
        tab: 'graph' as const,
        rangeSeconds: 5400,
        stepSeconds: 15,
      },
      { ...defaultPanel, expr: 'up', endMs: 1700000000000, momentMs: 1700000001000, display: 'stacked' as const },
    ];
    expect(readPanels(`?${writePanels(panels)}`)).toEqual(panels);
  });

  it('reads the links that Prometheus wrote in old and new versions', () => {
    const [old] = readPanels(
      '?g0.expr=up&g0.tab=0&g0.stacked=1&g0.range_input=2h&g0.step_input=30&g0.end_input=2026-11-24%2009:15:00',
    );
    expect(old).toEqual({
      expr: 'up',
      tab: 'graph',
      display: 'stacked',
      rangeSeconds: 7200,
      stepSeconds: 30,
      momentMs: null,
      endMs: Date.UTC(2026, 10, 24, 9, 15),
    });
    const [table] = readPanels('?g0.expr=up&g0.tab=1');
    expect(table?.tab).toBe('table');
  });

  it('falls back to an empty panel for an empty or senseless address', () => {
    expect(readPanels('')).toEqual([defaultPanel]);
    expect(readPanels('?g0.expr=up&g0.range_input=soon')[0]?.rangeSeconds).toBe(3600);
  });

  it('chooses steps that stay under 11,000 points', () => {
    expect(chooseStep({ ...defaultPanel, rangeSeconds: 3600 }, 1000)).toBe(8);
    const wide = chooseStep({ ...defaultPanel, rangeSeconds: 30 * 86400, stepSeconds: 1 }, 1000);
    expect((30 * 86400) / wide).toBeLessThanOrEqual(11000);
  });
});
