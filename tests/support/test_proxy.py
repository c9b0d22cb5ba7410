"""The proxy passes everything through, except for what a rule names."""

from support.proxy_actions import answer
from support.sandbox_clients import FEED


def test_what_no_rule_names_passes_unchanged(sandbox, gladly, proxy, through):
    direct, passed = gladly.get(FEED), through.get(FEED)
    assert passed.content == direct.content != b""
    assert passed.headers["Content-Type"] == direct.headers["Content-Type"]
    assert through.get("/agents/none").status_code == 404
    ask = {"metricSet": "ConversationExportReport", "startAt": "2026-11-01", "endAt": "2026-11-01"}
    assert through.post("/reports", json=ask).status_code == 200
    assert through.post("/reports", data=iter([b"{", b"}"])).status_code == 400
    assert proxy.seen[0] == ("GET", "/api/v1" + FEED)


def test_a_rule_can_be_for_the_nth_request_or_for_so_many(proxy, through):
    proxy.on("/api/v1/agents", answer(500), nth=2).on("/api/v1/topics", answer(503), method="GET", times=1)
    assert [through.get("/agents").status_code for _ in range(3)] == [200, 500, 200]
    assert [through.get("/topics").status_code for _ in range(2)] == [503, 200]
    proxy.script.clear()
    assert through.get("/agents").status_code == 200


def test_a_proxy_before_a_stopped_service_answers_502(sandbox, proxy, through):
    sandbox.stop_gladly()
    assert through.get("/agents").status_code == 502
