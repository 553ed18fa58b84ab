"""Pulling of the provider's report: page by page, from the stored key to the end.

A page and the key that follows it are stored together. So a pull can be killed at any point: the next one continues
after the last stored page, and no row is lost or doubled. A long page is stored in pieces, because bets wait for each
transaction. All pieces but the last keep the old key, so that after a crash the page is fetched again and its rows
replace themselves.
"""

from collections.abc import Callable, Iterator

from minwallet.provider.service_client import ProviderFailed, ServiceClient
from minwallet.storage.models import ReportBatch

MAX_PAGES = 1_000
"""The maximum number of pages of one pull. A provider that always has a new key would never end it."""

PIECE_ROWS = 500


def pull_batches(
    service: ServiceClient,
    key: str,
    clock_ms: Callable[[], int],
    *,
    restart: bool = False,
    max_pages: int = MAX_PAGES,
) -> Iterator[ReportBatch]:
    """Yield up to `max_pages` pages of the report after `key`, or with `restart` from the beginning, in pieces.

    The last piece of a page has another key than the ones before. The report is complete if the last batch has
    `ended_at_ms`; it has no rows. The caller must store each batch before it takes the next. Raise OperationError if
    the provider refuses a request, and ProviderFailed if it does not answer properly. A row that cannot be read is in
    `service.skipped`; the pull goes on after it, because the provider would send the same row again.
    """
    after = "" if restart else key
    seen = {after, service.first_key}
    was_empty = False
    for _ in range(max_pages):
        asked_at_ms = clock_ms()
        page = service.fetch_report_page(after)
        has_rows = bool(page.rows or page.skipped)
        # An empty page with a new key means a gap, after which the report continues. Two empty pages are the end.
        is_last = not has_rows and (was_empty or not page.key or page.key in seen)
        if has_rows and page.key in seen:
            # Following a repeated key would never end.
            raise ProviderFailed(
                f"the provider repeated the report key '{page.key}', so the page was not stored; ask the provider"
            )
        following = after if is_last else page.key
        rest = page.rows
        while len(rest) > PIECE_ROWS:
            yield ReportBatch(after, after, rest[:PIECE_ROWS], None, restart)
            rest, restart = rest[PIECE_ROWS:], False
        yield ReportBatch(after, following, rest, asked_at_ms if is_last else None, restart)
        if is_last:
            return
        seen.add(following)
        after, restart, was_empty = following, False, not has_rows
