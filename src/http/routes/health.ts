/**
 * `/livez`: the process is up. `/readyz`: it can issue right now.
 *
 * @module
 */
import type { Gateway } from '../../core/gateway.ts'
import { type Answer, jsonAnswer } from '../answer.ts'
import type { LivezDocument, ReadyzDocument, UnreadyDocument } from '../openapi/published-documents.ts'
import { refusalOf } from '../problem.ts'

export function livezAnswer(): Answer {
  return jsonAnswer({ status: 'ok' } satisfies LivezDocument)
}

type HealthGateway = Pick<Gateway, 'ready' | 'configurationRefused'>

/**
 * Says which part is not ready, and no more: details are on the admin socket. A refused document does not make it
 * unready, as the one before it serves on.
 */
export async function readyzAnswer(gateway: HealthGateway): Promise<Answer> {
  const configuration = gateway.configurationRefused() ? 'refused' : 'current'
  try {
    await gateway.ready()
    return jsonAnswer({ status: 'ok', configuration } satisfies ReadyzDocument)
  } catch (error) {
    const { code } = refusalOf(error)
    const part = code === 'internal' ? 'store_unavailable' : code
    return jsonAnswer({ status: 'unavailable', code: part, configuration } satisfies UnreadyDocument, 503)
  }
}
