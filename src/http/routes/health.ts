/**
 * `/livez`: the process is up. `/readyz`: it can issue right now. `/readyz/documents`: it can serve what verifiers fetch,
 * which it goes on to do while the store is away.
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

type HealthGateway = Pick<Gateway, 'ready' | 'published' | 'configurationRefused'>

/**
 * Says which part is not ready, and no more: details are on the admin socket. A refused document does not make it
 * unready, as the one before it serves on.
 */
export function readyzAnswer(gateway: HealthGateway): Promise<Answer> {
  return readiness(gateway, gateway.ready)
}

export function readyzDocumentsAnswer(gateway: HealthGateway): Promise<Answer> {
  return readiness(gateway, async () => void gateway.published())
}

async function readiness(
  gateway: Pick<HealthGateway, 'configurationRefused'>,
  check: () => Promise<void>,
): Promise<Answer> {
  const configuration = gateway.configurationRefused() ? 'refused' : 'current'
  try {
    await check()
    return jsonAnswer({ status: 'ok', configuration } satisfies ReadyzDocument)
  } catch (error) {
    const { code } = refusalOf(error)
    const part = code === 'internal' ? 'store_unavailable' : code
    return jsonAnswer({ status: 'unavailable', code: part, configuration } satisfies UnreadyDocument, 503)
  }
}
