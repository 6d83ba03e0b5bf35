import { join } from 'node:path'
import { cloudClientSuite } from './support/cloud-clients.ts'

const program = join(import.meta.dirname, 'node/clouds.ts')

cloudClientSuite({
  language: 'Node',
  open: async () => [process.execPath, program],
  trust: async (caFile) => ({ NODE_EXTRA_CA_CERTS: caFile }),
  // It warns of its deadline of a second, and waits on.
  isImpatient: false,
  refusals: {
    // After the provider that we told no it asks the next, which knows no https, and says only what that one said.
    gateway: /Protocol "https:" not supported/,
    aws: /Protocol "https:" not supported/,
    azure: /AADSTS700213/,
    google: /unauthorized_client/,
  },
})
