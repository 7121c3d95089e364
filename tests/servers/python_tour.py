"""A server on the official Python SDK that has something of everything, in both eras of the protocol.

`python_tour.py stdio`; or `http`, or `sse` (the transport of 2024-11-05): on a free port of this machine,
its address printed. Ends when its stdin does. Questions are asked as the era of the request wants them asked.
"""

import asyncio
import socket
import sys
import threading
import os
from typing import Annotated

import anyio
import mcp_types as types
import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from pydantic import BaseModel

server = MCPServer("tour", version="1.0.0", instructions="Look at everything.")
seen = {"started": 0, "cancelled": 0}
notes = {"today": "buy milk"}


class Person(BaseModel):
    name: str


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, and reports each number."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to)
    return f"counted to {to}"


async def who() -> Elicit[Person]:
    return Elicit("Who are you?", Person)


@server.tool()
async def greet(person: Annotated[Person, Resolve(who)]) -> str:
    """Asks who you are, and says hello."""
    return f"Hello, {person.name}!"


async def thought() -> Sample:
    text = types.TextContent(type="text", text="What is the answer?")
    return Sample([types.SamplingMessage(role="user", content=text)], max_tokens=20)


@server.tool()
async def think(answer: Annotated[types.CreateMessageResult, Resolve(thought)]) -> str:
    """Asks the client's model."""
    return f"The model thinks: {answer.content.text}"


async def places() -> ListRoots:
    return ListRoots()


@server.tool()
async def where(roots: Annotated[types.ListRootsResult, Resolve(places)]) -> str:
    """Asks for the client's roots."""
    return "Roots: " + ", ".join(str(root.uri) for root in roots.roots)


@server.tool()
async def wait() -> str:
    """Waits until it is cancelled."""
    seen["started"] += 1
    try:
        await anyio.sleep(600)
    except BaseException:
        seen["cancelled"] += 1
        raise
    return "nobody cancelled"


@server.tool()
def calls() -> str:
    """How many calls of `wait` have begun, and how many were cancelled."""
    return f"{seen['started']} started, {seen['cancelled']} cancelled"


@server.tool()
async def write(day: str, text: str, ctx: Context) -> str:
    """Changes a note."""
    notes[day] = text
    uri = f"note://{day}"
    await ctx.notify_resource_updated(uri)
    return f"wrote {uri}"


@server.resource("note://today")
def today() -> str:
    """What is on for today."""
    return notes["today"]


@server.resource("note://{day}")
def note(day: str) -> str:
    """What is on for a day."""
    return notes.get(day, f"nothing on {day}")


@server.prompt()
def plan(city: str) -> str:
    """Plans a day."""
    return f"Plan a day in {city}."


@server.completion()
async def complete(ref, argument, context):
    cities = ["Paris", "Parma", "Prague"]
    return types.Completion(values=[city for city in cities if city.startswith(argument.value)])


def until_stdin_ends():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


async def over_http(app):
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error")
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run(transport="stdio")
    else:
        threading.Thread(target=until_stdin_ends, daemon=True).start()
        older = sys.argv[1] == "sse"
        app = server.sse_app(sse_path="/mcp") if older else server.streamable_http_app()
        asyncio.run(over_http(app))
