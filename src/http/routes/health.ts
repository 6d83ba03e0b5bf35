/**
 * `/livez`: the process is up. `/readyz`: it can issue right now.
 *
 * @module
 */
import type { Gateway } from '../../core/gateway.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import { refusalOf } from '../problem.ts'

export function livezAnswer(): Answer {
  return jsonAnswer({ status: 'ok' })
}

/** Says which part is not ready, and no more: details are on the admin socket. */
export async function readyzAnswer(gateway: Pick<Gateway, 'ready'>): Promise<Answer> {
  try {
    await gateway.ready()
    return jsonAnswer({ status: 'ok' })
  } catch (error) {
    const { code } = refusalOf(error)
    return jsonAnswer({ status: 'unavailable', code: code === 'internal' ? 'store_unavailable' : code }, 503)
  }
}
