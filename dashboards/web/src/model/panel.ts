// The state of a query panel and its address form. Reads what Prometheus' pages write (gN.expr, gN.tab …), including the
// older numeric tabs, and writes the newer names.
import { formatDuration, formatUtc, parseDuration, parseUtc } from './units';

export type Tab = 'graph' | 'table' | 'explain';
export type Display = 'lines' | 'stacked';

export interface Panel {
  expr: string;
  tab: Tab;
  display: Display;
  rangeSeconds: number;
  endMs: number | null; // null: now
  momentMs: number | null; // of the table; null: now
  stepSeconds: number | null; // null: by the width of the graph
}

export const defaultPanel: Panel = {
  expr: '',
  tab: 'table',
  display: 'lines',
  rangeSeconds: 3600,
  endMs: null,
  momentMs: null,
  stepSeconds: null,
};

export function readPanels(search: string): Panel[] {
  const params = new URLSearchParams(search);
  const panels: Panel[] = [];
  for (let i = 0; params.has(`g${i}.expr`); i++) {
    const get = (name: string) => params.get(`g${i}.${name}`) ?? '';
    const tab = get('tab');
    const mode = get('display_mode');
    panels.push({
      expr: get('expr'),
      tab: tab === 'graph' || tab === '0' ? 'graph' : tab === 'explain' ? 'explain' : 'table',
      display: mode === 'stacked' || get('stacked') === '1' ? 'stacked' : 'lines',
      rangeSeconds: parseDuration(get('range_input')) || defaultPanel.rangeSeconds,
      endMs: parseUtc(get('end_input')),
      momentMs: parseUtc(get('moment_input')),
      stepSeconds:
        get('res_type') === 'custom' || get('res_type') === 'fixed' || get('step_input') !== ''
          ? parseDuration(get('res_step') || get('step_input'))
          : null,
    });
  }
  return panels.length > 0 ? panels : [{ ...defaultPanel }];
}

export function writePanels(panels: Panel[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, i) => {
    const set = (name: string, value: string) => params.set(`g${i}.${name}`, value);
    set('expr', panel.expr);
    set('show_tree', '0');
    set('tab', panel.tab);
    if (panel.endMs !== null) set('end_input', formatUtc(panel.endMs));
    if (panel.momentMs !== null) set('moment_input', formatUtc(panel.momentMs));
    set('range_input', formatDuration(panel.rangeSeconds));
    if (panel.stepSeconds === null) {
      set('res_type', 'auto');
      set('res_density', 'medium');
    } else {
      set('res_type', 'custom');
      set('res_step', formatDuration(panel.stepSeconds));
    }
    set('display_mode', panel.display);
    set('show_exemplars', '0');
  });
  return params.toString();
}

// The step of a range query: half the pixels of the graph, whole seconds, at least one.
export function chooseStep(panel: Panel, widthPx: number): number {
  if (panel.stepSeconds !== null && panel.stepSeconds > 0) {
    return Math.max(panel.stepSeconds, panel.rangeSeconds / 11000);
  }
  return Math.max(1, Math.ceil(panel.rangeSeconds / Math.max(100, widthPx / 2)));
}
