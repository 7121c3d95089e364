"""The official Python SDK as a client: python_client.py URL MODE, with a plan on stdin.

MODE is `legacy`, `auto` or a version of the modern era. The plan is a list of
{"tool", "arguments", "expect_substring"}, and optionally "expect_error": true. Every tool is called
in that order. Questions from the server are answered: forms with plausible values, sampling with a
fixed sentence, roots with one directory. Prints a report as JSON; ends with 1 when an expectation
was not met.
"""

import asyncio
import json
import sys

import mcp_types as types
from mcp import Client


def fill(schema):
    """A value that fits the schema of a form field."""
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema:
        return schema["oneOf"][0]["const"]
    kind = schema.get("type")
    if kind == "array":
        items = schema["items"]
        return [items["enum"][0] if "enum" in items else items["anyOf"][0]["const"]]
    return {"integer": 7, "number": 7.5, "boolean": True}.get(kind, "Alice")


async def elicit(context, params):
    schema = params.model_dump(by_alias=True, exclude_none=True)["requestedSchema"]
    content = {name: fill(field) for name, field in schema["properties"].items()}
    return types.ElicitResult(action="accept", content=content)


async def sample(context, params):
    text = types.TextContent(type="text", text="The model says so.")
    return types.CreateMessageResult(role="assistant", content=text, model="test-model")


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/root", name="root")])


async def call(client, step):
    progress, logged = [], []

    async def on_progress(done, total, message):
        progress.append(done)

    report = {"tool": step["tool"], "progress": progress}
    try:
        result = await client.call_tool(
            step["tool"], step.get("arguments"), progress_callback=on_progress
        )
        texts = [block.text for block in result.content if block.type == "text"]
        report.update(text="\n".join(texts), is_error=bool(result.is_error))
    except Exception as error:  # A protocol error is a result to report, whatever its type.
        report.update(text=f"{type(error).__name__}: {error}", is_error=True)
    wanted = step.get("expect_substring", "")
    expected_error = step.get("expect_error", False)
    report["ok"] = wanted in report["text"] and report["is_error"] == expected_error
    return report


async def all_tools(client):
    names, cursor = [], None
    while True:
        page = await client.list_tools(cursor=cursor)
        names += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if not cursor:
            return names


async def main(url, mode, plan):
    callbacks = {
        "elicitation_callback": elicit,
        "sampling_callback": sample,
        "list_roots_callback": roots,
    }
    async with Client(url, mode=mode, read_timeout_seconds=30, **callbacks) as client:
        report = {"protocol_version": client.protocol_version, "tools": await all_tools(client)}
        report["calls"] = [await call(client, step) for step in plan]
    print(json.dumps(report, ensure_ascii=False))
    return all(step["ok"] for step in report["calls"])


if __name__ == "__main__":
    good = asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))
    sys.exit(0 if good else 1)
