"""Requirements and locks: what is let in, what is refused, and how failures are told."""

import os
from pathlib import Path

import pytest

from qrt_executor.adapters.environments.egress import is_inner
from qrt_executor.adapters.environments.folder import bring_up_to_date, is_open
from qrt_executor.adapters.environments.sizes import tree_bytes
from qrt_executor.adapters.environments.source import package_source
from qrt_executor.domain import blame
from qrt_executor.domain.packages import (
    NotAllowed,
    NotALock,
    Wanted,
    check_lock,
    check_requirements,
    lock_key,
    read_lock,
    split,
)

pytestmark = pytest.mark.kipu

HASH = "--hash=sha256:" + "a" * 64
COMPILED = f"""\
# a remark
numpy==1.26.4 \\
    {HASH} \\
    {HASH}
thing==2.0 ; sys_platform == 'linux' \\
    {HASH}
"""


def test_a_lock_is_one_line_for_each_package() -> None:
    lock = read_lock(COMPILED)
    assert lock == (f"numpy==1.26.4 {HASH} {HASH}", f"thing==2.0 ; sys_platform == 'linux' {HASH}")
    assert lock_key(lock) == lock_key(list(lock)) != lock_key(lock[:1])
    assert split(lock) == (lock[:1], lock[1:])


@pytest.mark.parametrize(
    "text", ["numpy==1.26.4\n", "numpy>=1 " + HASH, "-e ." + HASH, f"a @ git+x {HASH} $"]
)
def test_a_lock_pins_each_package_by_its_hash(text: str) -> None:
    with pytest.raises(NotALock):
        read_lock(text)


def test_a_package_from_an_address_is_not_trusted_whatever_its_name() -> None:
    lock = (f"numpy @ https://example.org/numpy-1-py3-none-any.whl {HASH}",)
    assert split(lock) == ((), lock)


@pytest.mark.parametrize(
    "line",
    [
        "-e .", "./here", "/etc", "..", "-r other.txt", "-c other.txt", "--find-links /etc", "foo @ file:///etc",
        "git+https://example.org/x", "foo @ git+https://example.org/x", "--trusted-host x", "",
        "foo @ https://example.org/foo.whl", "--extra-index-url https://example.org/simple", "--index-url=x",
        "-i https://example.org/simple", "--no-binary :all:",
    ],
)  # fmt: skip
def test_what_does_not_come_from_an_index_is_refused(line: str) -> None:
    with pytest.raises(NotAllowed):
        check_requirements([line], allowed=None)


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "a.b-c_d[x,y]>=1,<2; python_version<'4'",
        "--pre",
        "x --hash=sha256:00",
        "x==1 --hash=sha256:00",
        "x===1",
        "x (>1)",
    ],
)
def test_what_people_write_in_requirements_is_let_in(line: str) -> None:
    check_requirements([line, "--prefer-binary"], allowed=None)


def test_an_operators_list_covers_names_in_any_spelling_and_what_comes_with_them() -> None:
    allowed = frozenset({"typing-extensions"})
    check_requirements(["Typing_Extensions>=4"], allowed=allowed)
    check_lock([f"typing_extensions==4.0 {HASH}"], allowed=allowed)
    for line in ("numpy", "typing-extensions @ https://example.org/a.whl", "--index-url https://example.org"):
        with pytest.raises(NotAllowed):
            check_requirements([line], allowed=allowed)
    with pytest.raises(NotAllowed, match="numpy"):
        check_lock([f"numpy==1.0 {HASH}"], allowed=allowed)


def test_the_same_requirements_are_one_request_and_a_lock_is_another() -> None:
    assert Wanted(requirements=("a", "b")).digest == Wanted(requirements=("a", "b")).digest
    assert Wanted(requirements=("a",)).digest != Wanted(requirements=("b",)).digest
    lock = (f"a==1 {HASH}",)
    assert Wanted(requirements=("a",), lock=lock).digest == lock_key(lock)


NO_SOLUTION = "error: No solution found when resolving dependencies\n  cause: Because "


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            f"{NO_SOLUTION}nosuch was not found in the package registry and you require nosuch, we",
            "there is no package nosuch",
        ),
        (
            f"{NO_SOLUTION}there is no version of thing==9 and you require thing==9, we can conclude",
            "there is no version thing==9",
        ),
        (
            "error: Failed to build `thing==1.0`\n  cause: The build backend returned an error",
            "thing==1.0 cannot be built from its source (of the requirement 'thing>=1')",
        ),
        (
            "error: Failed to fetch: `https://x/`\n  cause: error sending request",
            "the package index did not answer",
        ),
        (
            f"{NO_SOLUTION}a==1 depends on b==1 and\n      you require b==2, we can conclude",
            "Because a==1 depends on b==1 and you require b==2, we can conclude",
        ),
        ("something else entirely", "uv has failed"),
    ],
)
def test_a_failure_is_one_sentence_that_names_the_requirement(said: str, sentence: str) -> None:
    asked = ["nosuch", "thing>=1"] if "cannot be built" in sentence else ["nosuch", "thing==9"]
    assert blame.sentence(said, asked) == sentence


def test_what_was_being_built_when_a_build_was_ended_is_named() -> None:
    log = ["Resolving", "   Building one==1.0", "   Building two==2.0", "      Built one==1.0"]
    assert blame.unfinished(log) == " while two==2.0 was built from source"
    assert blame.unfinished(log[:1]) == ""


def test_a_folder_of_the_executors_is_not_shown() -> None:
    line = 'File "/var/lib/environments/private/x/backend.py"'
    assert blame.redacted(line, folder="/var/lib/environments") == 'File "<executor>/private/x/backend.py"'


def test_addresses_are_shown_to_nobody_but_an_owners_own_without_credentials() -> None:
    own = "thing @ https://example.org/thing.whl"
    line = "from https://me:key@index.example/simple/x and `https://example.org/thing.whl` at index.example"
    shown = blame.redacted(line, known=[own], hosts=["index.example"])
    assert shown == "from <address> and `https://example.org/thing.whl` at <index>"
    secret = "thing @ https://me:key@example.org/thing.whl"
    assert "key" not in blame.redacted(secret, known=[secret])


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("0.0.0.0", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:127.0.0.1", True),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
    ],
)
def test_builds_do_not_reach_the_networks_that_an_executor_stands_in(address: str, inner: bool) -> None:
    assert is_inner(address) is inner


def test_what_is_configured_for_uv_is_what_builds_are_told_and_nothing_else() -> None:
    environ = {"UV_INDEX_URL": "https://u:p@index.example:8443/simple", "QRT_SECRET": "x", "AWS_KEY": "y"}
    found = package_source(index_url=None, wheels=None, environ=environ)
    assert dict(found.environ) == {"UV_INDEX_URL": environ["UV_INDEX_URL"]}
    assert (found.open_to, found.secret) == (frozenset({("index.example", 8443)}), True)
    own = package_source(index_url="https://other.example/simple", wheels=None, environ=environ)
    assert own.environ["UV_DEFAULT_INDEX"] == "https://other.example/simple"
    assert (own.hosts, own.secret) == (("other.example",), False)


def test_hosts_that_the_operator_adds_and_folders_that_uv_is_told_of_are_seen(tmp_path: Path) -> None:
    hosts = frozenset({"files.example", "10.0.0.1:8080"})
    found = package_source(index_url="http://a.example/simple", wheels=None, environ={}, hosts=hosts)
    assert found.open_to == {("a.example", 80), ("files.example", 443), ("10.0.0.1", 8080)}
    local = package_source(index_url=None, wheels=None, environ={"UV_FIND_LINKS": f"{tmp_path} /nowhere"})
    assert local.readable == (tmp_path,)


def test_a_folder_that_is_closed_to_builds_is_copied_and_the_copy_follows_it(tmp_path: Path) -> None:
    folder, copies = tmp_path / "wheels", tmp_path / "environments"
    folder.mkdir(mode=0o700)
    (folder / "a.whl").write_text("a")
    found = package_source(index_url=None, wheels=folder, environ={}, copies=copies)
    (place,) = found.readable
    assert (found.copied, place.parent.parent) == (folder, copies)
    bring_up_to_date(folder, place)
    assert is_open(place)
    (folder / "a.whl").unlink()
    (folder / "b.whl").write_text("b")
    bring_up_to_date(folder, place)
    assert {path.name: path.read_text() for path in place.iterdir()} == {"b.whl": "b"}
    folder.chmod(0o755)
    (folder / "b.whl").chmod(0o600)
    assert package_source(index_url=None, wheels=folder, environ={}, copies=copies).copied == folder
    (folder / "b.whl").chmod(0o644)
    assert package_source(index_url=None, wheels=folder, environ={}, copies=copies).readable == (folder,)


def test_names_of_empty_files_and_directories_fill_a_disk_too(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"f{number}").touch()
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    os.link(tmp_path / "large", tmp_path / "again")
    os.symlink("/usr", tmp_path / "usr")
    assert 20 * 512 + (1 << 20) <= tree_bytes(tmp_path) < (1 << 20) + (1 << 18)
