"""The HTTP side: provider endpoints, admin API, back office, health, metrics and the control endpoint."""
