/**
 * Where a gateway listens, as text.
 *
 * @module
 */
import { formatListenAddress } from '../core/listen-address.ts'
import type { Listeners } from './listeners.node.ts'

/** `host:port` with the port that the system chose for 0, or `unix:PATH`. */
export function formatAddresses({ main, admin, metrics }: Listeners['addresses']) {
  return {
    listen: formatListenAddress(main),
    admin: formatListenAddress(admin),
    ...(metrics && { metrics: formatListenAddress(metrics) }),
  }
}
