/**
 * What the processes of `serve --workers` say to each other.
 *
 * @module
 */
import type { Listeners } from './listeners.node.ts'

/** From the process that was started to a worker. */
export type Order =
  | { readonly kind: 'reload' }
  | { readonly kind: 'stop' }
  /** Its own metrics are wanted. */
  | { readonly kind: 'collect'; readonly id: number }
  /** Those of all workers, which it asked for. */
  | { readonly kind: 'collected'; readonly id: number; readonly body: string }

/** From a worker to the process that was started. */
export type Report =
  | { readonly kind: 'ready'; readonly addresses: Listeners['addresses'] }
  /** An operator had it reload: the others are to do the same. */
  | { readonly kind: 'reloaded' }
  /** Somebody asked it for metrics, which are those of all workers. */
  | { readonly kind: 'gather'; readonly id: number }
  | { readonly kind: 'metrics'; readonly id: number; readonly body: string }
