"""Somebody who collects a server's numbers, as Prometheus does."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support import Server
from tests.web.api import make_key

Numbers = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape(NamedTuple):
    """What was told at one moment: the text, and each number by its name and labels."""

    text: str
    numbers: Numbers

    def __call__(self, name: str, **labels: str) -> float:
        """The number of this name and these labels, 0 where nothing was counted yet."""
        return self.numbers.get((f"minwallet_{name}", frozenset(labels.items())), 0)

    def labels(self, name: str) -> set[str]:
        """Which values the labels of this number have."""
        return {value for known, labels in self.numbers if known == f"minwallet_{name}" for _, value in labels}

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.numbers}


class Scraper:
    """Has a key that reads for all agents."""

    def __init__(self, server: Server) -> None:
        self._http = server.http
        self.key = make_key(server, "prometheus", "read")

    def ask(self, key: str | None = None) -> httpx2.Response:
        return self._http.get("/metrics", headers={"authorization": f"Bearer {key or self.key}"})

    def scrape(self) -> Scrape:
        response = self.ask()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(response.text)
        samples = [sample for family in families for sample in family.samples]
        return Scrape(response.text, {(each.name, frozenset(each.labels.items())): each.value for each in samples})
