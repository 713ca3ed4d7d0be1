// Shapes of the HTTP API's answers, as far as the pages read them. Sample values stay strings until they are drawn, so
// that tables show every digit.

export type LabelMap = Record<string, string>;
export type SamplePair = [number, string];

export interface NativeHistogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}
export type HistogramPair = [number, NativeHistogram];

export interface VectorSeries {
  metric: LabelMap;
  value?: SamplePair;
  histogram?: HistogramPair;
}

export interface MatrixSeries {
  metric: LabelMap;
  values?: SamplePair[];
  histograms?: HistogramPair[];
}

export interface MatrixAnswer {
  resultType: 'matrix';
  result: MatrixSeries[];
}

export type QueryAnswer =
  | { resultType: 'vector'; result: VectorSeries[] }
  | { resultType: 'scalar' | 'string'; result: SamplePair }
  | MatrixAnswer;

export interface QueryStats {
  timings: { evalTotalTime: number; execTotalTime: number };
  samples: { totalQueryableSamples: number; samplesRead?: number; peakSamples: number };
}

export interface Target {
  discoveredLabels: LabelMap;
  labels: LabelMap;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: 'up' | 'down' | 'unknown';
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface TargetsAnswer {
  activeTargets: Target[];
  droppedTargets: { discoveredLabels: LabelMap; scrapePool?: string }[];
  droppedTargetCounts: Record<string, number> | null;
}

export type AlertState = 'inactive' | 'pending' | 'firing';

export interface Alert {
  labels: LabelMap;
  annotations: LabelMap;
  state: AlertState;
  activeAt: string;
  keepFiringSince?: string;
  value: string;
}

export interface AlertsAnswer {
  alerts: Alert[];
}

interface RuleBase {
  name: string;
  query: string;
  labels: LabelMap;
  health: 'ok' | 'err' | 'unknown';
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
}

export interface AlertingRule extends RuleBase {
  type: 'alerting';
  state: AlertState;
  duration: number;
  keepFiringFor: number;
  annotations: LabelMap;
  alerts: Alert[] | null;
}

export interface RecordingRule extends RuleBase {
  type: 'recording';
}

export type Rule = AlertingRule | RecordingRule;

export interface RuleGroup {
  name: string;
  file: string;
  rules: Rule[];
  interval: number;
  limit: number;
  evaluationTime: number;
  lastEvaluation: string;
}

export interface RulesAnswer {
  groups: RuleGroup[];
}

export type Metadata = Record<string, { type: string; unit: string; help: string }[]>;

export interface BuildInfo {
  version: string;
  revision: string;
}

// /api/v1/explain: what one part of the expression did; times include the children's.
export interface PlanNode {
  expr: string;
  series: number;
  points: number;
  samples: number;
  bytes: number;
  milliseconds: number;
  // What it selected: without values, and no more than the newest sample of each series.
  timesOnly: boolean;
  newestOnly: boolean;
  children: PlanNode[];
}

export interface PlanAnswer {
  resultType: string;
  series: number;
  points: number;
  cpuMilliseconds: number;
  peakBytes: number;
  stats: QueryStats;
  plan: PlanNode[];
}

export interface ActiveQuery {
  id: number;
  query: string;
  type: 'range' | 'instant';
  lane: 'user' | 'rules';
  client: string;
  ruleGroup: string;
  startedAt: string;
  seconds: number;
  memoryBytes: number;
  samplesRead: number;
  cancelled: boolean;
}

export interface TopQuery {
  query: string;
  lane: 'user' | 'rules';
  runs: number;
  failures: number;
  cacheHits: number;
  cpuSeconds: number;
  seconds: number;
  longestSeconds: number;
  peakMemoryBytes: number;
  samplesRead: number;
  lastRun: string;
}
