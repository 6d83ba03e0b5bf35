import { destinationContract } from '../../contracts/secret-destination.ts'
import { startGcpStore } from '../../support/gcp-store-world.ts'

destinationContract({
  type: 'gcp-secret-manager',
  start: startGcpStore,
  listsEdits: false,
  createsAlone: true,
  recovers: false,
  pageSize: 250,
  tagged: { annotations: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(256), 'a/b', 'dot.dot'],
  tellsPause: true,
})
