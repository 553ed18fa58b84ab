"""What the server has to say about itself: a line for a person on a terminal, a line of JSON for everything else.

Beside it in the same stream are the lines of the access log (`web.access`), which have no `level`.
"""

import json
import logging
import time

from minwallet.web.gateway.access_log import LogStream


class _JsonFormatter(logging.Formatter):
    """`at`, `level` and `message` as JSON, and the `traceback` of a bug."""

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document)


def configure_logging(stream: LogStream) -> None:
    """Have warnings and errors of the whole process written there, as long as nobody else has asked for them."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S") if stream.isatty() else _JsonFormatter()
    )
    logging.basicConfig(handlers=[handler])
