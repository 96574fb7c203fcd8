"""HTTP/1.1 as uvicorn speaks it, but for what it says to those who do not."""

from http import HTTPStatus
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import refusal
from gateway.envelope import COMMON_HEADERS, JsonResponse
from gateway.transcoding.errors import InvalidRequestError


class HttpProtocol(HttpToolsProtocol):
    """Refuses malformed HTTP in JSON, like everything else that is refused."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request, and hang up. `msg` is uvicorn's sentence."""
        request_id = uuid4().hex
        refused = refusal.of_request(InvalidRequestError(msg))
        response = JsonResponse(refused.body(request_id), status_code=refused.status)
        response.headers.update(COMMON_HEADERS)
        response.headers["X-Request-Id"] = request_id
        response.headers["Connection"] = "close"
        status = HTTPStatus(refused.status)
        head = [
            f"HTTP/1.1 {status} {status.phrase}\r\n".encode(),
            *(
                name + b": " + value + b"\r\n"
                for name, value in (*self.server_state.default_headers, *response.raw_headers)
            ),
            b"\r\n",
        ]
        self.transport.write(b"".join([*head, bytes(response.body)]))
        self.transport.close()
