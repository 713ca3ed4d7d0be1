// The completion's view of the server: names by prefix and values by metric, at most 200 each. The stock client loads
// every name and whole series answers, which froze browsers at 150,000 names.
import type { PrometheusClient } from '@prometheus-io/codemirror-promql';

import { labelNames, labelValues, metadata } from '../api/client';
import { quote } from '../model/labels';

const limit = 200;

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function selector(metric: string | undefined): string | undefined {
  return metric ? `{__name__=${quote(metric)}}` : undefined;
}

// A client whose failures complete nothing: typing must never be disturbed, and the query itself shows what is wrong.
async function orElse<T>(call: Promise<{ data: T }>, fallback: T): Promise<T> {
  try {
    return (await call).data;
  } catch {
    return fallback;
  }
}

export class BoundedClient implements PrometheusClient {
  private described: Promise<Record<string, { type: string; help: string }[]>> | null = null;

  labelNames(metric?: string): Promise<string[]> {
    return orElse(labelNames(selector(metric), limit), []);
  }

  labelValues(name: string, metric?: string): Promise<string[]> {
    return orElse(labelValues(name, selector(metric), limit), []);
  }

  metricNames(prefix?: string): Promise<string[]> {
    const match = prefix ? `{__name__=~${quote(`(?i).*${escapeRegex(prefix)}.*`)}}` : undefined;
    return orElse(labelValues('__name__', match, limit), []);
  }

  metricMetadata(): Promise<Record<string, { type: string; help: string }[]>> {
    return (this.described ??= orElse(metadata(), {}));
  }

  async series(metric: string): Promise<Map<string, string>[]> {
    const names = await this.labelNames(metric);
    return [new Map(names.map((name) => [name, '']))];
  }

  flags(): Promise<Record<string, string>> {
    return Promise.resolve({});
  }
}
