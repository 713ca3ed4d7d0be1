// Filters of a list page, kept in its address: what is filtered can be shared and bookmarked.
import type { ComponentChildren } from 'preact';

import { navigate, search } from '../app/router';

export interface Filter {
  get: (name: string) => string;
  set: (name: string, value: string) => void;
}

// The filter of the page at `path`; changing it replaces the address.
export function addressFilter(path: string): Filter {
  const params = new URLSearchParams(search.value);
  return {
    get: (name) => params.get(name) ?? '',
    set: (name, value) => {
      const next = new URLSearchParams(search.value);
      if (value === '') next.delete(name);
      else next.set(name, value);
      const text = next.toString();
      navigate(path + (text === '' ? '' : `?${text}`), true);
    },
  };
}

interface SelectProps {
  filter: Filter;
  name: string;
  label: string;
  choices: [value: string, text: string][];
}

export function FilterSelect({ filter, name, label, choices }: SelectProps) {
  return (
    <label>
      {label}{' '}
      <select value={filter.get(name)} onChange={(e) => filter.set(name, e.currentTarget.value)}>
        {choices.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

export function FilterSearch({ filter, placeholder }: { filter: Filter; placeholder: string }) {
  return (
    <label class="grow">
      Search{' '}
      <input
        type="search"
        value={filter.get('search')}
        placeholder={placeholder}
        onInput={(e) => filter.set('search', e.currentTarget.value)}
      />
    </label>
  );
}

// Every word of `text` stands somewhere in `haystack`, whatever the case.
export function matchesWords(haystack: string, text: string): boolean {
  const all = haystack.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

export function PageHead({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="page-head">
      <h1>{title}</h1>
      {children}
    </div>
  );
}
