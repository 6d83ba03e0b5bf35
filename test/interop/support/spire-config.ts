/**
 * Configuration files of SPIRE, which are HCL.
 *
 * @module
 */
import { join } from 'node:path'
import type { Relation, SpirePorts, SpireWishes } from './spire.ts'

export type ServerParts = SpireWishes & {
  readonly folder: string
  readonly ports: SpirePorts
  readonly socketPath: string
}

/** Entries are noticed within a second, not five. */
export function serverConfig(parts: ServerParts): string {
  const { folder, ports, upstreamDisk } = parts
  return `
server {
  trust_domain = ${hcl(parts.trustDomain)}
  bind_address = "127.0.0.1"
  bind_port = ${ports.api}
  socket_path = ${hcl(parts.socketPath)}
  data_dir = ${hcl(folder)}
  ca_ttl = ${hcl(parts.caTtl ?? '24h')}
  ${setting('jwt_issuer', parts.jwtIssuer)}
  ${setting('jwt_key_type', parts.jwtKeyType)}
  experimental { cache_reload_interval = "1s" }
  federation {
    bundle_endpoint {
      address = "127.0.0.1"
      port = ${ports.bundleEndpoint}
      refresh_hint = ${hcl(parts.refreshHint ?? '1m')}
      ${endpointProfile(parts.bundleEndpoint)}
    }
    ${(parts.federatesWith ?? []).map(relationBlock).join('\n')}
  }
}
plugins {
  DataStore "sql" {
    plugin_data { database_type = "sqlite3", connection_string = ${hcl(join(folder, 'server.db'))} }
  }
  KeyManager "disk" { plugin_data { keys_path = ${hcl(join(folder, 'keys.json'))} } }
  NodeAttestor "join_token" { plugin_data {} }
  ${upstreamDisk === undefined ? '' : diskPlugin(upstreamDisk)}
}
`
}

function endpointProfile(profile: SpireWishes['bundleEndpoint'] = 'https_spiffe'): string {
  if (profile === 'https_spiffe') return 'profile "https_spiffe" {}'
  // Without the interval, the server does not start.
  return `profile "https_web" {
    serving_cert_file {
      cert_file_path = ${hcl(profile.certificateFile)}
      key_file_path = ${hcl(profile.keyFile)}
      file_sync_interval = "1m"
    }
  }`
}

function relationBlock({ trustDomain, url, endpointSpiffeId }: Relation): string {
  const profile =
    endpointSpiffeId === undefined
      ? 'bundle_endpoint_profile "https_web" {}'
      : `bundle_endpoint_profile "https_spiffe" { endpoint_spiffe_id = ${hcl(endpointSpiffeId)} }`
  return `federates_with ${hcl(trustDomain)} {
    bundle_endpoint_url = ${hcl(url)}
    ${profile}
  }`
}

function diskPlugin({ certificateFile, keyFile, bundleFile }: NonNullable<SpireWishes['upstreamDisk']>): string {
  return `UpstreamAuthority "disk" {
    plugin_data {
      cert_file_path = ${hcl(certificateFile)}
      key_file_path = ${hcl(keyFile)}
      ${setting('bundle_file_path', bundleFile)}
    }
  }`
}

export interface AgentParts {
  readonly trustDomain: string
  readonly folder: string
  readonly serverPort: number
  readonly socketPath: string
  /** PEM. */
  readonly bundleFile: string
}

/** It asks the server every second, not every five. */
export function agentConfig(parts: AgentParts): string {
  return `
agent {
  trust_domain = ${hcl(parts.trustDomain)}
  server_address = "127.0.0.1"
  server_port = ${parts.serverPort}
  socket_path = ${hcl(parts.socketPath)}
  trust_bundle_path = ${hcl(parts.bundleFile)}
  data_dir = ${hcl(parts.folder)}
  experimental { sync_interval = "1s" }
}
plugins {
  KeyManager "disk" { plugin_data { directory = ${hcl(parts.folder)} } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = false } }
}
`
}

function setting(name: string, value: string | undefined): string {
  return value === undefined ? '' : `${name} = ${hcl(value)}`
}

/** A string; those of HCL are as JSON's where they hold no template. */
function hcl(text: string): string {
  return JSON.stringify(text)
}
