/**
 * What a process is told besides its configuration document.
 *
 * @module
 */
import type { LogFormat } from '../adapters/telemetry/log.ts'

export interface ServerSettings {
  /** Path of the configuration document; relative paths in it start at its folder. */
  readonly configFile: string
  readonly logLevel: 'debug' | 'info' | 'warning' | 'error'
  readonly logFormat: LogFormat
  /** What the store is for: one that `dev` made is refused by `serve`. */
  readonly purpose: 'serve' | 'dev'
  readonly env: Readonly<Record<string, string | undefined>>
}
