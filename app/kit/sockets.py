"""Listening sockets whose port is known before a server runs on them."""

import os
import socket

BACKLOG = 2048


def listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket, so that its port is known before the server runs.

    It names its protocol, which socket.create_server does not do: asyncio turns Nagle's algorithm off only where the
    protocol is TCP, and with it on every answer to a plain asyncio client waits 40 ms for an acknowledgement.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
