/**
 * `svid x509 --watch DIR`: a folder with an X.509-SVID and bundles that stay fresh.
 *
 * @module
 */
import { ApostilleError } from '../sdk/apostille-error.ts'
import type { KeyTypeName } from '../sdk/new-key.node.ts'
import { readX509Folder, type X509Material } from '../sdk/x509-folder.node.ts'
import { createX509Source, type X509Source, type X509SourceOptions } from '../sdk/x509-source.node.ts'
import { machineTiming } from './fresh-file.ts'
import type { WorkloadOptions } from './options.ts'
import { formatMoment, type Output } from './output.ts'
import { createPublisher } from './publisher.ts'
import type { HookOptions } from './renewal-hook.ts'
import { sdkError } from './sdk-error.ts'
import { checkProofFlags, noProof } from './server-call.ts'
import { svidFilesOf, writeSvidFolder } from './svid-folder.ts'
import { tellRenewal, tellTrouble, untilStopped } from './watch.ts'

export interface WatchX509Options extends WorkloadOptions, HookOptions {
  readonly keyType: KeyTypeName
  readonly spiffeId?: string
  readonly ttl?: number
  readonly federated?: readonly string[]
  readonly renewAfter?: number
}

/** Comes back when it was stopped. @throws {CliError} when the first SVID is not to be had, or not to be written */
export async function watchX509(output: Output, options: WatchX509Options, folder: string): Promise<void> {
  const source = await openSource(options, await readHeld(options, folder))
  const { publish, stop } = createPublisher({
    output,
    hooks: options,
    write: () => writeSvidFolder(folder, materialOf(source)),
    written: () => tellSvid(output, source, folder),
  })
  const publishLater = () => void publish()
  source.events.on('svid', publishLater).on('bundles', publishLater)
  source.events.on('failure', (error) => tellTrouble(output, 'not renewed yet', sdkError(error, options)))
  const stopped = untilStopped()
  try {
    await publish()
    await stopped
  } finally {
    source.close()
    stop()
  }
}

/** What an earlier run left is the proof of the next one: a join token is spent by then. */
async function readHeld({ spiffeId }: WatchX509Options, folder: string): Promise<X509Material | undefined> {
  try {
    const held = await readX509Folder(folder)
    const { svid } = held
    const isWanted = spiffeId === undefined || svid.spiffeId.uri === spiffeId
    return isWanted && svid.expiresAt > new Date() ? held : undefined
  } catch (error) {
    if (error instanceof ApostilleError) return undefined
    throw error
  }
}

async function openSource(options: WatchX509Options, startFrom: X509Material | undefined): Promise<X509Source> {
  checkProofFlags(options)
  if (startFrom === undefined && options.tokenFile === undefined && options.certFile === undefined) throw noProof()
  try {
    return await createX509Source(sourceOptions(options, startFrom))
  } catch (error) {
    throw error instanceof ApostilleError ? sdkError(error, options) : error
  }
}

function sourceOptions(options: WatchX509Options, startFrom: X509Material | undefined): X509SourceOptions {
  const { server, caFile, tokenFile, certFile, keyFile, authenticator, spiffeId, ttl, keyType, federated } = options
  const { renewAfter } = options
  return {
    server,
    keyType,
    env: {},
    startTimer: machineTiming.startTimer,
    ...(caFile !== undefined && { caFile }),
    ...(tokenFile !== undefined && certFile === undefined && { tokenFile }),
    ...(certFile !== undefined && keyFile !== undefined && { certFile, keyFile }),
    ...(authenticator !== undefined && { authenticator }),
    ...(spiffeId !== undefined && { spiffeId }),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(renewAfter !== undefined && { renewAfterSeconds: renewAfter }),
    ...(federated !== undefined && { federatesWith: federated }),
    ...(startFrom !== undefined && { startFrom }),
  }
}

function materialOf(source: X509Source): X509Material {
  return { svid: source.svid(), bundles: source.bundles() }
}

function tellSvid(output: Output, source: X509Source, folder: string): void {
  const { spiffeId, serialNumber, expiresAt } = source.svid()
  const facts = { spiffe_id: spiffeId.uri, serial_number: serialNumber, expires_at: expiresAt.toISOString() }
  tellRenewal(
    output,
    { ...facts, files: svidFilesOf(folder) },
    () => `${spiffeId.uri} ${serialNumber.slice(0, 8)} in ${folder} expires ${formatMoment(expiresAt, new Date())}`,
  )
}
