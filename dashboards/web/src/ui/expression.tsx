// The expression field: a plain textarea at once, replaced by the editor when its chunk has arrived. Text typed meanwhile
// is kept. While a person types the text is the field's own; `text` replaces it only when it changes (another address, a
// panel moved): feeding every key stroke back into the editor makes the two chase each other.
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Editor } from '../editor/editor';

interface Props {
  text: string;
  onChange: (text: string) => void;
  onRun: () => void;
}

export function Expression({ text, onChange, onRun }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const [ready, setReady] = useState(false);
  const typed = useRef(text);
  const latest = useRef({ onChange, onRun });
  latest.current = { onChange, onRun };
  const change = (next: string) => {
    typed.current = next;
    latest.current.onChange(next);
  };

  useEffect(() => {
    let gone = false;
    void import('../editor/editor').then(({ mountEditor }) => {
      if (gone || !host.current) return;
      const typing = document.activeElement?.classList.contains('expression-plain') ?? false;
      editor.current = mountEditor(host.current, typed.current, change, () => latest.current.onRun());
      setReady(true);
      if (typing) editor.current.focus();
    });
    return () => {
      gone = true;
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);

  useEffect(() => {
    typed.current = text;
    editor.current?.setText(text);
  }, [text]);

  return (
    <div class="expression-field">
      <div ref={host} class="expression-host" />
      {!ready && (
        <textarea
          class="expression-plain"
          aria-label="PromQL expression"
          rows={1}
          spellcheck={false}
          defaultValue={text}
          onInput={(e) => change(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === 'Enter' && !e.shiftKey) {
              e.preventDefault();
              onRun();
            }
          }}
        />
      )}
    </div>
  );
}
