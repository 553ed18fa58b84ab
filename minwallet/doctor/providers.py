"""Checks of the connections to the agents' providers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from minwallet.doctor.diagnosis import Diagnosis, ok, warn
from minwallet.operations.errors import OperationError
from minwallet.provider.service_client import ProviderFailed, ServiceClient
from minwallet.storage.models import Agent

MAX_PARALLEL_CHECKS = 8


def check_providers(agents: Sequence[Agent], timeout_s: float) -> Iterator[Diagnosis]:
    """Check the provider of each agent with a service URL, several in parallel."""
    reachable_agents = [agent for agent in agents if agent.service_url]
    with ThreadPoolExecutor(MAX_PARALLEL_CHECKS) as pool:
        yield from pool.map(lambda agent: check_provider(agent, timeout_s), reachable_agents)


def check_provider(agent: Agent, timeout_s: float) -> Diagnosis:
    """Check that the agent's provider returns a game list. Do not store the list."""
    try:
        with ServiceClient(agent, timeout_s) as service:
            games = service.fetch_games()
    except (OperationError, ProviderFailed) as error:
        return warn("provider", f"agent {agent.name}: {error}")
    words = f"agent {agent.name}: {agent.service_url} lists {len(games)} games"
    if service.skipped.count:
        return warn("provider", "; ".join([words, *service.skipped.describe("games")]))
    return ok("provider", words)
