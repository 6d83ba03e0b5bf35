/**
 * Where services of AWS are.
 *
 * @see {@link https://docs.aws.amazon.com/general/latest/gr/rande.html Service endpoints}
 * @module
 */

/** Partitions whose regions say so; `amazonaws.com` has the others. */
const suffixes: readonly (readonly [RegExp, string])[] = [
  [/^cn-/, 'amazonaws.com.cn'],
  [/^eusc-/, 'amazonaws.eu'],
  [/^us-iso-/, 'c2s.ic.gov'],
  [/^us-isob-/, 'sc2s.sgov.gov'],
  [/^eu-isoe-/, 'cloud.adc-e.uk'],
  [/^us-isof-|^eu-isof-/, 'csp.hci.ic.gov'],
]

/** Of a service in a region. */
export function awsEndpoint(service: 'sts' | 'secretsmanager', region: string): string {
  const [, suffix = 'amazonaws.com'] = suffixes.find(([pattern]) => pattern.test(region)) ?? []
  return `https://${service}.${region}.${suffix}`
}
