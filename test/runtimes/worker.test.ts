import { openWorker } from '../support/worker-subject.ts'
import { httpSuite } from './http-suite.ts'

httpSuite('workerd', () => openWorker())
