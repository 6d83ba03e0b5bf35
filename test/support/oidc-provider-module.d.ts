/** The part of `oidc-provider`, which has no types of its own, that tests use. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

  interface TokenParts {
    readonly header: Record<string, unknown>
    readonly payload: Record<string, unknown>
  }

  export class Provider {
    constructor(issuer: string, configuration: object)
    callback(): RequestListener
    on(event: string, listener: (...values: unknown[]) => void): this
  }

  export type CustomizeJwt = (context: unknown, token: unknown, parts: TokenParts) => TokenParts
}
