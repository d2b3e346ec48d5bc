"""The process of the Appwrite stand-in; it needs no Django."""

from pathlib import Path

from sandbox.appwrite.server import make_server

VERSION = "1.9.6"


def serve(port: int, home: Path) -> None:
    """Serves until the process is ended."""
    make_server(port, server_version=VERSION, state_dir=home).serve_forever()
