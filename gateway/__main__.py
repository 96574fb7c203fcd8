"""Start the gateway."""

import asyncio

import structlog

from gateway import http_server
from gateway.app import make_app
from gateway.settings import GatewaySettings
from serving import measuring, process
from serving.certificates import open_certificates
from serving.channel import open_channel

log = structlog.get_logger(__name__)


async def serve(settings: GatewaySettings, stop: asyncio.Event) -> None:
    """Serve until `stop`, then drain."""
    listener = http_server.listen(settings.host, settings.port)
    certificates, https = map(open_certificates, (settings.tls_files, settings.https_files))
    async with open_channel(
        settings.tokenservice_target, certificates, server_name=settings.tokenservice_server_name
    ) as channel:
        host, port, *_ = listener.getsockname()
        log.info(
            "serving",
            address=f"{host}:{port}",
            target=settings.tokenservice_target,
            https=https is not None,
        )
        app = make_app(settings, channel, stop=stop)
        with measuring.capacity(settings.max_concurrent_requests):
            await http_server.serve(app, listener, settings, stop, https=https)


def main() -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    process.run("gateway", GatewaySettings, serve)


if __name__ == "__main__":
    main()
