// The address of the query page with a rule's expression drawn.
import { href } from '../app/router';
import { defaultPanel, writePanels } from '../model/panel';

export function queryLink(expr: string): string {
  return href(`/query?${writePanels([{ ...defaultPanel, expr, tab: 'graph' }])}`);
}
