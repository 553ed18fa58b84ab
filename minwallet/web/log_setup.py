"""Set-up of the server's log: plain lines on a terminal, one JSON document per line elsewhere.

The access log (`web.gateway.access_log`) writes to the same stream. Its lines have no `level`.
"""

import json
import logging
import time

from minwallet.web.gateway.access_log import LogStream


class _JsonFormatter(logging.Formatter):
    """Formatter for JSON lines with `at`, `level`, `message`, and `traceback` if there is an exception."""

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
    """Write warnings and errors of the whole process to `stream`.

    `basicConfig` does nothing if a handler is already set, such as pytest's.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S") if stream.isatty() else _JsonFormatter()
    )
    logging.basicConfig(handlers=[handler])
