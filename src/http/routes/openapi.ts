/**
 * `GET /openapi.json`: the description of an API, made when the package is built and loaded when somebody asks for it.
 *
 * @module
 */
import { type PublishedDocument, publishDocument } from '../../core/published-documents.ts'

export const openApiPath = '/openapi.json'

const maxAgeSeconds = 3600

const documents = {
  public: () => import('../../../schema/openapi.json', { with: { type: 'json' } }),
  admin: () => import('../../../schema/openapi-admin.json', { with: { type: 'json' } }),
}

/** Kept as the bytes that are sent. */
export function createOpenApiDocument(api: keyof typeof documents): () => Promise<PublishedDocument> {
  let made: PublishedDocument | undefined
  return async () => {
    made ??= publishDocument(JSON.stringify((await documents[api]()).default), maxAgeSeconds, 'application/json')
    return made
  }
}
