"""From paths to a subject: which file is what."""

from __future__ import annotations

import pytest

from k0sruntime.errors import RefusedError
from k0sruntime.lint.gather import gather
from k0sruntime.lint.subject import Subject
from k0sruntime.testing import MadeUpFiles

HOSTS = '[host."https://m"]\n'
NODE = {
    "/etc/k0s/containerd.toml": '# k0s_managed=true\nversion = 3\nimports = ["/etc/k0s/containerd.d/*.toml", "/etc/extra.toml"]\n',
    "/etc/k0s/containerd.d/b.toml": '[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/srv/certs"\n',
    "/etc/k0s/containerd.d/.a.toml": "",
    "/etc/k0s/containerd.d/b.toml~": "",
    "/etc/k0s/containerd.d/certs.d/docker.io/hosts.toml": HOSTS,
    "/etc/k0s/containerd.d/certs.d/docker.io/ca.crt": "x",
    "/etc/k0s/containerd.d/certs.d/quay.io/README": "",
    "/etc/extra.toml": "version = 3\n",
    "/srv/certs/ghcr.io/hosts.toml": HOSTS,
}


def shape(subject: Subject) -> list[str]:
    return [f"{file.role} {file.path}" for file in subject.files] + [
        f"registry {h.path}" for h in subject.hosts
    ]


def test_the_node_whole() -> None:
    subject = gather(
        ["/etc/k0s/containerd.toml", "/etc/k0s/containerd.d"], MadeUpFiles(NODE), follow=True
    )
    assert shape(subject) == [
        "main /etc/k0s/containerd.toml",
        "drop-in /etc/k0s/containerd.d/.a.toml",
        "drop-in /etc/k0s/containerd.d/b.toml",
        "import /etc/extra.toml",
        "registry /etc/k0s/containerd.d/certs.d/docker.io",
        "registry /etc/k0s/containerd.d/certs.d/quay.io",
        "registry /srv/certs/ghcr.io",
    ]
    assert subject.strays == ("/etc/k0s/containerd.d/b.toml~",)


def test_a_main_file_alone_brings_what_lies_beside_it() -> None:
    assert shape(gather(["/etc/k0s/containerd.toml"], MadeUpFiles(NODE)))[:3] == [
        "main /etc/k0s/containerd.toml",
        "drop-in /etc/k0s/containerd.d/.a.toml",
        "drop-in /etc/k0s/containerd.d/b.toml",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/k0s/containerd.d/certs.d",
        "/etc/k0s/containerd.d/certs.d/docker.io",
        "/etc/k0s/containerd.d/certs.d/docker.io/hosts.toml",
    ],
)
def test_hosts_files_by_any_path(path: str) -> None:
    assert (
        shape(gather([path], MadeUpFiles(NODE)))[0]
        == "registry /etc/k0s/containerd.d/certs.d/docker.io"
    )


def test_a_folder_of_registries_under_another_name() -> None:
    assert shape(gather(["/srv/certs"], MadeUpFiles(NODE))) == ["registry /srv/certs/ghcr.io"]


def test_a_main_file_is_known_by_its_imports() -> None:
    files = MadeUpFiles({"/x/site.toml": 'imports = ["y.toml"]\n', "/x/y.toml": ""})
    assert shape(gather(["/x/site.toml"], files)) == ["main /x/site.toml", "import /x/y.toml"]


def test_a_folder_under_the_name_of_a_file() -> None:
    files = MadeUpFiles({"/x/a.toml/b": ""})
    (file,) = gather(["/x"], files).files
    assert file.fault


def test_imports_that_go_in_circles_are_read_once() -> None:
    files = MadeUpFiles(
        {"/x/a.toml": 'imports = ["b.toml"]\n', "/x/b.toml": 'imports = ["a.toml", "b.toml"]\n'}
    )
    assert shape(gather(["/x/a.toml"], files)) == ["main /x/a.toml", "import /x/b.toml"]


class ForRootAlone(MadeUpFiles):
    def read(self, path: str) -> bytes | None:
        return None


def test_what_cannot_be_read_is_refused_all_at_once() -> None:
    files = ForRootAlone({"/x/a.toml": "", "/x/b.toml": ""})
    with pytest.raises(RefusedError) as caught:
        gather(["/x"], files)
    assert len(caught.value.problems) == 2


def test_what_is_no_file_is_judged_as_a_file_that_containerd_cannot_read() -> None:
    subject = gather(["/x"], MadeUpFiles({"/x/b.toml/c": ""}, sockets=["/x/a.toml"]))
    assert [file.fault and file.fault.message for file in subject.files] == [
        "a socket under the name of a file",
        "a folder under the name of a file",
    ]
