"""The way in for edits: an MCP client writes what the model then reads."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from fastmcp import Client

from lte_chains.edit import Edit
from lte_chains.integrations.mcp import build_server
from tests.integrations.ways.langchain_ways import Direct


class MCP(Direct):
    """Edits come and go through an MCP server; questions go to the model itself."""

    name: ClassVar[str] = "MCP"

    def add(self, edit: Edit) -> str:
        fields = ("prompt", "target_new", "subject", "relation")
        added = self._call("add_edit", {name: getattr(edit, name) for name in fields})
        return str(added["id"])

    def retract(self, id_: str) -> None:
        self._call("retract_edit", {"id": id_})

    def _call(self, tool: str, arguments: dict[str, Any]) -> Any:
        async def call() -> Any:
            server = build_server(self.memory, allow=("add", "retract"))
            async with Client(server) as client:
                return (await client.call_tool(tool, arguments)).data

        return asyncio.run(call())
