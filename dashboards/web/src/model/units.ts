// Numbers, durations and times as people read them.

// Four significant digits with k, M, G …; tiny and huge values in exponent form.
export function formatValue(v: number): string {
  if (Number.isNaN(v)) return 'NaN';
  if (!Number.isFinite(v)) return v > 0 ? '+Inf' : '-Inf';
  const size = Math.abs(v);
  if (size === 0) return '0';
  if (size < 1e-3 || size >= 1e15) return v.toExponential(2);
  const scales: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  for (const [scale, suffix] of scales) {
    if (size >= scale) return trim(v / scale) + suffix;
  }
  return trim(v);
}

function trim(v: number): string {
  return String(Number(v.toPrecision(4)));
}

const durationUnits: [string, number][] = [
  ['y', 365 * 86400],
  ['w', 7 * 86400],
  ['d', 86400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
];

// "1h30m" and "90" (seconds) to seconds; null when the text is neither.
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  const match = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(trimmed);
  if (!match || trimmed === '') return null;
  let seconds = 0;
  durationUnits.forEach(([, size], i) => (seconds += Number(match[i + 1] ?? 0) * size));
  return seconds;
}

export function formatDuration(seconds: number): string {
  if (seconds < 1) return seconds === 0 ? '0s' : `${Math.round(seconds * 1000)}ms`;
  let rest = Math.round(seconds);
  let out = '';
  for (const [unit, size] of durationUnits) {
    if (unit === 'y' || unit === 'w') continue;
    const n = Math.floor(rest / size);
    if (n > 0) out += `${n}${unit}`;
    rest -= n * size;
  }
  return out;
}

// "12 s", "3 min", "2 h", "5 d" before now.
export function formatAge(time: number, now: number): string {
  const s = Math.max(0, (now - time) / 1000);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

const two = (n: number) => String(n).padStart(2, '0');

// 2026-11-24 09:15:00, in the browser's zone. Never AM/PM.
export function formatTime(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// The form of the address: UTC, "2026-11-24 09:15:00".
export function formatUtc(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

export function parseUtc(text: string): number | null {
  const ms = Date.parse(`${text.trim().replace(' ', 'T')}Z`);
  return Number.isNaN(ms) ? null : ms;
}
