// The states that every list shares: error in the server's words, nothing there, and the words with shapes for health.
import type { ApiError } from '../api/client';
import type { LabelMap } from '../api/types';
import { quote } from '../model/labels';

export function ErrorBox({ error, onRetry }: { error: ApiError; onRetry?: (() => void) | undefined }) {
  return (
    <div class="error" role="alert">
      <p>
        <strong>{error.type}</strong>: <span class="error-text">{error.message}</span>
      </p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

// Status is never colour alone: a word with a shape.
const shapes: Record<string, [string, string]> = {
  up: ['●', 'good'],
  down: ['✕', 'bad'],
  unknown: ['○', 'unknown'],
  firing: ['●', 'bad'],
  pending: ['◐', 'warn'],
  inactive: ['○', 'unknown'],
  ok: ['●', 'good'],
  err: ['✕', 'bad'],
};

export function Badge({ state }: { state: string }) {
  const [shape, tone] = shapes[state] ?? ['○', 'unknown'];
  return (
    <span class={`badge ${tone}`}>
      <span aria-hidden="true">{shape}</span> {state}
    </span>
  );
}

// Labels as chips with selectable text; `hide` names those that the place makes plain already.
export function LabelChips({ labels, hide = [] }: { labels: LabelMap; hide?: string[] }) {
  const names = Object.keys(labels)
    .filter((name) => !hide.includes(name))
    .sort();
  return (
    <span class="chips">
      {names.map((name) => (
        <span key={name} class="chip">
          {name}={quote(labels[name] ?? '')}
        </span>
      ))}
    </span>
  );
}

// A link from data: only http and https lead anywhere, everything else prints as text.
export function DataLink({ text }: { text: string }) {
  if (/^https?:\/\//i.test(text)) {
    return (
      <a href={text} rel="noopener noreferrer" data-external>
        {text}
      </a>
    );
  }
  return <>{text}</>;
}
