"""Write the document of the live-token API: `python -m gateway.openapi IMAGE [DOCUMENT]`."""

import argparse
import json
from pathlib import Path

from google.protobuf import descriptor_pb2

from gateway.openapi import document
from gateway.openapi.live_token import LIVE_TOKEN

DOCUMENT = Path(__file__).parents[1] / "openapi.json"


def text(image: bytes) -> str:
    """Return the document of a serialized FileDescriptorSet, as it is committed."""
    made = document.make(descriptor_pb2.FileDescriptorSet.FromString(image), LIVE_TOKEN)
    return json.dumps(made, ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Read an image, as `make image` makes it, and write the document of it."""
    parser = argparse.ArgumentParser(prog="python -m gateway.openapi", description=__doc__)
    parser.add_argument("image", type=Path, help="of protoc, with imports and source info")
    parser.add_argument("document", type=Path, nargs="?", default=DOCUMENT)
    arguments = parser.parse_args()
    arguments.document.write_text(text(arguments.image.read_bytes()), encoding="utf-8")


if __name__ == "__main__":
    main()
