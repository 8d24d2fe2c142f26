import platform

from predict_svc.view import memory


def test_glibc_takes_the_thresholds_and_nothing_else_is_touched() -> None:
    assert memory.keep_freed() is (platform.libc_ver()[0] == "glibc")
