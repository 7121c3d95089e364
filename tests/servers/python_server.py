"""A server on the official Python SDK, over HTTP in both eras, on a free port of this machine.

Prints its address, and ends when its stdin does: a test that dies leaves nothing behind.
"""

import asyncio
import os
import socket
import sys
import threading

import uvicorn
from mcp.server import MCPServer

server = MCPServer("python", version="1.0.0")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def shout(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


def until_stdin_ends():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


async def main():
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server.streamable_http_app(), log_level="error")
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    threading.Thread(target=until_stdin_ends, daemon=True).start()
    asyncio.run(main())
