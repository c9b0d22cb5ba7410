"""Who may read the state file through a browser: the person at this machine, and no other site."""

import re
from pathlib import Path

import pytest

from inspector.application import Inspector
from inspector.server import page_leading_to
from support.inspector_samples import Browser, cookie_of

EVERY_PAGE = [
    "/",
    "/overview",
    "/conversations",
    "/conversation?id=conversation-1",
    "/state",
    "/state/events",
    "/state/needs_attention",
    "/state/sent_for_customer?customer_id=customer-1",
    "/state?sql=select+1",
    "/state/polls/1",
]


@pytest.mark.parametrize("address", EVERY_PAGE)
def test_every_page_forbids_what_is_not_ours(reader: Browser, address: str) -> None:
    """No script, style, image or request but to the inspector itself; no frame; nothing kept on disk."""
    answer = reader.get(address)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert " style=" not in answer.text
    assert "<script>" not in answer.text
    assert "<style" not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8412", "127.0.0.1.evil.example", "", "10.0.0.7"]
)
def test_another_name_for_this_machine_is_refused(reader: Browser, host: str) -> None:
    """A name that a stranger's DNS points here is not ours."""
    assert reader.get("/api/events", host=host).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8412", "LOCALHOST"])
def test_loopback_is_reached_by_its_own_names_and_through_any_port(reader: Browser, host: str) -> None:
    """Also through a tunnel that listens elsewhere."""
    assert reader.get("/api/events", host=host).status_code == 200


def test_told_to_listen_to_others_it_answers_to_addresses_but_to_no_strange_name(sample: Path) -> None:
    """Listening on every address opens the addresses, not DNS rebinding."""
    inspector = Inspector(sample, "0.0.0.0")
    reader = Browser(inspector)
    assert reader.get("/api/events", host="192.168.1.7:8412").status_code == 200
    assert reader.get("/api/events", host="evil.example").status_code == 403
    inspector.close()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"origin": "https://evil.example"}, id="another origin"),
        pytest.param({"origin": "null"}, id="a sandboxed frame"),
        pytest.param({"origin": "http://127.0.0.1:9999"}, id="another port of this machine"),
        pytest.param(
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, id="an image or a script"
        ),
        pytest.param(
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"},
            id="a frame",
        ),
    ],
)
def test_another_site_reads_nothing(reader: Browser, headers: dict[str, str]) -> None:
    """What a page of another site can make the browser send is refused."""
    answer = reader.get("/state/events.json", **headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_elsewhere_opens_a_page_but_brings_no_query(reader: Browser) -> None:
    """A conversation can be linked to from a chat; SQL cannot be sent in by a link."""
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert reader.get("/conversation?id=conversation-1", **link).status_code == 200
    assert reader.get("/state?sql=select+1", **link).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("address", ["/", "/state", "/state/events", "/-/messages"])
def test_nothing_can_be_changed(reader: Browser, method: str, address: str) -> None:
    """There is no address that takes anything."""
    assert reader.get(address, method=method).status_code == 405


@pytest.mark.parametrize(
    "address",
    [
        "/-/settings.json",
        "/-/databases.json",
        "/-/plugins",
        "/-/auth-token",
        "/-/static/app.css",
        "/_internal",
        "/_memory",
        "/state.db",
        "/assets/../application.py",
        "/assets/%2e%2e/application.py",
    ],
)
def test_what_no_page_needs_is_not_there(reader: Browser, address: str) -> None:
    """Datasette's own corners, the file itself, and our sources."""
    assert reader.get(address).status_code in (403, 404)


@pytest.mark.parametrize(
    "sql",
    [
        "update events set status='pending'",
        "attach database '/etc/passwd' as x",
        "pragma wal_checkpoint(truncate)",
        "select load_extension('x')",
        "with a as (select 1) delete from events",
    ],
)
def test_a_query_of_ones_own_only_reads(sample: Path, reader: Browser, sql: str) -> None:
    """SQL is there for the person at the machine, and reads only."""
    before = sample.read_bytes()
    answer = reader.get(f"/state.json?sql={sql}")
    assert answer.status_code == 400
    assert sample.read_bytes() == before


def test_a_query_that_takes_too_long_is_cut_off(reader: Browser) -> None:
    """A long read would hold up the wiping of erased payloads (semantics 5.1)."""
    endless = "with recursive n(i) as (select 1 union all select i+1 from n) select count(*) from n"
    assert reader.get(f"/state.json?sql={endless}").status_code == 400


def test_another_user_of_the_machine_is_refused_every_page(reader: Browser) -> None:
    """A port on loopback is open to every user, and only who was told the token gets in (faults H3.6)."""
    for address in EVERY_PAGE:
        answer = reader.get(address, cookie="")
        assert answer.status_code == 403
        assert "token" in answer.text


@pytest.mark.parametrize("address", ["/?token={}", "/api/events?token={}", "/state/events.json?token={}"])
@pytest.mark.parametrize("token", ["", "wrong", "0" * 32, "é", "%00"])
def test_a_wrong_token_is_no_token(reader: Browser, address: str, token: str) -> None:
    """However it is sent (faults H3.6)."""
    assert reader.get(address.format(token), cookie="").status_code == 403
    name = cookie_of(reader.inspector).partition("=")[0]
    if token.isascii():
        assert reader.get(address.partition("?")[0], cookie=f"{name}={token}").status_code == 403


@pytest.mark.parametrize("address", ["/", "/overview", "/state/events", "/no-such-page", "/?token=wrong"])
def test_a_person_without_the_token_is_told_where_to_find_it(reader: Browser, address: str) -> None:
    """On a page in the dress of the others, which says nothing of the state file (faults H3.6)."""
    answer = reader.get(address, cookie="", accept="text/html,application/xhtml+xml")
    assert answer.status_code == 403
    assert "<h1>The address needs its token</h1>" in answer.text
    assert "<code>gladly-segment inspect</code>" in answer.text
    for loaded in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
        assert reader.get(loaded, cookie="").status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert reader.inspector.database.file.name not in answer.text


def test_only_the_dress_is_open_to_all(reader: Browser) -> None:
    """No script, no data (faults H3.6)."""
    for address in ("/assets/common.js", "/assets/debugger.js", "/api/events", "/favicon.ico"):
        assert reader.get(address, cookie="").status_code == 403


def test_the_token_in_an_address_becomes_a_cookie(reader: Browser) -> None:
    """The browser goes on to the address without it, and no script can read the cookie (faults H3.6)."""
    token = reader.inspector.token
    answer = reader.get(f"/conversation?id=conversation-1&token={token}", cookie="")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/conversation?id=conversation-1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"
    found = reader.get(answer.headers["location"], cookie="a=b; " + cookie.partition(";")[0])
    assert found.status_code == 200
    assert token not in found.text


@pytest.mark.parametrize("address", ["//evil.example/", "///evil.example", "/\\evil.example"])
def test_the_token_leads_to_no_other_site(reader: Browser, address: str) -> None:
    """An address that a stranger made up stays on the inspector (faults H3.6)."""
    answer = reader.get(f"http://127.0.0.1:8412{address}?token={reader.inspector.token}", cookie="")
    assert not answer.headers.get("location", "/").startswith(("//", "/\\", "http"))


@pytest.mark.parametrize("address", ["/nowhere", "//evil.example/", "/\\evil.example", "/-/settings"])
def test_no_token_stays_in_an_address_that_is_none(reader: Browser, address: str) -> None:
    """The browser goes on to the page that says so (faults H3.6)."""
    address = f"http://127.0.0.1:8412{address}?token={reader.inspector.token}"
    answer = reader.get(address, cookie="", accept="text/html")
    assert (answer.status_code, answer.headers["location"]) == (303, "/not-found")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert reader.get("/not-found", cookie=cookie, accept="text/html").status_code == 404


def test_no_argument_of_a_process_holds_the_token(tmp_path: Path) -> None:
    """The browser is started with a page that only the owner can read (faults H3.6)."""
    page = page_leading_to("http://127.0.0.1:8412/?token=secret", tmp_path)
    assert page.stat().st_mode & 0o077 == 0
    assert "secret" not in page.as_uri()
    assert "url=http://127.0.0.1:8412/?token=secret" in page.read_text()
