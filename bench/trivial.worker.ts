/**
 * A Worker that reads a request and answers as much as an SVID takes, and does nothing else: what workerd takes by itself.
 *
 * @module
 */

const svid = 'x'.repeat(700)

/** Named by the configuration of a Worker that has one. */
export class Gateway {}

export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method === 'GET') return new Response('ok')
    const { audience } = (await request.json()) as { readonly audience?: unknown }
    return Response.json({ audience, svid })
  },
}
