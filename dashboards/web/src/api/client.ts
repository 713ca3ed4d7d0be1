// The only file that fetches. One typed function an endpoint; every answer passes through `call`, which turns each kind of
// failure into an ApiError with the server's own words. Addresses are relative to <base href>, so the pages work below
// any path prefix.
import type {
  ActiveQuery,
  AlertsAnswer,
  BuildInfo,
  MatrixAnswer,
  Metadata,
  PlanAnswer,
  QueryAnswer,
  QueryStats,
  RulesAnswer,
  TargetsAnswer,
  TopQuery,
} from './types';

export class ApiError extends Error {
  readonly type: string;
  readonly status: number;
  constructor(type: string, message: string, status: number) {
    super(message);
    this.name = 'ApiError';
    this.type = type;
    this.status = status;
  }
}

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  bytes: number;
}

interface Envelope<T> {
  status: 'success' | 'error';
  data?: T;
  errorType?: string;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

type Params = Record<string, string | number | string[] | undefined>;

function encode(params: Params): URLSearchParams {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value]) out.append(name, String(item));
  }
  return out;
}

async function call<T>(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  params: Params,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const query = encode(params);
  const url = new URL(`api/v1/${path}`, document.baseURI);
  const init: RequestInit = { method, headers: { Accept: 'application/json' } };
  if (signal) init.signal = signal;
  if (method !== 'POST') url.search = query.toString();
  else init.body = query;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError('offline', 'the server does not answer', 0);
  }
  if (response.status === 204) return { data: undefined as T, warnings: [], infos: [], bytes: 0 };
  let body: Envelope<T>;
  try {
    body = JSON.parse(text) as Envelope<T>;
  } catch {
    throw new ApiError('bad_answer', text.trim() || `HTTP status ${response.status}`, response.status);
  }
  if (body.status !== 'success') {
    throw new ApiError(body.errorType ?? 'unknown', body.error ?? `HTTP status ${response.status}`, response.status);
  }
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], bytes: text.length };
}

export const queryInstant = (query: string, time: number, signal?: AbortSignal) =>
  call<QueryAnswer & { stats?: QueryStats }>('POST', 'query', { query, time, stats: 'true' }, signal);

export const queryRange = (query: string, start: number, end: number, step: number, signal?: AbortSignal) =>
  call<MatrixAnswer & { stats?: QueryStats }>(
    'POST',
    'query_range',
    { query, start, end, step, stats: 'true' },
    signal,
  );

export const explain = (query: string, start: number, end: number, step: number, signal?: AbortSignal) =>
  call<PlanAnswer>('POST', 'explain', { query, start, end, step }, signal);

export const activeQueries = (signal?: AbortSignal) =>
  call<{ queries: ActiveQuery[] }>('GET', 'status/active_queries', {}, signal);

export const cancelQuery = (id: number) => call<undefined>('DELETE', `status/active_queries/${id}`, {});

export type TopOrder = 'cpu' | 'memory' | 'duration' | 'runs';

export const topQueries = (by: TopOrder, limit: number, signal?: AbortSignal) =>
  call<{ queries: TopQuery[] }>('GET', 'status/top_queries', { by, limit }, signal);

export const formatQuery = (query: string, signal?: AbortSignal) =>
  call<string>('POST', 'format_query', { query }, signal);

export const parseQuery = (query: string, signal?: AbortSignal) =>
  call<unknown>('POST', 'parse_query', { query }, signal);

export const labelNames = (match: string | undefined, limit: number, signal?: AbortSignal) =>
  call<string[]>('POST', 'labels', { 'match[]': match, limit }, signal);

export const labelValues = (name: string, match: string | undefined, limit: number, signal?: AbortSignal) =>
  call<string[]>('GET', `label/${encodeURIComponent(name)}/values`, { 'match[]': match, limit }, signal);

export const metadata = (signal?: AbortSignal) => call<Metadata>('GET', 'metadata', { limit_per_metric: 1 }, signal);
export const targets = (signal?: AbortSignal) => call<TargetsAnswer>('GET', 'targets', {}, signal);
export const rules = (signal?: AbortSignal) => call<RulesAnswer>('GET', 'rules', {}, signal);
export const alerts = (signal?: AbortSignal) => call<AlertsAnswer>('GET', 'alerts', {}, signal);
export const buildInfo = (signal?: AbortSignal) => call<BuildInfo>('GET', 'status/buildinfo', {}, signal);
