"""The rule that decides how an attempt ended."""

import signal

import pytest

from qrt_contracts.endings import TITLES, Ending
from qrt_executor.domain.verdict import Claim, Evidence, Exit, Stop, StopCause, judge

CLEAN = Exit(exit_code=0)
CLAIM = Claim(code="ProgramError", detail="ValueError: oh", traceback="Traceback ...")


def code_of(evidence: Evidence) -> str:
    problem = judge(evidence).problem
    assert problem is not None
    assert problem.title in TITLES.values()
    assert problem.detail
    return problem.code


def test_a_result_and_a_clean_exit_succeed() -> None:
    verdict = judge(Evidence(result="1", exit=CLEAN))
    assert (verdict.end, verdict.result, verdict.problem) == ("succeeded", "1", None)


def test_a_clean_exit_alone_is_no_success() -> None:
    assert code_of(Evidence(exit=CLEAN)) == Ending.EXITED


def test_a_result_before_a_failing_exit_does_not_count() -> None:
    assert code_of(Evidence(result="1", exit=Exit(exit_code=3))) == Ending.EXITED


def test_a_signal_wins_over_a_result() -> None:
    assert code_of(Evidence(result="1", exit=Exit(signal=11))) == Ending.KILLED_BY_SIGNAL


def test_running_out_of_cpu_time_is_told_by_its_signal() -> None:
    assert code_of(Evidence(exit=Exit(signal=signal.SIGXCPU))) == Ending.CPU_LIMIT


def test_a_real_time_signal_has_a_number_at_least() -> None:
    verdict = judge(Evidence(exit=Exit(signal=40)))
    assert verdict.problem is not None
    assert "(40)" in verdict.problem.detail


def test_the_kernels_word_on_memory_wins_over_the_signal() -> None:
    assert code_of(Evidence(exit=Exit(signal=9, out_of_memory=True))) == Ending.MEMORY_LIMIT


def test_a_claim_is_believed_as_text() -> None:
    verdict = judge(Evidence(claim=CLAIM, exit=Exit(exit_code=1)))
    assert verdict.problem is not None
    assert (verdict.problem.code, verdict.problem.detail) == ("ProgramError", "ValueError: oh")
    assert verdict.problem.traceback == "Traceback ..."


@pytest.mark.parametrize("code", ["Cancelled", "ExecutorLost", "TimeLimitExceeded", "nonsense"])
def test_a_program_cannot_claim_what_only_the_executor_knows(code: str) -> None:
    claim = Claim(code=code, detail="x", traceback=None)
    assert code_of(Evidence(claim=claim, exit=Exit(exit_code=1))) == Ending.PROGRAM_ERROR


@pytest.mark.parametrize(
    ("stop", "end", "code"),
    [
        (Stop(cause=StopCause.CANCELLED, detail="x"), "cancelled", Ending.CANCELLED),
        (Stop(cause=StopCause.LIMIT, detail="x", ending=Ending.TIME_LIMIT), "failed", Ending.TIME_LIMIT),
        (Stop(cause=StopCause.VIOLATION, detail="x"), "failed", Ending.PROTOCOL_VIOLATION),
        (Stop(cause=StopCause.DRAINED, detail="x"), "refused", Ending.EXECUTOR_FAULT),
    ],
)
def test_why_we_ended_it_wins_over_everything(stop: Stop, end: str, code: str) -> None:
    evidence = Evidence(stop=stop, result="1", claim=CLAIM, exit=CLEAN)
    assert judge(evidence).end == end
    assert code_of(evidence) == code


def test_an_end_that_nobody_can_explain_gives_the_job_back() -> None:
    verdict = judge(Evidence(result="1"))
    assert verdict.end == "refused"
    assert verdict.problem is not None
    assert verdict.problem.retryable


def test_a_limit_leaves_a_partial_record_and_says_that_it_is_kept() -> None:
    stop = Stop(cause=StopCause.LIMIT, ending=Ending.TIME_LIMIT, detail="it ran for too long")
    verdict = judge(Evidence(stop=stop))
    assert verdict.partial
    assert verdict.problem is not None
    assert verdict.problem.detail.endswith("what it had produced until then is kept")
    assert judge(Evidence(exit=Exit(signal=signal.SIGXCPU))).partial
    assert not judge(Evidence(claim=CLAIM, exit=Exit(exit_code=1))).partial
    assert not judge(Evidence(result="1", exit=CLEAN)).partial
