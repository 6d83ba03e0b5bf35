/**
 * The Worker: hands each request to the Durable Object that is the gateway. What is exported here is what `wrangler.toml`
 * and service bindings name.
 *
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import type { D1 } from '../adapters/stores/d1-tables.worker.ts'
import { createDurableObjectStore, type DurableStorage, holdsStore } from '../adapters/stores/durable-object.worker.ts'
import { createRecordWriter } from '../adapters/stores/record-writer.ts'
import { createLog } from '../adapters/telemetry/log.ts'
import { ConfigurationError } from '../core/config.ts'
import { Refusal } from '../core/refusal.ts'
import { type Store, StoreError } from '../core/store.ts'
import { type Fields, silentTelemetry, type Telemetry } from '../core/telemetry.ts'
import { problemAnswer } from '../http/problem.ts'
import { type Bindings, readConfiguration } from './bindings.worker.ts'
import { describeError } from './describe-error.ts'
import { openGateway, type WorkerGateway } from './gateway.worker.ts'

interface Environment extends Bindings {
  readonly GATEWAY: { readonly getByName: (name: string) => Gateway }
}

interface ObjectState {
  readonly storage: DurableStorage
}

/** The gateway of the trust domain of this deployment. */
export class Gateway extends DurableObject {
  readonly #bindings: Bindings
  readonly #storage: DurableStorage
  readonly #telemetry = createConsoleTelemetry()
  #opening: Promise<WorkerGateway> | undefined

  constructor(state: ObjectState, bindings: Bindings) {
    super(state, bindings)
    this.#bindings = bindings
    this.#storage = state.storage
  }

  override async fetch(request: Request): Promise<Response> {
    return this.#answer((gateway) => gateway.answer(request))
  }

  async administer(request: Request): Promise<Response> {
    return this.#answer((gateway) => gateway.administer(request))
  }

  async tick(): Promise<void> {
    const gateway = await this.#open()
    await gateway.tick()
  }

  /** What keeps it from starting is tried again with the next request. */
  async #answer(run: (gateway: WorkerGateway) => Promise<Response>): Promise<Response> {
    try {
      return await run(await this.#open())
    } catch (error) {
      const refusal = new Refusal('store_unavailable', describeError(error), { cause: error })
      const { status, headers, body } = problemAnswer(refusal, '')
      return new Response(body, { status, headers })
    }
  }

  #open(): Promise<WorkerGateway> {
    this.#opening ??= this.#start().catch((error: unknown) => {
      this.#opening = undefined
      reportFailure(this.#telemetry, error)
      throw error
    })
    return this.#opening
  }

  async #start(): Promise<WorkerGateway> {
    const bound = readConfiguration(this.#bindings)
    const store = await this.#openStore(bound.config.trustDomain)
    return openGateway({
      ...bound,
      bindings: this.#bindings,
      store,
      openWriter: createRecordWriter,
      telemetry: this.#telemetry,
    })
  }

  async #openStore(trustDomain: string): Promise<Store> {
    const database = this.#bindings['DATABASE'] as D1 | undefined
    if (database === undefined) return createDurableObjectStore(this.#storage, trustDomain)
    if (holdsStore(this.#storage))
      throw new StoreError(
        'other_purpose',
        'this gateway keeps its store in its Durable Object: deploy it without the binding DATABASE, which would begin an empty one',
      )
    const { createD1Store } = await import('../adapters/stores/d1.worker.ts')
    return createD1Store(database, trustDomain)
  }
}

/** For service bindings alone: no route of the public leads here. */
export const Administration = {
  fetch: (request: Request, { GATEWAY }: Environment): Promise<Response> => gatewayOf(GATEWAY).administer(request),
}

export default {
  fetch: (request: Request, { GATEWAY }: Environment): Promise<Response> => gatewayOf(GATEWAY).fetch(request),
  scheduled: (_event: unknown, { GATEWAY }: Environment): Promise<void> => gatewayOf(GATEWAY).tick(),
}

/** A deployment is one trust domain. */
const gatewayOf = (namespace: Environment['GATEWAY']) => namespace.getByName('gateway')

/** The platform takes each call for one line. */
function createConsoleTelemetry(): Telemetry {
  const { log } = createLog({ level: 'info', format: 'json', write: writeLines })
  return { ...silentTelemetry, log }
}

function writeLines(text: string): void {
  // biome-ignore lint/suspicious/noConsole: a Worker has no other place for its log
  for (const line of text.trimEnd().split('\n')) console.log(line)
}

function reportFailure(telemetry: Telemetry, error: unknown): void {
  const log = (message: string, place?: Fields) =>
    telemetry.log('error', `the gateway can not start: ${message}`, place)
  if (!(error instanceof ConfigurationError)) log(describeError(error))
  else for (const { message, line, column, path } of error.diagnostics) log(message, { line, column, path })
}
