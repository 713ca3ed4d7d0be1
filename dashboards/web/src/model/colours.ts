// Which colour a series has: by the hash of its name within the panel, moved on while the colour is taken, so that a
// series keeps its colour while the set is unchanged. Colours themselves are CSS custom properties (--series-0 … 7).
export const seriesColours = 8;

export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

export function assignColours(names: string[]): number[] {
  const used = new Array<number>(seriesColours).fill(0);
  return names.map((name) => {
    let slot = hashText(name) % seriesColours;
    const least = Math.min(...used);
    while ((used[slot] ?? 0) > least) slot = (slot + 1) % seriesColours;
    used[slot] = (used[slot] ?? 0) + 1;
    return slot;
  });
}
