"""Reconcile and the audit fail each for itself, and no cycle fails by them."""

import time

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from state.errors import StateWriteError
from sync.errors import CredentialsRefusedError
from sync.reports import CycleObserver
from sync.runtime.proving import Proving


class Failures(CycleObserver):
    """Keeps which jobs failed."""

    def __init__(self):
        self.jobs = []

    def job_failed(self, job):
        self.jobs.append(job)


@pytest.fixture
def proving(begin, sandbox, ago):
    """A sync with a quiet conversation and past days, and what proves it; the jobs that failed."""
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana", recorded=False), at=ago(500))
    program = begin(SYNC__START="72h", SYNC__RECONCILE="0.1s", SYNC__AUDIT="0.1s")
    program.run()
    time.sleep(0.15)
    observer = Failures()
    pipeline = program.pipeline
    return program, Proving(pipeline.reconciler, pipeline.audit, pipeline.ends, observer), observer


def test_one_fails_and_the_other_is_done(proving, sandbox):
    """It is logged once, and counted each time."""
    program, both, observer = proving
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(400, times=None))
    with capture_logs() as logs:
        both.run()
        time.sleep(0.15)
        both.run()
    assert observer.jobs == ["audit", "audit"]
    assert [line["job"] for line in logs if line["log_level"] == "error"] == ["audit"]
    assert len([line for line in logs if line["event"] == "reconciled"]) == 2
    assert program.run().errors == []


def test_an_error_of_the_state_file_is_its_own(proving, monkeypatch):
    """The cycle finds it itself."""
    _, both, observer = proving

    def fail(*_):
        raise StateWriteError("The disk is full.")

    monkeypatch.setattr("state.writer.reconciliation.Reconciliation.quiet_conversations", fail)
    assert both.run() == 0
    assert observer.jobs == ["reconcile"]
    assert both.error is None


def test_refused_credentials_are_told(proving, sandbox):
    """`once` ends with 3 then."""
    _, both, _ = proving
    sandbox.faults.add("gladly", "*", Fault(401, times=None))
    both.run()
    assert isinstance(both.error, CredentialsRefusedError)


def test_nothing_is_asked_while_gladly_is_left_alone(proving, sandbox):
    """A cycle has found that the token is refused."""
    program, both, _ = proving
    sandbox.faults.add("gladly", "*", Fault(401, times=None))
    program.run()
    before = len(sandbox.gladly_requests)
    both.run()
    assert len(sandbox.gladly_requests) == before
