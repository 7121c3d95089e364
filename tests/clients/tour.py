"""The official Python SDK as a client: tour.py URL MODE, with a plan on stdin.

MODE is `legacy`, or a version of the modern era. The plan says what is there to be seen: see
`tests/src/tour.rs`. Prints what was seen as one JSON object.
"""

import asyncio
import json
import sys

import mcp_types as types
from mcp import Client
from python_client import elicit, roots


async def sample(context, params):
    text = types.TextContent(type="text", text="forty-two")
    return types.CreateMessageResult(role="assistant", content=text, model="test-model")


async def every(list_page, member):
    found, cursor = [], None
    while True:
        page = await list_page(cursor=cursor)
        found += getattr(page, member)
        cursor = page.next_cursor
        if not cursor:
            return found


def texts(content):
    return "\n".join(block.text for block in content if block.type == "text")


async def call(client, step, **options):
    result = await client.call_tool(step["name"], step.get("arguments"), **options)
    return texts(result.content)


async def settled(client, step):
    """Calls a tool until its text holds what is expected: another call's effect takes its time."""
    if not step:
        return await asyncio.sleep(0.3)
    while True:
        text = await call(client, step["call"])
        if step["expect"] in text:
            return text
        await asyncio.sleep(0.02)


async def cancelled(client, plan):
    running = asyncio.create_task(call(client, plan["call"]))
    await settled(client, plan.get("begun"))
    running.cancel()
    try:
        await running
        return "answered"
    except asyncio.CancelledError:
        return "cancelled"


async def updated(client, mode, plan, events):
    uri = plan["uri"]
    if mode == "legacy":
        await client.subscribe_resource(uri)
        await call(client, plan["cause"])
        return await events.get()
    async with client.listen(resource_subscriptions=[uri]) as subscription:
        await call(client, plan["cause"])
        async for event in subscription:
            return str(event.uri)


async def main(url, mode, plan):
    events = asyncio.Queue()

    async def on_message(message):
        if getattr(message, "method", None) == "notifications/resources/updated":
            events.put_nowait(str(message.params.uri))

    callbacks = {
        "elicitation_callback": elicit,
        "sampling_callback": sample,
        "list_roots_callback": roots,
        "message_handler": on_message,
    }
    async with Client(url, mode=mode, read_timeout_seconds=60, **callbacks) as client:
        seen = {
            "version": client.protocol_version,
            "tools": [tool.name for tool in await every(client.list_tools, "tools")],
            "prompts": [prompt.name for prompt in await every(client.list_prompts, "prompts")],
            "resources": [str(r.uri) for r in await every(client.list_resources, "resources")],
            "templates": [
                template.uri_template
                for template in await every(client.list_resource_templates, "resource_templates")
            ],
            "call": await call(client, plan["call"]),
        }
        prompt = await client.get_prompt(plan["prompt"]["name"], plan["prompt"].get("arguments"))
        seen["prompt"] = texts([message.content for message in prompt.messages])
        seen["read"] = (await client.read_resource(plan["read"])).contents[0].text
        for asked in ["sampling", "elicitation", "roots"]:
            seen[asked] = await call(client, plan[asked])
        progress = []

        async def on_progress(done, total, message):
            progress.append(done)

        await call(client, plan["progress"], progress_callback=on_progress)
        seen["progress"] = progress
        ref = plan["completion"]["ref"]
        kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
        completion = await client.complete(kind.model_validate(ref), plan["completion"]["argument"])
        seen["completion"] = completion.completion.values
        seen["cancelled"] = await cancelled(client, plan["cancel"])
        if plan["cancel"].get("ended"):
            seen["ended"] = await settled(client, plan["cancel"]["ended"])
        seen["updated"] = await updated(client, mode, plan["subscribe"], events)
    print(json.dumps(seen, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))
