/**
 * What the gateway reports of itself: counters, timings, gauges and log lines, behind one port.
 *
 * @module
 */

export type LogLevel = 'debug' | 'info' | 'warning' | 'error'

/** Values of a log line or of labels: never a token, a key or a secret. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * Every metric there is, in the order in which it is described: its kind, its help text and its labels. Adapters expose
 * exactly these, and `docs/metrics.md` is made of them.
 */
export const metrics = {
  apostille_http_requests_total: {
    kind: 'counter',
    help: 'HTTP requests by route and status.',
    labels: ['route', 'status'],
  },
  apostille_http_request_duration_seconds: {
    kind: 'histogram',
    help: 'Time from the headers of a request to the end of its answer, by route.',
    labels: ['route'],
  },
  apostille_http_requests_in_flight: { kind: 'gauge', help: 'Requests that are being answered.', labels: [] },
  apostille_http_requests_waiting: {
    kind: 'gauge',
    help: 'Requests that wait for their turn, as more came at once than are begun at once.',
    labels: [],
  },
  apostille_http_requests_shed_total: {
    kind: 'counter',
    help: 'Requests answered 503 because the process was overloaded.',
    labels: [],
  },
  apostille_issued_total: { kind: 'counter', help: 'Credentials issued, by operation.', labels: ['operation'] },
  apostille_issue_duration_seconds: {
    kind: 'histogram',
    help: 'Time from a proof to the credential that is on record, by operation; a batch counts once.',
    labels: ['operation'],
  },
  apostille_refusals_total: {
    kind: 'counter',
    help: 'Refusals, by operation and code.',
    labels: ['operation', 'code'],
  },
  apostille_proof_cache_lookups_total: {
    kind: 'counter',
    help: 'Look-ups in the cache of verified proofs, by result.',
    labels: ['result'],
  },
  apostille_jwks_refreshes_total: {
    kind: 'counter',
    help: 'Fetches of an issuer’s keys, by authenticator and result.',
    labels: ['authenticator', 'result'],
  },
  apostille_jwks_fetched_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the keys held for an issuer were last fetched, as Unix time.',
    labels: ['authenticator'],
  },
  apostille_exchanges_total: {
    kind: 'counter',
    help: 'Exchanges for credentials of clouds, by target and result.',
    labels: ['target', 'result'],
  },
  apostille_exchange_duration_seconds: {
    kind: 'histogram',
    help: 'Time from the first request to a cloud until its credential, by target.',
    labels: ['target'],
  },
  apostille_exchanges_waiting: { kind: 'gauge', help: 'Requests that wait for a cloud.', labels: [] },
  apostille_authority_created_timestamp_seconds: {
    kind: 'gauge',
    help: 'When an authority was made, as Unix time.',
    labels: ['ring', 'state'],
  },
  apostille_authority_active_until_timestamp_seconds: {
    kind: 'gauge',
    help: 'When an authority stops signing, as Unix time; absent while it is prepared.',
    labels: ['ring', 'state'],
  },
  apostille_authority_expiry_timestamp_seconds: {
    kind: 'gauge',
    help: 'When an authority expires and with it everything that it signed, as Unix time.',
    labels: ['ring', 'state'],
  },
  apostille_bundle_sequence: { kind: 'gauge', help: 'Sequence number of the published bundle.', labels: [] },
  apostille_tls_certificate_expiry_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the certificate that a listener shows expires, as Unix time.',
    labels: ['listener', 'source'],
  },
  apostille_federation_polls_total: {
    kind: 'counter',
    help: 'Polls of bundle endpoints, by trust domain and result.',
    labels: ['trust_domain', 'result'],
  },
  apostille_federation_bundle_confirmed_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the bundle of a federated trust domain was last seen to be current, as Unix time.',
    labels: ['trust_domain'],
  },
  apostille_config_valid: { kind: 'gauge', help: '1 when the file on disk is the configuration in use.', labels: [] },
  apostille_config_loaded_timestamp_seconds: {
    kind: 'gauge',
    help: 'When the configuration in use was put into use, as Unix time.',
    labels: [],
  },
  apostille_config_info: {
    kind: 'gauge',
    help: 'Always 1: the digest of the configuration in use, which records name as well.',
    labels: ['document'],
  },
  apostille_sync_runs_total: {
    kind: 'counter',
    help: 'Runs of syncs, by destination and what they came to.',
    labels: ['sync', 'destination', 'result'],
  },
  apostille_sync_run_duration_seconds: {
    kind: 'histogram',
    help: 'Time of one run of a sync at one destination.',
    labels: ['sync', 'destination'],
  },
  apostille_sync_changes_total: {
    kind: 'counter',
    help: 'Secrets that syncs changed at destinations, by kind of change.',
    labels: ['sync', 'destination', 'change'],
  },
  apostille_sync_secrets: {
    kind: 'gauge',
    help: 'Secrets of a sync at a destination by the last run, by how they stand.',
    labels: ['sync', 'destination', 'state'],
  },
  apostille_sync_synced_timestamp_seconds: {
    kind: 'gauge',
    help: 'When everything of a sync at a destination was last as it should be, as Unix time.',
    labels: ['sync', 'destination'],
  },
  apostille_config_reloads_total: {
    kind: 'counter',
    help: 'Reloads of the configuration, by result.',
    labels: ['result'],
  },
  apostille_store_operation_duration_seconds: {
    kind: 'histogram',
    help: 'Time of one operation of the store, whether or not it succeeded.',
    labels: ['operation'],
  },
  apostille_store_commit_duration_seconds: {
    kind: 'histogram',
    help: 'Time of one durable write of records.',
    labels: [],
  },
  apostille_store_commit_records: { kind: 'histogram', help: 'Records joined in one durable write.', labels: [] },
  apostille_store_commit_failures_total: {
    kind: 'counter',
    help: 'Durable writes of records that failed; their requests were refused.',
    labels: [],
  },
  apostille_store_waiting_records: { kind: 'gauge', help: 'Records that wait to be written.', labels: [] },
} as const satisfies Record<string, MetricRow>

export interface MetricRow {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

export type MetricName = keyof typeof metrics

/** Port: where measurements and log lines go. No method throws or waits. */
export interface Telemetry {
  readonly count: (metric: MetricName, labels?: Fields, by?: number) => void
  /** Without a value the series of these labels ends. */
  readonly gauge: (metric: MetricName, value: number | undefined, labels?: Fields) => void
  readonly observe: (metric: MetricName, value: number, labels?: Fields) => void
  readonly log: (level: LogLevel, message: string, fields?: Fields) => void
  /** Runs a phase of a request as a span of its trace. Absent where nothing is traced. */
  readonly trace?: Trace
}

/** What a request goes through, in order. */
export type Phase = 'authenticate' | 'authorise' | 'issue' | 'exchange' | 'record'

/** Answers and throws as the work does; a span of a promise ends with it. */
export type Trace = <T>(phase: Phase, work: () => T) => T

/** The phase alone where nothing is traced. */
export function traced<T>({ trace }: Pick<Telemetry, 'trace'>, phase: Phase, work: () => T): T {
  return trace === undefined ? work() : trace(phase, work)
}

/** Reports nowhere: for what runs without an operator, such as tests and benchmarks. */
export const silentTelemetry: Telemetry = { count() {}, gauge() {}, observe() {}, log() {} }
