// Light, dark, or as the system says. The choice is kept in localStorage and written to <html data-theme>.
import { signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const key = 'tocsin.theme';
const stored = localStorage.getItem(key);
const dark = matchMedia('(prefers-color-scheme: dark)');

export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');
// Rises whenever the colours on screen change, so that canvases draw anew.
export const paint = signal(0);

function apply(): void {
  const shown = theme.value === 'system' ? (dark.matches ? 'dark' : 'light') : theme.value;
  document.documentElement.dataset['theme'] = shown;
  paint.value++;
}

export function startTheme(): void {
  apply();
  dark.addEventListener('change', apply);
}

export function nextTheme(): void {
  theme.value = theme.value === 'system' ? 'light' : theme.value === 'light' ? 'dark' : 'system';
  localStorage.setItem(key, theme.value);
  apply();
}
