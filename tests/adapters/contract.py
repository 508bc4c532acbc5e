"""A peer's OpenAPI file, and whether what goes over the wire keeps to it."""

from importlib.resources import files
from typing import Any, Final

import yaml
from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from hlrd.codec.http import HTTPReply, HTTPRequest

_HOST: Final = "http://ne1.example"
_JSON: Final = "application/json"


class Contract:
    def __init__(self, dialect: str) -> None:
        text = files("adapters").joinpath(f"contracts/{dialect}.yaml").read_text("utf-8")
        self.document: dict[str, Any] = yaml.safe_load(text)
        self._openapi = OpenAPI.from_dict(self.document)

    @property
    def path(self) -> str:
        """Of the service."""
        url: str = self.document["servers"][0]["url"]
        return url

    @property
    def operations(self) -> dict[str, Any]:
        """By operationId."""
        found = [each for path in self.document["paths"].values() for each in path.values()]
        return {each["operationId"]: each for each in found if "operationId" in each}

    def codes(self) -> set[str]:
        """What the answers may say."""
        schemas = self.document["components"]["schemas"].values()
        named = [schema.get("properties", {}).get("code", {}) for schema in schemas]
        return {code for each in named for code in each.get("enum", ())}

    def check_request(self, request: HTTPRequest) -> None:
        """Raises OpenAPIError."""
        self._openapi.validate_request(_request(request))

    def check_reply(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Raises OpenAPIError."""
        response = MockResponse(reply.body, status_code=reply.status, content_type=_JSON)
        self._openapi.validate_response(_request(request), response)

    def allows(self, request: HTTPRequest) -> bool:
        try:
            self.check_request(request)
        except OpenAPIError:
            return False
        return True


def _request(request: HTTPRequest) -> MockRequest:
    headers = {}
    if request.key:
        headers["Idempotency-Key"] = request.key
    if request.authorization:
        headers["Authorization"] = request.authorization
    return MockRequest(
        _HOST,
        request.method.lower(),
        request.target,
        headers=headers,
        data=request.body or None,
        content_type=_JSON,
    )
