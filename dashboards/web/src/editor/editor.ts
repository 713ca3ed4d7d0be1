// The PromQL editor: CodeMirror in a shadow root. There it uses adoptedStyleSheets, which the content security policy
// allows without a nonce (in the document it would inject a <style> element, which is blocked). Loaded on demand.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';

import { formatQuery } from '../api/client';
import { BoundedClient } from './completion';

export interface Editor {
  setText: (text: string) => void;
  focus: () => void;
  destroy: () => void;
}

const theme = EditorView.theme({
  '&': { backgroundColor: 'var(--field)', color: 'var(--text)', fontSize: '13px' },
  '&.cm-focused': { outline: '2px solid var(--accent)' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--text)', padding: '6px 0' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-scroller': { maxHeight: '240px', overflow: 'auto' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'var(--accent-ground)',
  },
  '.cm-placeholder': { color: 'var(--secondary)' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', color: 'var(--text)', border: '1px solid var(--control)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent-ground)', color: 'var(--text)' },
  '.cm-completionDetail': { color: 'var(--secondary)' },
  '.cm-completionInfo': { maxWidth: '40ch' },
});

const colours = HighlightStyle.define([
  { tag: [tags.function(tags.variableName), tags.keyword, tags.modifier], color: 'var(--accent)' },
  { tag: [tags.string, tags.labelName], color: 'var(--good)' },
  { tag: tags.number, color: 'var(--warn)' },
  { tag: tags.comment, color: 'var(--secondary)' },
  { tag: tags.invalid, color: 'var(--bad)' },
]);

// Mounts an editor below `host`. Enter runs, Shift+Enter breaks the line, Ctrl+Shift+F formats.
export function mountEditor(
  host: HTMLElement,
  text: string,
  onChange: (text: string) => void,
  onRun: () => void,
): Editor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const parent = document.createElement('div');
  root.replaceChildren(parent);
  const promql = new PromQLExtension().setComplete({ remote: new BoundedClient() });
  const format = (view: EditorView): boolean => {
    const before = view.state.doc.toString();
    formatQuery(before)
      .then(({ data }) => {
        if (view.state.doc.toString() === before) {
          view.dispatch({ changes: { from: 0, to: before.length, insert: data } });
        }
      })
      .catch(() => undefined); // a query that does not parse is marked by the linter already
    return true;
  };
  const view = new EditorView({
    parent,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        theme,
        syntaxHighlighting(colours),
        history(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        autocompletion(),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'PromQL expression' }),
        placeholder('Expression: Enter runs, Shift+Enter breaks the line, Ctrl+Space completes'),
        Prec.high(
          keymap.of([
            {
              key: 'Enter',
              run: () => {
                onRun();
                return true;
              },
            },
            { key: 'Shift-Enter', run: (v) => (v.dispatch(v.state.replaceSelection('\n')), true) },
            { key: 'Ctrl-Shift-f', run: format },
          ]),
        ),
        // Completion's own Enter must win while its list is open.
        Prec.highest(keymap.of(completionKeymap)),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        promql.asExtension(),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText: (next) => {
      const now = view.state.doc.toString();
      if (now !== next) view.dispatch({ changes: { from: 0, to: now.length, insert: next } });
    },
    focus: () => view.focus(),
    destroy: () => {
      promql.destroy();
      view.destroy();
    },
  };
}
