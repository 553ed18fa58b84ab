"""Somebody who collects a server's numbers, as Prometheus does."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support import Server
from tests.web.api_client import create_key

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape(NamedTuple):
    """What was told at one moment: the text, and each number by its name and labels."""

    text: str
    samples: Samples

    def __call__(self, name: str, **labels: str) -> float:
        """The number of this name and these labels, 0 where nothing was counted yet."""
        return self.samples.get((f"minwallet_{name}", frozenset(labels.items())), 0)

    def get_label_values(self, name: str) -> set[str]:
        """Which values the labels of this number have."""
        return {value for known, labels in self.samples if known == f"minwallet_{name}" for _, value in labels}

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}


class Scraper:
    """Has a key that reads for all agents."""

    def __init__(self, server: Server) -> None:
        self._http = server.http
        self.key = create_key(server, "prometheus", "read")

    def request(self, key: str | None = None) -> httpx2.Response:
        return self._http.get("/metrics", headers={"authorization": f"Bearer {key or self.key}"})

    def scrape(self) -> Scrape:
        response = self.request()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(response.text)
        samples = [sample for family in families for sample in family.samples]
        return Scrape(response.text, {(each.name, frozenset(each.labels.items())): each.value for each in samples})
