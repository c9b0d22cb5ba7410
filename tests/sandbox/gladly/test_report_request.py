"""A request for a report that Gladly would not accept is answered 400."""

import pytest

from support.sandbox_clients import REPORT_OF_A_DAY


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        pytest.param({"metricSet": "NoSuchReport"}, "metricSet", id="an unknown metric set"),
        pytest.param({"metricSet": None}, "metricSet", id="no metric set"),
        pytest.param({"metricSet": ["x"]}, "metricSet", id="a list of metric sets"),
        pytest.param({"timezone": []}, "timezone", id="a list of timezones"),
        pytest.param({"timezone": "Mars/Olympus"}, "timezone", id="an unknown timezone"),
        pytest.param({"timezone": "../../etc/passwd"}, "timezone", id="a path for a timezone"),
        pytest.param({"startAt": "30.10.2026"}, "startAt", id="a date in another form"),
        pytest.param({"startAt": 20261030}, "startAt", id="a number for a date"),
        pytest.param({"endAt": "2026-10-29"}, "endAt", id="an end before the start"),
    ],
)
def test_a_wrong_question_is_answered_400(gladly, change, attr):
    answer = gladly.post("/reports", json=REPORT_OF_A_DAY | change)
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert (errors[0] if isinstance(errors, list) else errors)["attr"] == attr


def test_a_body_that_is_no_json_object_is_answered_400(gladly):
    assert gladly.post("/reports", data=b"{").status_code == 400
    assert gladly.post("/reports", data=b"[]").status_code == 400
