import { openApplication, openOverHttp1, openOverHttp2 } from '../support/http-subject.ts'
import { httpSuite } from './http-suite.ts'

httpSuite('HTTP/1.1', () => openOverHttp1())
httpSuite('HTTP/2', () => openOverHttp2())
httpSuite('the application without the hot lane', () => openApplication())
