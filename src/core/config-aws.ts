/**
 * What authenticators of type `aws` mean to each other and to AWS.
 *
 * @module
 */
import { awsPartitions, isAwsRegion, regionOfStsHost } from '../protocol/presigned-identity.ts'
import type { AuthenticatorDocument, AwsDocument } from './config-authenticators.ts'
import type { Found } from './config-source.ts'

type Path = Found['path']

export function findAwsProblems(authenticators: ReadonlyMap<string, AuthenticatorDocument>): readonly Found[] {
  const all = [...authenticators].flatMap(([name, config]) => (config.type === 'aws' ? [[name, config] as const] : []))
  return all.flatMap(([name, config], index) => {
    const path = ['authenticators', name]
    const earlier = all.slice(0, index).find(([, other]) => sameSts(config, other))?.[0]
    return [
      ...checkRegions(config, path),
      ...checkEndpoint(config, path),
      ...(earlier === undefined ? [] : [{ path, message: `${earlier} takes the same identities: ${apart}` }]),
    ]
  })
}

const apart = 'one is enough, as rules tell accounts apart by proof.account; others differ in partition or endpoint'

/** A signature says for which host it is, and nothing else of it is known before STS was asked. */
function sameSts(one: AwsDocument, other: AwsDocument): boolean {
  if (one.endpoint !== undefined || other.endpoint !== undefined)
    return one.endpoint !== undefined && other.endpoint !== undefined && hostOf(one) === hostOf(other)
  return one.partition === other.partition
}

function hostOf({ endpoint }: AwsDocument): string | undefined {
  return endpoint === undefined ? undefined : new URL(endpoint).host
}

function checkRegions({ regions = [], partition }: AwsDocument, path: Path): readonly Found[] {
  return regions.flatMap((region, index) =>
    isAwsRegion(region, partition)
      ? []
      : [{ path: [...path, 'regions', index], message: `expected a region of partition ${partition}` }],
  )
}

/** The public hosts belong to a partition, so that one of them is never taken by two authenticators. */
function checkEndpoint(config: AwsDocument, path: Path): readonly Found[] {
  const host = hostOf(config)
  if (host === undefined || awsPartitions.every((partition) => regionOfStsHost(host, partition) === undefined))
    return []
  const message = 'this is a public endpoint, which is known: name its region in regions instead'
  return [{ path: [...path, 'endpoint'], message }]
}
