"""Pulling of the provider's report: page by page, from the stored key to the end.

A page and the key that follows it are stored in one transaction. So a pull can be killed at any point: the next one
continues after the last stored page, and no row is lost or doubled.
"""

from collections.abc import Callable, Iterator

from minwallet.provider.service_client import ProviderFailed, ServiceClient
from minwallet.storage.models import ReportBatch


def pull_batches(
    service: ServiceClient, key: str, clock_ms: Callable[[], int], *, restart: bool = False
) -> Iterator[ReportBatch]:
    """Yield the pages of the report after `key`, or with `restart` from the beginning. The last one has no rows.

    The caller must store each page before it takes the next. Raise OperationError if the provider refuses a request,
    and ProviderFailed if it does not answer properly.
    """
    after = "" if restart else key
    seen = {after, service.first_key}
    was_empty = False
    while True:
        asked_at_ms = clock_ms()
        page = service.fetch_report_page(after)
        # An empty page with a new key means a gap, after which the report continues. Two empty pages are the end.
        is_last = not page.rows and (was_empty or not page.key or page.key in seen)
        if page.rows and page.key in seen:
            # Following a repeated key would never end.
            raise ProviderFailed(
                f"the provider repeated the report key '{page.key}', so the page was not stored; ask the provider"
            )
        following = after if is_last else page.key
        yield ReportBatch(after, following, page.rows, asked_at_ms if is_last else None, restart)
        if is_last:
            return
        seen.add(following)
        after, restart, was_empty = following, False, not page.rows
