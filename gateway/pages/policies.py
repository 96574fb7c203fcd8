"""What a browser lets our pages do, and lets others do with them."""

from collections.abc import Mapping

_FEATURES = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")


def playground(live_url: str) -> Mapping[str, str]:
    """Return the headers of the playground, which opens sockets to `live_url` and listens."""
    return _headers(
        {
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": f"'self' {live_url}",
            "worker-src": "'self'",
            "require-trusted-types-for": "'script'",
        },
        microphone="(self)",
    )


def ops() -> Mapping[str, str]:
    """Return the headers of the operations page, which asks nobody but the gateway."""
    return _headers(
        {
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": "'self'",
            "require-trusted-types-for": "'script'",
        },
        microphone="()",
    )


def docs() -> Mapping[str, str]:
    """Return the headers of the reference page, which asks nobody but the gateway.

    Swagger UI writes the HTML of descriptions, cleaned, as text: it does not work with
    trusted types.
    """
    return _headers(
        {
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "connect-src": "'self'",
        },
        microphone="()",
    )


def _headers(directives: Mapping[str, str], *, microphone: str) -> Mapping[str, str]:
    policy = {
        "default-src": "'none'",
        **directives,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    features = dict.fromkeys(_FEATURES, "()") | {"microphone": microphone}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{name}={who}" for name, who in features.items()),
    }
