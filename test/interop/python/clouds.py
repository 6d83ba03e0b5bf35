"""The vendors' SDKs for Python as any program uses them. For each line on standard input it starts from nothing, and
writes what came of it as one line of JSON."""

import json
import sys

SCOPE = "https://vault.azure.net/.default"


def ask_aws():
    import boto3

    return {"arn": boto3.Session().client("sts").get_caller_identity()["Arn"]}


def ask_azure():
    from azure.identity import WorkloadIdentityCredential

    # Whether an authority host is one of Microsoft's, the SDK asks Microsoft; this one is not.
    return {"token": WorkloadIdentityCredential(disable_instance_discovery=True).get_token(SCOPE).token}


def ask_managed_identity():
    """As the credential chain does on App Service and Azure Container Apps."""
    from azure.identity import ManagedIdentityCredential

    return {"token": ManagedIdentityCredential().get_token(SCOPE).token}


def ask_google():
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(Request())
    return {"token": credentials.token}


ask = {"aws": ask_aws, "azure": ask_azure, "managed-identity": ask_managed_identity, "google": ask_google}[sys.argv[1]]

for _ in sys.stdin:
    try:
        answer = ask()
    except Exception as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)
