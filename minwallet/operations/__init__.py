"""The operator's use cases: requests, replies, and the services that execute them, for CLI, pages and admin API."""
