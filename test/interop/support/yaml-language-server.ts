/**
 * The YAML language server that editors run, asked over its standard input as they ask it.
 *
 * @see {@link https://microsoft.github.io/language-server-protocol/ LSP}
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export interface EditorError {
  /** From 1. */
  readonly line: number
  readonly message: string
}

export interface YamlLanguageServer {
  readonly errors: (text: string) => Promise<readonly EditorError[]>
  /** What it offers at the end of the text. */
  readonly completions: (text: string) => Promise<readonly string[]>
  /** What it says of the last word of the text. */
  readonly hover: (text: string) => Promise<string>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: unknown
}

const settings = { yaml: { validate: true, completion: true, hover: true, schemaStore: { enable: false } } }
const folder = dirname(createRequire(import.meta.url).resolve('yaml-language-server/package.json'))

export async function startYamlLanguageServer(): Promise<YamlLanguageServer> {
  const child = spawn(process.execPath, [join(folder, 'bin/yaml-language-server'), '--stdio'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers = new Map<number, (message: Message) => void>()
  const diagnosed = new Map<string, (errors: readonly EditorError[]) => void>()
  let calls = 0
  let documents = 0

  function send(message: Message): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  async function call(method: string, params: unknown): Promise<unknown> {
    const id = ++calls
    const answered = new Promise<Message>((resolve) => answers.set(id, resolve))
    send({ id, method, params })
    const { result, error } = await answered
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return result
  }

  function take(message: Message): void {
    const { id, method, params } = message
    if (method === 'workspace/configuration')
      send({
        id: id ?? 0,
        result: (params as { items: { section: 'yaml' }[] }).items.map(({ section }) => settings[section] ?? {}),
      })
    else if (method === 'textDocument/publishDiagnostics') takeDiagnostics(params as PublishedDiagnostics)
    else if (method !== undefined && id !== undefined) send({ id, result: null })
    else if (id !== undefined) answers.get(id)?.(message)
  }

  function takeDiagnostics({ uri, diagnostics }: PublishedDiagnostics): void {
    diagnosed.get(uri)?.(diagnostics.map(({ range, message }) => ({ line: range.start.line + 1, message })))
  }

  function open(text: string) {
    const uri = `file:///editor/${++documents}.yaml`
    const errors = new Promise<readonly EditorError[]>((resolve) => diagnosed.set(uri, resolve))
    send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text } } })
    const lines = text.split('\n')
    const position = { line: lines.length - 1, character: lines.at(-1)?.length ?? 0 }
    return { at: { textDocument: { uri }, position }, errors }
  }

  readMessages(child.stdout, take)
  await call('initialize', {
    processId: process.pid,
    rootUri: null,
    capabilities: { workspace: { configuration: true } },
  })
  send({ method: 'initialized', params: {} })

  return {
    errors: (text) => open(text).errors,
    async completions(text) {
      const list = (await call('textDocument/completion', open(text).at)) as {
        readonly items: { readonly label: string }[]
      }
      return list.items.map(({ label }) => label)
    },
    async hover(text) {
      const { at } = open(text)
      const position = { ...at.position, character: at.position.character - 1 }
      const said = (await call('textDocument/hover', { ...at, position })) as { contents?: { value?: string } } | null
      return said?.contents?.value ?? ''
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

interface PublishedDiagnostics {
  readonly uri: string
  readonly diagnostics: readonly {
    readonly range: { readonly start: { readonly line: number } }
    readonly message: string
  }[]
}

function readMessages(stream: NodeJS.ReadableStream, take: (message: Message) => void): void {
  let held = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    for (;;) {
      const headEnd = held.indexOf('\r\n\r\n')
      const length = Number(/Content-Length: (\d+)/i.exec(held.subarray(0, headEnd).toString())?.[1])
      if (headEnd < 0 || held.length < headEnd + 4 + length) return
      const body = held.subarray(headEnd + 4, headEnd + 4 + length)
      held = held.subarray(headEnd + 4 + length)
      take(JSON.parse(body.toString()) as Message)
    }
  })
}
