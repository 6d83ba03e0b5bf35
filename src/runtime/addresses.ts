/**
 * Where a gateway listens, as text.
 *
 * @module
 */
import { formatListenAddress } from '../core/listen-address.ts'
import type { Listeners } from './listeners.node.ts'

/** `host:port` with the port that the system chose for 0, or `unix:PATH`. */
export function formatAddresses({ main, admin, console, metrics }: Listeners['addresses']) {
  return {
    listen: formatListenAddress(main),
    admin: formatListenAddress(admin),
    ...(console && { console: formatListenAddress(console) }),
    ...(metrics && { metrics: formatListenAddress(metrics) }),
  }
}
