/** The part of the platform's own module that is used here. */
declare module 'cloudflare:workers' {
  export abstract class DurableObject {
    constructor(state: object, bindings: object)
    fetch?(request: Request): Promise<Response>
  }
}
