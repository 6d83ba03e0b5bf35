/**
 * Makes `docs/metrics.md` of the table of metrics.
 *
 * @module
 */
import { type MetricRow, metrics } from '../src/core/telemetry.ts'

/** What the values of a label are. */
export const labels: Readonly<Record<string, string>> = {
  route: 'Path of the route, with `{target}`, `{path}` where a name stands; `other` for what is none.',
  status: 'Status of the answer.',
  operation:
    '`jwt_svid`, `x509_svid`, `exchange`, `identities`, `kv.read` and so on, as in records; of the store what it was asked, such as `append_records`.',
  code: 'Code of the refusal, as in [answers](http-api.md#errors).',
  result:
    '`ok` or `failed`; of look-ups `hit` or `miss`; of exchanges `exchanged`, `reused`, or how the cloud failed: `unreachable`, `throttled`, `expired_token`, `refused`; of reloads `applied` or `refused`; of syncs how the run ended.',
  authenticator: 'Name of the authenticator in the configuration.',
  target: 'Name of the target in the configuration.',
  ring: '`x509`, or `jwt/` and the algorithm.',
  state: '`prepared`, `active` or `retiring`. Of several in one state the last. Of syncs how a secret stands.',
  listener: '`main` or `bundle_endpoint`.',
  source: 'Where a certificate comes from: `self`, an SVID of ours, or `files`.',
  trust_domain: 'Name of the federated trust domain.',
  document: 'SHA-256 of the configuration document.',
  sync: 'Name of the sync in the configuration.',
  destination: 'Name of the destination in the configuration.',
  change: 'What was done to a secret: `created`, `updated`, `deleted` and so on, as the plan of a sync says it.',
}

export function buildMetricsPage(): string {
  const rows = Object.entries<MetricRow>(metrics)
  const used = new Set(rows.flatMap(([, row]) => row.labels))
  return `# Metrics

Served at \`GET /metrics\`, in the text format of Prometheus: on the admin socket, on \`metrics.listen\` of the configuration, and
on the console. None of them holds a secret, a token or a SPIFFE ID.

    curl -sS --unix-socket .apostille/admin.sock http://localhost/metrics

Dashboard and alert rules made of them: \`deploy/grafana\`, \`deploy/prometheus\`, and [what to do about an alert](alerts.md).

| metric | kind | labels | |
|---|---|---|---|
${rows.map(([name, { kind, labels: names, help }]) => `| \`${name}\` | ${kind} | ${names.map((label) => `\`${label}\``).join(', ')} | ${help} |`).join('\n')}

Times are Unix time: \`time() - …_timestamp_seconds\` is an age, the reverse what is left. Beside these are those of the process
itself, as every Node program has them (\`process_…\`, \`nodejs_…\`).

| label | |
|---|---|
${[...used].map((label) => `| \`${label}\` | ${labels[label]} |`).join('\n')}
`
}
