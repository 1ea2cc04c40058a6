"""A client that others wrote lists, calls, hears of progress and is asked: python call.py LIBRARY MODE URL TOKEN.

What came of it is printed as one JSON object. LIBRARY is `mcp` or `fastmcp`; MODE is `auto`, `legacy` or a generation.
"""

import asyncio
import json
import sys

import httpx2
import mcp_types as types

ROOT = "file:///here"
library, mode, url, token = sys.argv[1:]
progress = []


async def on_progress(value, total, message):
    progress.append(value)


def with_mcp():
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri=ROOT)])

    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return Client(streamable_http_client(url, http_client=http), mode=mode, list_roots_callback=roots)


def with_fastmcp():
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    return Client(StreamableHttpTransport(url, auth=token), mode=mode, roots=[ROOT])


def progress_of(library):
    return {"progress_callback" if library == "mcp" else "progress_handler": on_progress}


async def main():
    async with (with_mcp() if library == "mcp" else with_fastmcp()) as client:
        listed = await client.list_tools()
        tools = listed.tools if library == "mcp" else listed
        echo = await client.call_tool("fake__echo", {"message": "hey"})
        await client.call_tool("fake__progress", {"steps": 3}, **progress_of(library))
        asked = await client.call_tool("fake__ask", {"method": "roots/list", "params": {}})
        print(
            json.dumps(
                {
                    "tools": [tool.name for tool in tools],
                    "echo": echo.content[0].text,
                    "progress": progress,
                    "asked": json.loads(asked.content[0].text),
                }
            )
        )


asyncio.run(main())
