"""Docker's ``manifest.json`` out of an OCI archive's own index."""

from __future__ import annotations

import json

import pytest

from k0sruntime_dockerd.bundles import docker_manifest

NAME = {"io.containerd.image.name": "r.example/app:1"}


def descriptor(digest, **more):
    return {"digest": f"sha256:{digest}", **more}


def manifest(config, *layers):
    return json.dumps(
        {"config": descriptor(config), "layers": [descriptor(layer) for layer in layers]}
    ).encode()


def archive(*manifests, **blobs):
    index = json.dumps({"manifests": list(manifests)}).encode()
    return {"index.json": index, **{f"blobs/sha256/{k}": v for k, v in blobs.items()}}


def test_an_image_keeps_its_name_and_its_layers():
    small = archive(descriptor("m", annotations=NAME), m=manifest("c", "l1", "l2"))
    assert docker_manifest(small, "x86_64") == [
        {
            "Config": "blobs/sha256/c",
            "RepoTags": ["r.example/app:1"],
            "Layers": ["blobs/sha256/l1", "blobs/sha256/l2"],
        }
    ]


def test_of_several_platforms_the_nodes_own_is_taken():
    def platform(name):
        return {"platform": {"architecture": name}}

    inner = {
        "manifests": [
            descriptor("arm", **platform("arm64")),
            descriptor("amd", **platform("amd64")),
            descriptor("att", **platform("unknown")),
        ]
    }
    small = archive(
        descriptor("i", annotations=NAME),
        i=json.dumps(inner).encode(),
        arm=manifest("carm", "l"),
        amd=manifest("camd", "l"),
        att=manifest("catt", "l"),
    )
    (entry,) = docker_manifest(small, "x86_64")
    assert entry["Config"] == "blobs/sha256/camd"
    (entry,) = docker_manifest(small, "aarch64")
    assert entry["Config"] == "blobs/sha256/carm"


def test_one_image_under_two_names_is_one_entry():
    other = {"io.containerd.image.name": "r.example/app:latest"}
    small = archive(
        descriptor("m", annotations=NAME), descriptor("m", annotations=other), m=manifest("c", "l")
    )
    (entry,) = docker_manifest(small, "x86_64")
    assert entry["RepoTags"] == ["r.example/app:1", "r.example/app:latest"]


def test_a_name_with_a_digest_is_no_tag():
    named = {"io.containerd.image.name": "r.example/app@sha256:abc"}
    (entry,) = docker_manifest(
        archive(descriptor("m", annotations=named), m=manifest("c", "l")), "x86_64"
    )
    assert entry["RepoTags"] == []


def test_an_archive_without_an_image_for_this_machine_says_so():
    other = descriptor("m", platform={"architecture": "riscv64"})
    with pytest.raises(ValueError, match="no image for x86_64"):
        docker_manifest(archive(other, m=manifest("c", "l")), "x86_64")
