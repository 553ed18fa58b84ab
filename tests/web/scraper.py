"""A client that scrapes a server's metrics, as Prometheus does."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.support import Server
from tests.web.api_client import create_key

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape(NamedTuple):
    """The metrics at one moment: the text, and each value by its name and labels."""

    text: str
    samples: Samples

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value with this name and these labels, or 0 if there is none."""
        return self.samples.get((f"minwallet_{name}", frozenset(labels.items())), 0)

    def get_label_values(self, name: str) -> set[str]:
        """Return the values of the labels of this metric."""
        return {value for known, labels in self.samples if known == f"minwallet_{name}" for _, value in labels}

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.samples}


class Scraper:
    """A client with a key that reads for all agents."""

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
