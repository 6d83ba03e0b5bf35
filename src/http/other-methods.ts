/**
 * What is said to a method that a path does not take.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6 RFC 9110 §15.5.6}
 * @module
 */
import type { Env, Hono } from 'hono'
import { Refusal } from '../core/refusal.ts'

/** Comes after all routes of the application. */
export function refuseOtherMethods<AppEnv extends Env>(app: Hono<AppEnv>): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, method } of app.routes) {
    if (path === '/*') continue
    methods.set(path, (methods.get(path) ?? new Set()).add(method))
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed, ...(allowed.has('GET') ? ['HEAD'] : [])].join(', ')
    app.all(path, (c): Response => {
      c.header('allow', allow)
      throw new Refusal('method_not_allowed', 'no such method here')
    })
  }
}
