"""Decodes requests of OTLP by the classes that are made of its protocol, and refuses what they do not know.

A line of standard input is the path of a request and its body in base64; a line of standard output is the same in JSON.
"""

import base64
import sys

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

REQUESTS = {"/v1/traces": ExportTraceServiceRequest, "/v1/logs": ExportLogsServiceRequest}

for line in sys.stdin:
    path, body = line.split()
    content = base64.b64decode(body)
    message = REQUESTS[path].FromString(content)
    # Fields that are not known are kept, and would be written again.
    known = REQUESTS[path].FromString(content)
    known.DiscardUnknownFields()
    if known.SerializeToString() != message.SerializeToString():
        sys.exit(f"{path}: fields that are not known")
    print(MessageToJson(message, indent=None))
