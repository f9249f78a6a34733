"""Requests to an S3 store, looked at from between: which operation they are, and how they are signed."""

from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OPERATIONS = (
    "put",
    "get",
    "head",
    "list",
    "delete",
    "create_upload",
    "put_part",
    "complete",
    "abort",
    "list_uploads",
)


def operation(method: str, path: str) -> str:
    """Which of OPERATIONS a request is."""
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    if "uploadId" in query:
        return {"PUT": "put_part", "POST": "complete", "DELETE": "abort"}[method]
    if "uploads" in query:
        return "create_upload" if method == "POST" else "list_uploads"
    if "list-type" in query:
        return "list"
    return {"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete"}[method]


def signed(
    method: str, url: str, headers: dict[str, str], body: bytes, *, key: tuple[str, str]
) -> dict[str, str]:
    """The headers of a request that was changed on the way, as if it had been meant so."""
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("authorization", "x-amz-content-sha256", "x-amz-date", "content-md5", "host")
        and not name.lower().startswith("x-amz-checksum")
    }
    request = AWSRequest(method, url, kept, body)
    S3SigV4Auth(Credentials(*key), "s3", "us-east-1").add_auth(request)
    return {**dict(request.headers.items()), "Host": urlsplit(url).netloc}
