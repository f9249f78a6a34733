"""The first page in a real browser."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from streaming.events import BookSnapshot, Level, Origin, TakerSide, Trade
from tests.conftest import absent
from tests.running import Gateway, NatsServer, Publisher

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]
CHROMIUM = Path(os.environ.get("SSMD_CHROMIUM", "/usr/bin/chromium"))
TICKER = "KXBTC15M-26JUL191145-45"


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(bus: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    asyncio.run(publish(bus.url))
    gateway = Gateway(tmp_path_factory.mktemp("home"), bus.url)
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
async def page(gateway: Gateway, bus: NatsServer) -> AsyncIterator[Page]:
    if not CHROMIUM.exists():
        absent(f"there is no Chromium at {CHROMIUM}; SSMD_CHROMIUM names another place")
    # Not the synchronous API: its greenlets keep a loop running in this thread.
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(f"http://{gateway.address}/")
        await publish(bus.url, n=time.time_ns())
        await expect(page.locator("#state")).to_have_text("live")
        yield page
        await browser.close()


async def publish(url: str, *, price_e4: int | None = None, n: int = 1) -> None:
    """A book, and a trade where a price is given."""
    publisher = await Publisher.open(url, feed="kalshi-sim", stream="ssmd-kalshi-sim")
    origin = Origin(session="kalshi-sim-test", n=n, k=0, received_ns=1_700_000_000_000_000_000, connection=1)
    levels = (Level(4400, 10_000),), (Level(4600, 15_000),)
    await publisher.publish(BookSnapshot(TICKER, *levels, None, origin, is_checkpoint=True))
    if price_e4 is not None:
        trade_origin = Origin(**{**{key: getattr(origin, key) for key in origin.__struct_fields__}, "k": 1})
        await publisher.publish(Trade(TICKER, f"t{n}", price_e4, 1350, TakerSide.BUY, None, trade_origin))
    await publisher.close()


CRASH = """
from datetime import UTC, datetime
from registry.models import DataGap, Feed
DataGap.objects.create(feed=Feed.objects.get(name="kalshi-sim"), date="2026-07-19", gap_type="process_crash",
    gap_start=datetime(2026, 7, 19, 18, 3, 11, tzinfo=UTC), gap_number=1)
"""


def in_registry(gateway: Gateway, code: str) -> None:
    """Run this with the gateway's registry."""
    program = f"import django; django.setup()\n{code}"
    environment = {**gateway.environment, "DJANGO_SETTINGS_MODULE": "ssmd.settings"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


async def test_a_trade_and_its_markets_book_appear_as_they_happen(page: Page, bus: NatsServer) -> None:
    await publish(bus.url, price_e4=4600, n=2)

    await expect(page.locator("#last-price")).to_have_text("$0.46")
    await expect(page.locator("#last-ticker")).to_have_text(TICKER)
    await expect(page.locator("#trades tr")).to_have_count(1)
    await expect(page.locator("#best-bid")).to_have_text("$0.44")
    await expect(page.locator("#depth path")).to_have_count(2)


async def test_a_simulated_exchange_is_labelled_as_such(page: Page) -> None:
    await expect(page.locator(".simulated")).to_contain_text("Simulated exchange")


async def test_the_rates_plot_fills_its_width_from_the_start(page: Page) -> None:
    await expect(page.locator("#rate-plot polyline")).to_have_count(1)

    points, box = await page.evaluate(
        """() => { const plot = document.getElementById("rate-plot");
        return [plot.querySelector("polyline").getAttribute("points"), plot.getAttribute("viewBox")]; }"""
    )
    first, *_, last = points.split()
    assert (first.split(",")[0], last.split(",")[0]) == ("0", box.split()[2])


async def test_an_open_gap_is_said_and_without_it_silence_is_called_quiet(
    page: Page, gateway: Gateway, bus: NatsServer
) -> None:
    in_registry(gateway, CRASH)
    await expect(page.locator("#state")).to_contain_text("gap open: process_crash since 2026-07-19 18:03:11Z")
    await expect(page.locator("#state")).to_have_attribute("data-state", "gap")

    in_registry(gateway, "from registry.models import DataGap; DataGap.objects.all().delete()")
    quiet = page.locator("#state", has_text=re.compile(r"^quiet: no market data for \d+ s$"))
    await expect(quiet).to_have_count(1, timeout=30_000)
    await expect(page.locator("#rate-note")).to_contain_text("no market data for")
    await publish(bus.url, n=time.time_ns())
    await expect(page.locator("#state")).to_have_text("live")


async def test_the_rate_is_counted(page: Page) -> None:
    await expect(page.locator("#rate")).to_have_text(re.compile(r"\d+"))


async def test_every_link_leads_somewhere(page: Page, gateway: Gateway) -> None:
    for link in await page.locator("nav a").all():
        target = await link.get_attribute("href")
        answer = await page.request.get(f"http://{gateway.address}{target}")
        assert answer.status == 200, target


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
