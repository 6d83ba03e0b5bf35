/**
 * A source that something else keeps fresh on disk: `apostille svid x509 --watch DIR`, a SPIRE agent, spiffe-helper.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import type { TrustDomain } from '../protocol/spiffe-id.ts'
import { createAlarm, type Timing } from './alarm.ts'
import { ApostilleError } from './apostille-error.ts'
import { filesOfFolder, readX509Files, stampOf, type X509Files, type X509Material } from './x509-folder.node.ts'
import { timingOf, type X509Source, type X509SourceEvents } from './x509-source.node.ts'

export interface X509FileSourceOptions {
  /** As `apostille svid x509 --watch DIR` or `--out DIR` makes it; or `files`. */
  readonly folder?: string
  readonly files?: Omit<X509Files, 'federatedBundles'> & Partial<Pick<X509Files, 'federatedBundles'>>
  /** How often to look; default: 2. */
  readonly lookEverySeconds?: number
  /** Default: a timer that does not keep the process alive. */
  readonly startTimer?: Timing['startTimer']
}

/** Resolves with an SVID at hand. @throws {ApostilleError} `files`, `usage` */
export async function createX509FileSource(options: X509FileSourceOptions): Promise<X509Source> {
  const find = finderOf(options)
  const timing = timingOf(options)
  const events = new EventEmitter<X509SourceEvents>().setMaxListeners(0)
  const alarm = createAlarm(timing)
  let stamp = ''
  let held = await readNow()
  let closed = false

  /** The files may change between the look and the reading: then the next look finds another stamp. */
  async function readNow(): Promise<X509Material> {
    const files = await find()
    const next = await stampOf(files).catch((cause: NodeJS.ErrnoException) => {
      throw new ApostilleError(`${cause.path ?? files.certFile} is not there (${cause.code})`, { code: 'files', cause })
    })
    if (next === stamp) return held
    const material = await readX509Files(files)
    stamp = next
    return material
  }

  async function refresh(): Promise<void> {
    const next = await readNow()
    if (next === held || closed) return
    held = next
    queueMicrotask(() => {
      events.emit('svid', next.svid)
      events.emit('bundles')
    })
  }

  async function look(): Promise<void> {
    try {
      await refresh()
    } catch (error) {
      if (!(error instanceof ApostilleError)) throw error
      if (!closed) events.emit('failure', error)
    }
    schedule()
  }

  function schedule(): void {
    const everyMs = (options.lookEverySeconds ?? 2) * 1000
    if (!closed) alarm.set(new Date(timing.now().getTime() + everyMs), () => void look())
  }

  function close(): void {
    closed = true
    alarm.cancel()
  }

  schedule()
  return {
    svid: () => held.svid,
    bundles: () => held.bundles,
    jwtKeys: {
      find: (trustDomain: TrustDomain) =>
        held.bundles.find((bundle) => bundle.trustDomain === trustDomain)?.jwtAuthorities ?? [],
    },
    events,
    refresh,
    close,
    [Symbol.dispose]: close,
  }
}

function finderOf({ folder, files }: X509FileSourceOptions): () => Promise<X509Files> {
  if ((folder === undefined) === (files === undefined))
    throw new ApostilleError('name either `folder` or `files`', { code: 'usage' })
  if (folder !== undefined) return () => filesOfFolder(folder)
  const { federatedBundles = {}, ...own } = files as NonNullable<X509FileSourceOptions['files']>
  return async () => ({ ...own, federatedBundles })
}
