// Targets by job: health, last scrape, and the whole error where one failed. Filters live in the address.
import './lists.css';

import { useMemo } from 'preact/hooks';

import { targets as loadTargets } from '../api/client';
import type { Target } from '../api/types';
import { useLive } from '../app/live';
import { href } from '../app/router';
import { seriesName } from '../model/labels';
import { formatAge, formatTime } from '../model/units';
import { addressFilter, FilterSearch, FilterSelect, matchesWords, PageHead } from '../ui/filter';
import { Badge, DataLink, ErrorBox, LabelChips } from '../ui/states';
import { TableHead } from '../ui/table_head';

const refreshMs = 5000;

function matches(target: Target, health: string, text: string): boolean {
  if (health !== '' && target.health !== health) return false;
  return matchesWords(`${seriesName(target.labels)} ${target.scrapeUrl} ${target.lastError}`, text);
}

function Row({ target, now }: { target: Target; now: number }) {
  const last = Date.parse(target.lastScrape);
  const scraped = last > 0;
  return (
    <tr>
      <td>
        <DataLink text={target.scrapeUrl} />
        {target.lastError !== '' && <p class="row-error">{target.lastError}</p>}
      </td>
      <td>
        <Badge state={target.health} />
      </td>
      <td>
        <LabelChips labels={target.labels} hide={['job']} />
      </td>
      <td class="number">
        {scraped ? (
          <time dateTime={target.lastScrape} title={formatTime(last)}>
            {formatAge(last, now)} ago
          </time>
        ) : (
          'never'
        )}
      </td>
      <td class="number">{scraped ? `${(target.lastScrapeDuration * 1000).toFixed(1)} ms` : ''}</td>
      <td class="number">{target.scrapeInterval}</td>
    </tr>
  );
}

function Pool({ name, list, now }: { name: string; list: Target[]; now: number }) {
  const up = list.filter((t) => t.health === 'up').length;
  return (
    <section class="card">
      <h2>
        {name}{' '}
        <span class={up === list.length ? 'secondary' : 'bad-text'}>
          {up} of {list.length} up
        </span>
      </h2>
      <div class="table-wrap" tabIndex={0} role="region" aria-label={`Targets of ${name}`}>
        <table>
          <TableHead
            columns={[
              'Endpoint',
              'State',
              'Labels',
              ['Last scrape', 'number'],
              ['Took', 'number'],
              ['Every', 'number'],
            ]}
          />
          <tbody>
            {list.map((t) => (
              <Row key={t.scrapeUrl + seriesName(t.labels)} target={t} now={now} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function TargetsPage() {
  const live = useLive(loadTargets, refreshMs);
  const filter = addressFilter('/targets');
  const health = filter.get('health');
  const text = filter.get('search');
  const pools = useMemo(() => {
    const byPool = new Map<string, Target[]>();
    for (const target of live.data?.activeTargets ?? []) {
      if (!matches(target, health, text)) continue;
      byPool.set(target.scrapePool, [...(byPool.get(target.scrapePool) ?? []), target]);
    }
    return [...byPool].sort(([a], [b]) => (a < b ? -1 : 1));
  }, [live.data, health, text]);
  const total = live.data?.activeTargets.length ?? 0;
  const dropped = Object.values(live.data?.droppedTargetCounts ?? {}).reduce((sum, n) => sum + n, 0);
  return (
    <>
      <PageHead title="Targets">
        <FilterSelect
          filter={filter}
          name="health"
          label="State"
          choices={[
            ['', 'all'],
            ['up', 'up'],
            ['down', 'down'],
            ['unknown', 'unknown'],
          ]}
        />
        <FilterSearch filter={filter} placeholder="label, address or error" />
        {dropped > 0 && <span class="secondary">{dropped} dropped by relabelling</span>}
      </PageHead>
      {live.error && <ErrorBox error={live.error} onRetry={live.reload} />}
      {live.data && total === 0 && (
        <p class="empty">
          No targets. Add a scrape job to the configuration:{' '}
          <code>
            scrape_configs: [{'{'}job_name: node, static_configs: …{'}'}]
          </code>
        </p>
      )}
      {live.data && total > 0 && pools.length === 0 && (
        <p class="empty">
          None of {total} targets matches the filter. <a href={href('/targets')}>Show all</a>
        </p>
      )}
      {pools.map(([name, list]) => (
        <Pool key={name} name={name} list={list} now={live.loadedAt} />
      ))}
    </>
  );
}
