import { destinationContract } from '../../contracts/secret-destination.ts'
import { startAzureStore } from '../../support/azure-store-world.ts'

destinationContract({
  type: 'azure-key-vault',
  start: startAzureStore,
  listsEdits: true,
  createsAlone: false,
  recovers: true,
  pageSize: 25,
  tagged: { tags: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(128), 'a/b', 'under_score', 'dot.dot'],
  tellsPause: true,
})
