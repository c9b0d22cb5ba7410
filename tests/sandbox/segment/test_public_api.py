"""The local Segment's Public API keeps the rules of the reference. Its figures are those of the inbox."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from sandbox import Sandbox
from sandbox.segment.public_api import SOURCE_ID
from support.sandbox_clients import EVENT, NOON, batch

DAY = NOON.date().isoformat()
HOUR_AGO, MINUTE_AGO = NOON - timedelta(hours=1), NOON - timedelta(minutes=1)
KEY_OF_NOBODY = "a" * 32
BETA = {"Accept": "application/vnd.segment.v1beta+json"}


def ask(sandbox, path, params=None, **headers):
    """Ask the Public API as its documentation says. *headers* replace what is sent otherwise."""
    usual = {
        "Authorization": f"Bearer {sandbox.segment.public_api_token}",
        "Accept": BETA["Accept"] if "overview" in path else "application/vnd.segment.v1+json",
    }
    return requests.get(sandbox.public_api_url + path, params=params, headers=usual | headers, timeout=5)


def period(start=HOUR_AGO, end=MINUTE_AGO, granularity="HOUR", **more):
    """Return the parameters that say what a series covers."""
    return {
        "granularity": granularity, "startTime": start.isoformat(), "endTime": end.isoformat(), **more
    }  # fmt: skip


def volume(sandbox, **more):
    """Return the volume of the last hour by event name."""
    return {
        row["eventName"]: row["total"]
        for row in ask(sandbox, "/events/volume", period(**{"groupBy.0": "eventName"}, **more)).json()[
            "data"
        ]["result"]
    }


def overview(sandbox, name, *group_by):
    """Return what an overview of the last hour says, each row as its labels and its total."""
    groups = {f"groupBy.{number}": label for number, label in enumerate(group_by)}
    answer = ask(sandbox, f"/delivery-overview/{name}", period(sourceId=SOURCE_ID, **groups))
    assert answer.status_code == 200, answer.text
    return [
        (*(row.get(label) for label in group_by), row["total"]) for row in answer.json()["data"]["dataset"]
    ]


def later(sandbox):
    """Let two minutes pass at half past eleven, so that what arrived can be asked for at noon."""
    sandbox.clock.set(NOON)


@pytest.fixture
def segment(segment, sandbox):
    """A client for Segment at half past eleven."""
    sandbox.clock.set(NOON - timedelta(minutes=30))
    return segment


def test_a_token_names_its_workspace_and_its_sources(sandbox):
    assert ask(sandbox, "/").json()["data"]["workspace"]["slug"] == "sandbox"
    sources = ask(sandbox, "/sources").json()["data"]["sources"]
    assert [(source["enabled"], source["writeKeys"]) for source in sources] == [
        (True, [f"other{0:027d}"]), (True, [f"other{1:027d}"]), (True, ["sandbox-write-key"])
    ]  # fmt: skip
    assert ask(sandbox, f"/sources/{SOURCE_ID}").json() == {"data": {"source": sources[-1]}}
    assert ask(sandbox, "/sources/nobody").status_code == 404


def test_a_list_comes_page_by_page(sandbox):
    """Each cursor leads to the next page. The last page has none. Both spellings of a list are read."""
    seen, params = [], {"pagination.count": 2}
    while True:
        answer = ask(sandbox, "/sources", params).json()["data"]
        seen += [source["slug"] for source in answer["sources"]]
        if "next" not in answer["pagination"]:
            break
        params = {"pagination[count]": 2, "pagination[cursor]": answer["pagination"]["next"]}
    assert seen == ["other-0", "other-1", "gladly"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Authorization": ""}, 401, id="no token"),
        pytest.param({"Authorization": "Bearer other"}, 401, id="unknown token"),
        pytest.param({"Authorization": "Basic c2FuZGJveC1wdWJsaWMtYXBpLXRva2VuOg=="}, 401, id="Basic"),
        pytest.param({"Accept": "application/vnd.segment.v9+json"}, 404, id="unknown version"),
        pytest.param({"Accept": "application/json"}, 200, id="plain JSON, as the npm SDK asks"),
    ],
)
def test_the_headers_are_judged(sandbox, headers, status):
    answer = ask(sandbox, "/", **headers)
    assert answer.status_code == status
    assert ("errors" in answer.json()) == (status != 200)


def test_a_beta_call_needs_the_beta_header(sandbox):
    params = period(sourceId=SOURCE_ID)
    path = "/delivery-overview/successfully-received"
    assert ask(sandbox, path, params).status_code == 200
    assert ask(sandbox, path, params, Accept="application/vnd.segment.v1+json").status_code == 404


def test_what_a_token_may_do(sandbox):
    """A token without the role Source Admin is shown no write keys. One without rights is answered 403."""
    sandbox.segment.access = "source_reader"
    assert ask(sandbox, f"/sources/{SOURCE_ID}").json()["data"]["source"]["writeKeys"] == []
    sandbox.segment.access = "none"
    assert ask(sandbox, "/").status_code == 403
    sandbox.segment.access, sandbox.segment.region = "source_admin", "eu"
    assert ask(sandbox, "/").status_code == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"granularity": "WEEK"},
        {"granularity": "hour"},
        {"startTime": "yesterday"},
        {"startTime": ""},
        {"endTime": (NOON - timedelta(seconds=59)).isoformat()},
        {"endTime": HOUR_AGO.isoformat()},
        {"groupBy.0": "weekday"},
        {"groupBy.1": "eventName"},
        {"groupBy": "eventName"},
        {"pagination.count": 0},
        {"pagination.count": 1001},
        {"pagination.cursor": "x"},
        {"colour": "red"},
    ],
    ids=lambda wrong: next(f"{name}={value}" for name, value in wrong.items()),
)
def test_a_wrong_parameter_is_answered_422(sandbox, wrong):
    answer = ask(sandbox, "/events/volume", period() | wrong)
    assert (answer.status_code, list(answer.json())) == (422, ["errors"])


@pytest.mark.parametrize(
    ("granularity", "start", "end", "status"),
    [
        ("MINUTE", timedelta(hours=4, minutes=1), timedelta(minutes=1), 200),
        ("MINUTE", timedelta(hours=5), timedelta(minutes=1), 422),
        ("MINUTE", timedelta(hours=49), timedelta(hours=48), 422),
        ("HOUR", timedelta(days=14), timedelta(minutes=1), 200),
        ("HOUR", timedelta(days=15), timedelta(minutes=1), 422),
        ("DAY", timedelta(days=30), timedelta(minutes=1), 200),
        ("day", timedelta(days=30), timedelta(minutes=1), 200),
        ("DAY", timedelta(days=31), timedelta(days=2), 422),
    ],
)
def test_the_overview_reaches_so_far_and_no_further(sandbox, granularity, start, end, status):
    params = period(NOON - start, NOON - end, granularity, sourceId=SOURCE_ID)
    assert ask(sandbox, "/delivery-overview/failed-on-ingest", params).status_code == status


def test_the_volume_allows_60_requests_a_minute(sandbox):
    """Above the limit the answer is 429, and says when there is room again."""
    answers = [ask(sandbox, "/events/volume", period()) for _ in range(62)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert 1 <= int(refused[0].headers["Retry-After"]) <= 60


def test_what_was_received_is_counted_by_name_and_time(sandbox, segment):
    """The start of the period counts and its end does not. What came again counts once."""
    batch(segment, EVENT, EVENT, EVENT | {"messageId": "m-2", "event": "Other"})
    later(sandbox)
    assert volume(sandbox) == {"Said Hello": 1, "Other": 1}
    assert overview(sandbox, "successfully-received", "eventName") == [("Other", 1), ("Said Hello", 1)]
    at = sandbox.inbox.attempts[0].at
    assert volume(sandbox, start=at, end=at + timedelta(milliseconds=1)) != {}
    assert volume(sandbox, start=at - timedelta(seconds=1), end=at) == {}
    [row] = ask(sandbox, "/events/volume", period(granularity="DAY")).json()["data"]["result"]
    assert row["series"] == [{"time": f"{DAY}T00:00:00.000Z", "count": 2}]


def test_the_volume_is_asked_by_source_name_and_type(sandbox, segment):
    batch(segment, EVENT, {"type": "identify", "userId": "u-1"})
    later(sandbox)
    by_type = ask(sandbox, "/events/volume", period(**{"groupBy[0]": "eventType", "groupBy[1]": "source"}))
    rows = by_type.json()["data"]["result"]
    assert {(row["eventType"], row["source"]["id"], row["total"]) for row in rows} == {
        ("track", SOURCE_ID, 1), ("identify", SOURCE_ID, 1)
    }  # fmt: skip
    assert volume(sandbox, **{"sourceId.0": "other00000000000000000"}) == {}
    assert volume(sandbox, **{"sourceId.0": SOURCE_ID, "eventName.0": "Other"}) == {}


def test_the_key_of_nobody_is_counted_nowhere(sandbox, segment):
    segment.auth = (KEY_OF_NOBODY, "")
    assert batch(segment, EVENT).status_code == 200
    later(sandbox)
    assert volume(sandbox) == {}
    assert overview(sandbox, "failed-on-ingest") == [(0,)]


@pytest.mark.parametrize(
    ("settings", "overview_of", "reason"),
    [
        ({"source_enabled": False}, "failed-on-ingest", "source_disabled"),
        ({"region": "eu", "public_api_region": "eu"}, "failed-on-ingest", "project_not_found"),
        ({"blocked_events": {"Said Hello": "unplanned"}}, "filtered-at-source", "unplanned"),
        ({"blocked_events": {"Said Hello": "schema_violation"}}, "filtered-at-source", "schema_violation"),
    ],
    ids=["disabled source", "another region", "event not in the plan", "event against the plan"],
)
def test_what_was_dropped_after_the_200_is_counted_with_its_reason(
    sandbox, segment, settings, overview_of, reason
):
    for name, value in settings.items():
        setattr(sandbox.segment, name, value)
    assert batch(segment, EVENT).json() == {"success": True}
    later(sandbox)
    assert len(sandbox.inbox) == 0
    assert overview(sandbox, overview_of, "eventName", "discardReason") == [("Said Hello", reason, 1)]
    assert volume(sandbox) == {}


def test_an_event_from_nobody_fails_on_ingest(sandbox, segment):
    batch(segment, {"type": "track", "event": "x"})
    later(sandbox)
    assert overview(sandbox, "failed-on-ingest", "discardReason") == [("no_user_anon_id", 1)]


# Run by node. It prints what the SDK read as one line of JSON.
SDK_PROGRAM = """
const sdk = require("@segment/public-api-sdk-typescript");
const [token, url, sourceId, startTime, endTime] = process.argv.slice(2);
function api(Kind) {
  const made = new Kind(url);
  made.accessToken = token;
  return made;
}
async function ask() {
  const workspace = await api(sdk.WorkspacesApi).getWorkspace();
  const slugs = [];
  let cursor;
  do {
    const pagination = cursor ? { count: 2, cursor } : { count: 2 };
    const page = await api(sdk.SourcesApi).listSources(pagination);
    page.body.data.sources.forEach((source) => slugs.push(source.slug));
    cursor = page.body.data.pagination.next;
  } while (cursor);
  const volume = await api(sdk.EventsApi).getEventsVolumeFromWorkspace(
    "DAY", startTime, endTime, ["eventName"], [sourceId]);
  const failed = await api(sdk.DeliveryOverviewApi).getIngressFailedMetricsFromDeliveryOverview(
    sourceId, startTime, endTime, "day", { count: 10 }, ["eventName", "discardReason"]);
  const wrong = api(sdk.WorkspacesApi);
  wrong.accessToken = "wrong";
  const refused = await wrong.getWorkspace().then(() => 200, (error) => error.statusCode);
  console.log(JSON.stringify({
    workspace: workspace.body.data.workspace.slug,
    slugs,
    volume: volume.body.data.result.map((row) => [row.eventName, row.total]),
    failed: failed.body.data.dataset.map((row) => [row.eventName, row.discardReason, row.total]),
    refused,
  }));
}
ask().catch((error) => { console.error(error.body || error); process.exit(1); });
"""


@pytest.fixture(scope="session")
def sdk(tmp_path_factory) -> Path:
    """A directory with Segment's own SDK for the Public API, installed by npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm")
    directory = tmp_path_factory.mktemp("sdk")
    (directory / "package.json").write_text("{}")
    (directory / "ask.js").write_text(SDK_PROGRAM)
    install = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "@segment/public-api-sdk-typescript@47.0.0-b8398",
    ]
    try:
        done = subprocess.run(install, cwd=directory, capture_output=True, text=True, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install the SDK in time")
    if done.returncode != 0:
        pytest.skip("npm could not install the SDK")
    return directory


@pytest.mark.long
def test_segments_own_sdk_reads_every_answer(sdk, sandbox: Sandbox, segment):
    """npm's @segment/public-api-sdk-typescript reads all pages and figures. Its wrong token is refused."""
    batch(segment, EVENT)
    sandbox.segment.source_enabled = False
    batch(segment, EVENT | {"messageId": "m-2"})
    later(sandbox)
    start = datetime(NOON.year, NOON.month, NOON.day, tzinfo=UTC)
    asked = [sandbox.segment.public_api_token, sandbox.public_api_url, SOURCE_ID, start, MINUTE_AGO]
    told = [each.isoformat() if isinstance(each, datetime) else each for each in asked]
    ended = subprocess.run(
        ["node", "ask.js", *told], cwd=sdk, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "workspace": "sandbox",
        "slugs": ["other-0", "other-1", "gladly"],
        "volume": [["Said Hello", 1]],
        "failed": [["Said Hello", "source_disabled", 1]],
        "refused": 401,
    }
