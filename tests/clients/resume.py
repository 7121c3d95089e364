"""The official Python SDK as a client whose connections are cut: resume.py URL.

Reads one call a line, {"name": ..., "arguments": ...}, and prints its progress and what came of it,
one line each.
"""

import asyncio
import json
import sys

from mcp import Client


async def on_progress(progress, total, message):
    print(f"progress {progress:g}", flush=True)


async def main(url):
    async with Client(url, mode="legacy") as client:
        print("connected", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            call = json.loads(line)
            try:
                result = await client.call_tool(
                    call["name"], call["arguments"], progress_callback=on_progress
                )
                print(f"answer {result.content[0].text}", flush=True)
            except Exception as error:
                print(f"error {error}", flush=True)


asyncio.run(main(sys.argv[1]))
