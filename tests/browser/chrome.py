"""Debian's Chromium on the console, with the keys that a person has."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page, async_playwright

from gateway.store.base import Store
from tests.consoles import CONFIG, KEY, console
from tests.fakes import Served

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
Scheme = Literal["light", "dark"]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: make browser installs it")


@dataclass
class Seen:
    """A page in the browser, with everything that it complained about."""

    page: Page
    url: str
    inside: Served | None = None
    """The gateway, if it runs in this process."""
    complaints: list[str] = field(default_factory=list)

    @property
    def served(self) -> Served:
        """The gateway of this process."""
        assert self.inside is not None, "this gateway is a process of its own"
        return self.inside

    async def open(self, path: str) -> None:
        """Go to an address of the console."""
        await self.page.goto(self.url + path)

    async def reach(self, name: str, most: int = 120) -> None:
        """Press Tab until something with this name has the focus."""
        for _ in range(most):
            await self.page.keyboard.press("Tab")
            if await self.page.evaluate(_NAMED, name):
                return
        raise AssertionError(f"{name!r} cannot be reached with the Tab key")

    async def press(self, *keys: str) -> None:
        """Press keys in turn."""
        for key in keys:
            await self.page.keyboard.press(key)

    async def go(self, *keys: str) -> None:
        """Press keys, and wait for the page to which the last one leads."""
        async with self.page.expect_navigation():
            await self.press(*keys)

    async def text(self) -> str:
        """What a person reads."""
        return await self.page.inner_text("body")

    async def width_beyond(self) -> int:
        """Pixels by which the page is wider than its window."""
        wide: int = await self.page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")
        return wide

    async def violations(self) -> list[str]:
        """What axe-core finds wrong."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[dict[str, Any]] = await self.page.evaluate("axe.run().then((result) => result.violations)")
        return [
            f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for each in found
            for node in each["nodes"]
        ]


_NAMED = """(name) => {
  const here = document.activeElement;
  const label = here.labels?.[0]?.innerText ?? "";
  const texts = [here.innerText, here.value, here.getAttribute("aria-label"), here.placeholder, label];
  return texts.some((text) => typeof text === "string" && text.trim().startsWith(name));
}"""


@contextlib.asynccontextmanager
async def opened(
    store: Store | None = None, *, scheme: Scheme = "light", width: int = 1280, height: int = 860,
    script: bool = True, text: str = CONFIG, key: str = KEY,
) -> AsyncIterator[Seen]:  # fmt: skip
    """A browser that signed in by keyboard, on a gateway of this process."""
    window: dict[str, Any] = {"scheme": scheme, "width": width, "height": height, "script": script, "key": key}
    async with console(store, text) as served, chromium_at(served.url, **window) as seen:
        seen.inside = served
        yield seen


@contextlib.asynccontextmanager
async def chromium_at(
    url: str, *, scheme: Scheme = "light", width: int = 1280, height: int = 860, script: bool = True, key: str = KEY,
) -> AsyncIterator[Seen]:  # fmt: skip
    """A browser that signed in by keyboard, on the gateway at ``url``."""
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = await chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
            bypass_csp=False,
        )
        page = await context.new_page()
        seen = Seen(page, url)
        page.on("pageerror", lambda error: seen.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: seen.complaints.append(f"dialog: {dialog.message}"))
        page.on("console", lambda said: seen.complaints.append(said.text) if "Security Policy" in said.text else None)
        await seen.open("/ui/login")
        await page.focus("[name=key]")
        await page.keyboard.type(key)
        await seen.go("Enter")
        yield seen
        await chromium.close()
