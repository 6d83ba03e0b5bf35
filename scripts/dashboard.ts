/**
 * Makes the dashboard for Grafana, `deploy/grafana/apostille.json`: rows of panels, each a few queries.
 *
 * @module
 */

interface Panel {
  readonly title: string
  readonly description?: string
  readonly unit?: string
  readonly kind?: 'timeseries' | 'stat'
  /** Query by legend. */
  readonly queries: Readonly<Record<string, string>>
}

const where = 'instance=~"$instance"'
const rate = (metric: string, by: string, matchers = '') =>
  `sum by (${by}) (rate(${metric}{${where}${matchers && `, ${matchers}`}}[$__rate_interval]))`
const quantile = (share: number, metric: string, by = '') =>
  `histogram_quantile(${share}, sum by (${by && `${by}, `}le) (rate(${metric}_bucket{${where}}[$__rate_interval])))`
const quantiles = (metric: string) => ({ p50: quantile(0.5, metric), p99: quantile(0.99, metric) })
const left = (metric: string) => `${metric}{${where}} - time()`
const age = (metric: string) => `time() - ${metric}{${where}}`

const rows: Readonly<Record<string, readonly Panel[]>> = {
  Requests: [
    { title: 'Requests', unit: 'reqps', queries: { '{{route}}': rate('apostille_http_requests_total', 'route') } },
    {
      title: 'Answers that are none of success',
      unit: 'reqps',
      queries: { '{{status}}': rate('apostille_http_requests_total', 'status', 'status=~"4..|5.."') },
    },
    { title: 'Time of an answer', unit: 's', queries: quantiles('apostille_http_request_duration_seconds') },
    {
      title: 'Requests at a time',
      queries: {
        'answered {{instance}}': `apostille_http_requests_in_flight{${where}}`,
        'waiting {{instance}}': `apostille_http_requests_waiting{${where}}`,
        'shed a second {{instance}}': rate('apostille_http_requests_shed_total', 'instance'),
      },
    },
  ],
  Issuing: [
    { title: 'Issued', unit: 'ops', queries: { '{{operation}}': rate('apostille_issued_total', 'operation') } },
    { title: 'Refused', unit: 'ops', queries: { '{{code}}': rate('apostille_refusals_total', 'code') } },
    {
      title: 'Time from proof to credential, p99',
      unit: 's',
      queries: { '{{operation}}': quantile(0.99, 'apostille_issue_duration_seconds', 'operation') },
    },
    {
      title: 'Proofs that were verified before',
      unit: 'percentunit',
      queries: {
        share: `${rate('apostille_proof_cache_lookups_total', 'job', 'result="hit"')} / ${rate('apostille_proof_cache_lookups_total', 'job')}`,
      },
    },
  ],
  Store: [
    { title: 'Time of a durable write', unit: 's', queries: quantiles('apostille_store_commit_duration_seconds') },
    {
      title: 'Time of other operations, p99',
      unit: 's',
      queries: { '{{operation}}': quantile(0.99, 'apostille_store_operation_duration_seconds', 'operation') },
    },
    {
      title: 'Records in a write',
      queries: {
        mean: `${rate('apostille_store_commit_records_sum', 'job')} / ${rate('apostille_store_commit_records_count', 'job')}`,
      },
    },
    {
      title: 'Records that wait, writes that failed',
      queries: {
        'waiting {{instance}}': `apostille_store_waiting_records{${where}}`,
        'failed {{instance}}': `increase(apostille_store_commit_failures_total{${where}}[$__rate_interval])`,
      },
    },
  ],
  'Keys and bundles': [
    {
      title: 'Until authorities expire',
      unit: 's',
      queries: { '{{ring}} {{state}}': left('apostille_authority_expiry_timestamp_seconds') },
    },
    {
      title: 'Until they stop signing',
      unit: 's',
      queries: { '{{ring}} {{state}}': left('apostille_authority_active_until_timestamp_seconds') },
    },
    {
      title: 'Age of authorities',
      unit: 's',
      queries: { '{{ring}} {{state}}': age('apostille_authority_created_timestamp_seconds') },
    },
    {
      title: 'Until certificates of listeners expire',
      unit: 's',
      queries: { '{{listener}} {{instance}}': left('apostille_tls_certificate_expiry_timestamp_seconds') },
    },
    { title: 'Sequence of our bundle', queries: { '{{instance}}': `apostille_bundle_sequence{${where}}` } },
    {
      title: 'Age of federated bundles',
      unit: 's',
      queries: { '{{trust_domain}}': age('apostille_federation_bundle_confirmed_timestamp_seconds') },
    },
    {
      title: 'Polls of bundles',
      unit: 'ops',
      queries: { '{{trust_domain}} {{result}}': rate('apostille_federation_polls_total', 'trust_domain, result') },
    },
    {
      title: 'Age of issuers’ keys',
      unit: 's',
      queries: { '{{authenticator}}': age('apostille_jwks_fetched_timestamp_seconds') },
    },
    {
      title: 'Fetches of issuers’ keys',
      unit: 'ops',
      queries: { '{{authenticator}} {{result}}': rate('apostille_jwks_refreshes_total', 'authenticator, result') },
    },
  ],
  'Clouds and syncs': [
    {
      title: 'Exchanges',
      unit: 'ops',
      queries: { '{{target}} {{result}}': rate('apostille_exchanges_total', 'target, result') },
    },
    {
      title: 'Time of an exchange, p99',
      unit: 's',
      queries: { '{{target}}': quantile(0.99, 'apostille_exchange_duration_seconds', 'target') },
    },
    { title: 'Requests that wait for a cloud', queries: { '{{instance}}': `apostille_exchanges_waiting{${where}}` } },
    {
      title: 'Secrets of syncs',
      queries: { '{{sync}} {{destination}} {{state}}': `apostille_sync_secrets{${where}}` },
    },
    {
      title: 'Since syncs were as they should be',
      unit: 's',
      queries: { '{{sync}} {{destination}}': age('apostille_sync_synced_timestamp_seconds') },
    },
    {
      title: 'Runs of syncs',
      unit: 'ops',
      queries: { '{{sync}} {{result}}': rate('apostille_sync_runs_total', 'sync, result') },
    },
    {
      title: 'Changes by syncs',
      unit: 'ops',
      queries: { '{{sync}} {{change}}': rate('apostille_sync_changes_total', 'sync, change') },
    },
    {
      title: 'Time of a run of a sync, p99',
      unit: 's',
      queries: { '{{sync}}': quantile(0.99, 'apostille_sync_run_duration_seconds', 'sync') },
    },
  ],
  Process: [
    {
      title: 'Configuration',
      kind: 'stat',
      description: '1: the file on disk is the one in use.',
      queries: { '{{instance}}': `apostille_config_valid{${where}}` },
    },
    {
      title: 'Documents in use',
      kind: 'stat',
      queries: { '{{document}}': `count by (document) (apostille_config_info{${where}})` },
    },
    {
      title: 'Age of the configuration',
      unit: 's',
      queries: { '{{instance}}': age('apostille_config_loaded_timestamp_seconds') },
    },
    { title: 'Reloads', queries: { '{{result}}': rate('apostille_config_reloads_total', 'result') } },
    {
      title: 'Processor',
      unit: 'percentunit',
      queries: { '{{instance}}': rate('process_cpu_seconds_total', 'instance') },
    },
    { title: 'Memory', unit: 'bytes', queries: { '{{instance}}': `process_resident_memory_bytes{${where}}` } },
    {
      title: 'Lag of the event loop, p99',
      unit: 's',
      queries: { '{{instance}}': `nodejs_eventloop_lag_p99_seconds{${where}}` },
    },
    {
      title: 'Garbage collection',
      unit: 'percentunit',
      queries: { '{{kind}}': rate('nodejs_gc_duration_seconds_sum', 'kind') },
    },
  ],
}

const datasource = { type: 'prometheus', uid: '${datasource}' }
const width = 6
const height = 7
const across = 24 / width

export function buildDashboard(): Readonly<Record<string, unknown>> {
  let y = 0
  let id = 0
  const panels = Object.entries(rows).flatMap(([title, inRow]) => {
    const row = { id: ++id, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: 24, h: 1 }, panels: [] }
    const made = inRow.map((panel, at) => {
      const place = { x: (at % across) * width, y: y + 1 + Math.floor(at / across) * height, w: width, h: height }
      return describePanel(panel, ++id, place)
    })
    y += 1 + Math.ceil(inRow.length / across) * height
    return [row, ...made]
  })
  return {
    uid: 'apostille',
    title: 'Apostille',
    tags: ['apostille'],
    schemaVersion: 41,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: { list: [variableOfDatasource, variableOfInstance] },
    annotations: { list: [] },
    panels,
  }
}

const variableOfDatasource = {
  ...{ name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
}
const variableOfInstance = {
  ...{ name: 'instance', label: 'Instance', type: 'query', datasource, refresh: 2, sort: 1, hide: 0 },
  query: { query: 'label_values(apostille_config_valid, instance)', refId: 'instance' },
  ...{ multi: true, includeAll: true, allValue: '.*', current: { text: ['All'], value: ['$__all'] } },
}

function describePanel(
  { title, description, unit = 'short', kind = 'timeseries', queries }: Panel,
  id: number,
  gridPos: unknown,
) {
  return {
    ...{ id, type: kind, title, datasource, gridPos },
    ...(description !== undefined && { description }),
    fieldConfig: { defaults: { unit, ...(unit !== 'short' && { min: 0 }) }, overrides: [] },
    options:
      kind === 'timeseries' ? { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } } : {},
    targets: Object.entries(queries).map(([legendFormat, expr], at) => ({
      ...{ refId: String.fromCharCode(65 + at), datasource, expr, legendFormat },
    })),
  }
}
