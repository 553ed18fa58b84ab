"""Settings and health: all settings, no secrets, and warnings."""

from pathlib import Path

import pytest

from minwallet.config import Settings, load_settings
from minwallet.setting_sources import SettingsError
from minwallet.storage.sqlite_versions import has_wal_reset_bug
from minwallet.web import formatting
from tests.support import running_server
from tests.web.backoffice.admin_client import AdminClient, read_table_rows


def test_every_setting_is_shown(db: Path) -> None:
    """The page shows its source and its purpose; of a secret it shows only that it is set."""
    with running_server(db, MINWALLET_CALLBACK_KEY="s3cr3t_w0rd", MINWALLET_JOURNAL_DAYS="7") as server:
        admin_client = AdminClient(server)
        page = admin_client.get_page("/admin/settings")
        rows = [row for row in read_table_rows(page) if len(row) == 3]
        assert len(rows) == len(Settings.model_fields)
        assert [
            "a secret of 11 characters",
            "environment",
            "a secret word; the provider endpoints move below /KEY/",
        ] in rows
        assert ["127.0.0.1", "default", "the address to listen on"] in rows
        assert "s3cr3t_w0rd" not in page
        assert all(f"MINWALLET_{name.upper()}" in page for name in Settings.model_fields)
        assert "provider calls are stored for 7 days" in page
        admin_client.http.close()


def test_empty_settings_are_shown_empty() -> None:
    """An empty setting has no value, and a list is one line."""
    shown = {each.variable: each.value for each in load_settings(callback_allow="10.0.0.0/8, ::1/128").list_settings()}
    assert shown["MINWALLET_CALLBACK_KEY"] == ""
    assert shown["MINWALLET_CALLBACK_ALLOW"] == "10.0.0.0/8, ::1/128"


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        *(("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False)),
        *(("3.45.0", True), ("3.50.6", True), ("3.50.7", False), ("3.51.2", True), ("3.51.3", False), ("4.0.0", False)),
    ],
)
def test_sqlite_versions_with_the_reset_bug(version: str, affected: bool) -> None:
    """These versions can lose commits if two connections write or checkpoint."""
    assert has_wal_reset_bug(version) is affected


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("", ""),
        ("https://wallet.example.com", "https://wallet.example.com"),
        ("https://wallet.example.com/", "https://wallet.example.com"),
        ("http://10.0.0.1:8000/pay/", "http://10.0.0.1:8000/pay"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_public_url_loses_its_trailing_slash(url: str, kept: str) -> None:
    """Then a path can be appended."""
    assert load_settings(public_url=url).public_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "wallet.example.com",
        "ftp://x",
        "https://",
        "https://x?a=1",
        "https://x/#a",
        "https://u:p@x",
        "https://x:0",
        "a b",
    ],
)
def test_an_invalid_public_url_is_rejected(url: str) -> None:
    """The start fails, before a provider finds the mistake."""
    with pytest.raises(SettingsError, match=r"https://wallet\.example\.com"):
        load_settings(public_url=url)


def test_sizes_and_durations_are_formatted() -> None:
    """Units are chosen so that numbers are short."""
    assert [formatting.format_size(size) for size in (0, 999, 1000, 152_480, 83_100_000_000, 10**16)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "152.5 kB",
        "83.1 GB",
        "10000.0 TB",
    ]
    assert [formatting.format_duration(each) for each in (0, 1, 59, 60, 7_200, 200_000)] == [
        "0 seconds",
        "1 second",
        "59 seconds",
        "1 minute",
        "2 hours",
        "2 days",
    ]
    assert formatting.format_number(1_234_567) == "1,234,567"
