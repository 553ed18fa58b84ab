"""Pull the provider's report: from the kept key to the end, page after page.

A page and the key that follows it are kept together, so a pull may be killed anywhere: the next one goes on where the
last page was kept, and no row is lost or doubled.
"""

from collections.abc import Callable, Iterator

from minwallet.provider.service_client import ProviderFailed, ServiceClient
from minwallet.storage.models import ReportBatch


def pull_batches(
    service: ServiceClient, key: str, clock_ms: Callable[[], int], *, restart: bool = False
) -> Iterator[ReportBatch]:
    """The sheets from `key` on, or with `restart` from the very beginning; the last has no rows.

    Each is to be kept before the next is asked for. Declines where the provider does; may raise ProviderFailed.
    """
    after = "" if restart else key
    seen = {after, service.first_key}
    was_empty = False
    while True:
        asked_at_ms = clock_ms()
        page = service.fetch_report_page(after)
        # An empty page may still know a place further on, where the report goes on after a gap; but not twice in a row.
        is_last = not page.rows and (was_empty or not page.key or page.key in seen)
        if page.rows and page.key in seen:
            # It would have us ask for ever.
            raise ProviderFailed(f"the provider gives the key {page.key} again; ask it why, the page was not kept")
        following = after if is_last else page.key
        yield ReportBatch(after, following, page.rows, asked_at_ms if is_last else None, restart)
        if is_last:
            return
        seen.add(following)
        after, restart, was_empty = following, False, not page.rows
