// What the navigation and the title show on every page: how many alerts fire and how many targets are down.
import { signal } from '@preact/signals';

import { alerts, targets } from '../api/client';

export const firing = signal(0);
export const down = signal(0);
export const offline = signal(false);

const everyMs = 10_000;

export function startCounts(): void {
  const tick = async () => {
    if (!document.hidden) {
      try {
        const [a, t] = await Promise.all([alerts(), targets()]);
        firing.value = a.data.alerts.filter((alert) => alert.state === 'firing').length;
        down.value = t.data.activeTargets.filter((target) => target.health === 'down').length;
        offline.value = false;
      } catch {
        // Shown as a banner; the pages themselves show their own errors in the server's words.
        offline.value = true;
      }
      const trouble = firing.value + down.value;
      document.title = (trouble > 0 ? `(${trouble}) ` : '') + 'Tocsin';
    }
    setTimeout(() => void tick(), everyMs);
  };
  void tick();
}
