/**
 * The configuration in use, and how another takes its place: as a whole, or not at all.
 *
 * @module
 */
import { type AuthenticatorDeps, createAuthenticator } from '../adapters/authenticators/index.ts'
import type { Authenticator } from '../core/authenticate.ts'
import type { Configuration } from '../core/config.ts'
import type { AuthenticatorConfig } from '../core/config-authenticators.ts'
import { type Configured, createConfigured } from '../core/configured.ts'
import type { ProofRouterDeps } from '../core/proof-router.ts'

export interface ConfigurationHolder {
  readonly configured: () => Configured
  /** Requests that begin after this see the new one; those under way end with the old one. */
  readonly apply: (config: Configuration) => void
  readonly close: () => Promise<void>
}

/** An authenticator with the configuration that made it: as long as that is the same, so are its keys. */
interface Kept {
  readonly configuration: string
  readonly authenticator: Authenticator
}

type HolderDeps = AuthenticatorDeps & Omit<ProofRouterDeps, 'authenticators'>

export function createConfigurationHolder(first: Configuration, deps: HolderDeps): ConfigurationHolder {
  let kept: ReadonlyMap<string, Kept> = new Map()
  let configured = adopt(first)

  function adopt(config: Configuration): Configured {
    const next = new Map<string, Kept>()
    for (const [name, authenticatorConfig] of config.authenticators)
      next.set(name, keepOrMake(name, authenticatorConfig))
    const dropped = [...kept.values()].filter((former) => next.get(former.authenticator.name) !== former)
    kept = next
    for (const { authenticator } of dropped) void authenticator.close?.()
    return createConfigured(
      config,
      [...next.values()].map(({ authenticator }) => authenticator),
      deps,
    )
  }

  function keepOrMake(name: string, config: AuthenticatorConfig): Kept {
    const configuration = JSON.stringify(config)
    const former = kept.get(name)
    return former?.configuration === configuration
      ? former
      : { configuration, authenticator: createAuthenticator(config, deps) }
  }

  return {
    configured: () => configured,
    apply: (config) => {
      configured = adopt(config)
    },
    async close() {
      await Promise.all([...kept.values()].map(({ authenticator }) => authenticator.close?.()))
    },
  }
}

/** Keys whose change takes effect only in a new process. */
export function restartKeys(current: Configuration, next: Configuration): readonly string[] {
  const keys = ['trustDomain', 'store', 'seal', 'listen', 'admin', 'metrics', 'bundle_endpoint'] as const
  const names = {
    trustDomain: 'trust_domain',
    store: 'store',
    seal: 'seal',
    listen: 'listen',
    admin: 'admin',
    metrics: 'metrics',
    bundle_endpoint: 'bundle_endpoint',
  }
  return keys.filter((key) => JSON.stringify(current[key]) !== JSON.stringify(next[key])).map((key) => names[key])
}
