"""One browser and one gateway, with the built-in model behind it, for all tests of the page."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from dynasor.gateway.settings import read_settings
from dynasor.launch.serving import prepare
from support.browser import Page, browsing
from support.dashboard_page import at
from support.gateway_threads import in_thread
from support.gateways import GatewayHere


@pytest.fixture(scope="package")
def chrome() -> Iterator[Chrome]:
    with browsing() as chrome:
        yield chrome


@pytest.fixture(scope="package")
def here() -> Iterator[GatewayHere]:
    with in_thread(prepare(read_settings(None, {"port": 0}), {})) as here:
        yield here


@pytest.fixture
def page(chrome: Chrome, here: GatewayHere) -> Iterator[Page]:
    with at(chrome, here) as page:
        yield page
