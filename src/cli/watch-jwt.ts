/**
 * `svid jwt --watch FILE`: a file with a JWT-SVID that stays fresh.
 *
 * @module
 */
import { CliError } from './cli-error.ts'
import { translateFileError } from './files.ts'
import { type FreshToken, keepFileFresh, machineTiming } from './fresh-file.ts'
import { formatMoment, type Output } from './output.ts'
import { createHookRunner, type HookOptions } from './renewal-hook.ts'
import { tellRenewal, tellTrouble, untilStopped } from './watch.ts'

export interface WatchedJwt extends FreshToken {
  readonly spiffeId: string
}

/** Comes back when it was stopped. @throws {CliError} when the first one is not to be had, or not to be written */
export async function watchJwt(
  output: Output,
  hooks: HookOptions,
  file: { readonly path: string; readonly fetch: () => Promise<WatchedJwt> },
): Promise<void> {
  const { path, fetch } = file
  const follow = createHookRunner(hooks, (error) => tellTrouble(output, 'warning', error))
  const start = () =>
    keepFileFresh<WatchedJwt>({
      path,
      fetch,
      written(svid) {
        tellToken(output, svid, path)
        follow()
      },
      failed: (error) => tellTrouble(output, 'not renewed yet', toCliError(error)),
      ...machineTiming,
    })
  const stopped = untilStopped()
  const { stop } = await translateFileError(path, start)
  await stopped
  stop()
}

function tellToken(output: Output, { spiffeId, expiresAt }: WatchedJwt, file: string): void {
  tellRenewal(
    output,
    { spiffe_id: spiffeId, expires_at: expiresAt.toISOString(), file },
    () => `${spiffeId} in ${file} expires ${formatMoment(expiresAt, new Date())}`,
  )
}

/** Of the file system, or what a command says anyway. */
function toCliError(error: unknown): CliError {
  if (error instanceof CliError) return error
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  return new CliError(`the file can not be written (${code})`, { code: 'file', cause: error })
}
