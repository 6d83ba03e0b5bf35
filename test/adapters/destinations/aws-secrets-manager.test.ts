import { destinationContract } from '../../contracts/secret-destination.ts'
import { startAwsStore } from '../../support/aws-store-world.ts'

destinationContract({
  type: 'aws-secrets-manager',
  start: startAwsStore,
  listsEdits: true,
  createsAlone: true,
  recovers: true,
  pageSize: 100,
  tagged: { tags: { team: 'payments' } },
  badNames: ['', 'with space', 'ümlaut', 'x'.repeat(513), 'quote"'],
  tellsPause: false,
})
