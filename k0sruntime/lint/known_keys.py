"""The keys that each containerd knows, with their types and defaults: data, nothing else.

Sources: containerd ``internal/cri/config/config.go`` (2.0 to 2.3) and ``pkg/cri/config/config.go``
(1.7), ``cmd/containerd/server/config/config.go``, ``api/types/runc/options/oci.proto``; compared
with ``containerd config default`` of 1.7.24 and 2.1.9.
"""

from __future__ import annotations

from k0sruntime.compose.schema import CRI, IMAGES, RUNTIME
from k0sruntime.lint.spec import Key, Spec, boolean, integer, named, string, strings, table

V2 = (2,)
V2_1 = (2, 1)
V2_2 = (2, 2)
V2_3 = (2, 3)

RUNC_OPTIONS: Spec = {
    "BinaryName": string(),
    "SystemdCgroup": boolean(),
    "NoPivotRoot": boolean(),
    "NoNewKeyring": boolean(),
    "ShimCgroup": string(),
    "IoUid": integer(),
    "IoGid": integer(),
    "Root": string(),
    "CriuImagePath": string(),
    "CriuWorkPath": string(),
    "CriuPath": string(until=V2),
    "TaskApiAddress": string(),
    "TaskApiVersion": integer(),
}
"""Options of the runc shim; containerd says nothing of others."""

HANDLER: Spec = {
    "runtime_type": string(None),
    "runtime_path": string(),
    "pod_annotations": strings(),
    "container_annotations": strings(),
    "options": table(),
    "privileged_without_host_devices": boolean(),
    "privileged_without_host_devices_all_devices_allowed": boolean(),
    "cgroup_writable": boolean(since=V2_1),
    "base_runtime_spec": string(),
    "cni_conf_dir": string(),
    "cni_max_conf_num": integer(),
    "snapshotter": string(),
    "sandboxer": string(None, since=V2),
    "sandbox_mode": string(None, until=V2),
    "io_type": string(since=V2),
    "disable_pause_image_pull": boolean(since=(2, 4)),
    "runtime_engine": string(until=V2),
    "runtime_root": string(until=V2),
}

CONTAINERD: Spec = {
    "default_runtime_name": string("runc"),
    "runtimes": named(HANDLER),
    "ignore_blockio_not_enabled_errors": boolean(),
    "ignore_rdt_not_enabled_errors": boolean(),
}

CNI: Spec = {
    "bin_dir": string(),
    "bin_dirs": strings("/opt/cni/bin", since=V2_1),
    "conf_dir": string("/etc/cni/net.d"),
    "max_conf_num": integer(1),
    "setup_serially": boolean(),
    "conf_template": string(),
    "ip_pref": string(),
    "use_internal_loopback": boolean(since=V2),
}

_RUNTIME: Spec = {
    "containerd": table(CONTAINERD),
    "cni": table(CNI),
    "enable_selinux": boolean(),
    "selinux_category_range": integer(1024),
    "max_container_log_line_size": integer(16384),
    "disable_apparmor": boolean(),
    "restrict_oom_score_adj": boolean(),
    "disable_proc_mount": boolean(),
    "unset_seccomp_profile": string(),
    "tolerate_missing_hugetlb_controller": boolean(default=True),
    "disable_hugetlb_controller": boolean(default=True),
    "device_ownership_from_security_context": boolean(),
    "ignore_image_defined_volumes": boolean(),
    "netns_mounts_under_state_dir": boolean(),
    "enable_unprivileged_ports": boolean(default=None),
    "enable_unprivileged_icmp": boolean(default=None),
    "enable_cdi": boolean(default=None),
    "cdi_spec_dirs": strings("/etc/cdi", "/var/run/cdi"),
    "drain_exec_sync_io_timeout": string("0s"),
    "ignore_deprecation_warnings": strings(),
}

RUNTIME_TABLE: Spec = {
    **_RUNTIME,
    "enable_criu": boolean(since=V2_2),
    "stats_collect_period": string(None, since=V2_3),
    "stats_retention_period": string(None, since=V2_3),
}

REGISTRY: Spec = {
    "config_path": string(),
    "mirrors": named({"endpoint": strings()}),
    "configs": named(
        {
            "auth": table(
                {
                    "username": string(),
                    "password": string(),
                    "auth": string(),
                    "identitytoken": string(),
                }
            ),
            # Gone in 2.0, which the rule K0R402 says with what it means.
            "tls": table(
                {
                    "insecure_skip_verify": boolean(),
                    "ca_file": string(),
                    "cert_file": string(),
                    "key_file": string(),
                }
            ),
        }
    ),
    "auths": named(),
    "headers": table(),
}

_IMAGES: Spec = {
    "registry": table(REGISTRY),
    "image_decryption": table({"key_model": string("node")}),
    "max_concurrent_downloads": integer(3),
    "image_pull_progress_timeout": string("5m0s"),
    "image_pull_with_sync_fs": boolean(),
    "stats_collect_period": integer(10),
}
_SNAPSHOTS: Spec = {
    "snapshotter": string("overlayfs"),
    "disable_snapshot_annotations": boolean(default=True),
    "discard_unpacked_layers": boolean(),
}

IMAGES_TABLE: Spec = {
    **_IMAGES,
    **_SNAPSHOTS,
    "pinned_images": table(),
    "runtime_platforms": named({"platform": string(), "snapshotter": string()}),
    "concurrent_layer_fetch_buffer": integer(since=V2_1),
    "use_local_image_pull": boolean(since=V2_1),
}

STREAMING: Spec = {
    "disable_tcp_service": boolean(default=True),
    "stream_server_address": string("127.0.0.1"),
    "stream_server_port": string("0"),
    "stream_idle_timeout": string("4h0m0s"),
    "enable_tls_streaming": boolean(),
    "x509_key_pair_streaming": table({"tls_cert_file": string(), "tls_key_file": string()}),
}
"""What schema 3 leaves to ``io.containerd.grpc.v1.cri``."""

CRI_TABLE: Spec = {
    **_RUNTIME,
    **_IMAGES,
    **STREAMING,
    "containerd": table(
        {
            **CONTAINERD,
            **_SNAPSHOTS,
            "no_pivot": boolean(),
            "default_runtime": table(HANDLER),
            "untrusted_workload_runtime": table(HANDLER),
        }
    ),
    "sandbox_image": string(None),
    "systemd_cgroup": boolean(),
    "disable_cgroup": boolean(),
}
"""The one CRI table of schema 2."""

CRI_TABLES: dict[str, Spec] = {RUNTIME: RUNTIME_TABLE, IMAGES: IMAGES_TABLE, CRI: CRI_TABLE}

_SERVER: Spec = {"address": string(), "uid": integer(), "gid": integer()}
_STREAM: Spec = {
    "accepts": strings(),
    "returns": string(),
    "path": string(),
    "args": strings(),
    "env": strings(),
}

ROOT: Spec = {
    "version": integer(),
    "root": string(),
    "state": string(),
    "temp": string(),
    "plugin_dir": string(until=V2),
    "disabled_plugins": strings(),
    "required_plugins": strings(),
    "imports": strings(),
    "oom_score": integer(),
    "grpc": table(
        {
            **_SERVER,
            "tcp_address": string(),
            "tcp_tls_ca": string(),
            "tcp_tls_cert": string(),
            "tcp_tls_key": string(),
            "tcp_tls_common_name": string(since=V2_3),
            "max_recv_message_size": integer(),
            "max_send_message_size": integer(),
        }
    ),
    "ttrpc": table(_SERVER),
    "debug": table(
        {**_SERVER, "level": string(), "format": string(), "log_trace_id": boolean(since=V2_3)}
    ),
    "metrics": table({"address": string(), "grpc_histogram": boolean()}),
    "cgroup": table({"path": string()}),
    "plugins": table(),
    "proxy_plugins": named(
        {
            "type": string(),
            "address": string(),
            "platform": string(),
            "exports": table(),
            "capabilities": strings(),
        }
    ),
    "timeouts": table(),
    "stream_processors": named(_STREAM),
}
"""The root of the configuration. Source: containerd ``cmd/containerd/server/config/config.go``."""

HOST: Spec = {
    "capabilities": Key("list of strings"),
    "ca": Key("list"),
    "client": Key("list"),
    "skip_verify": Key("boolean"),
    "header": table(),
    "override_path": Key("boolean"),
    "dial_timeout": Key("string", since=V2),
}
"""A host of a hosts file. Source: containerd ``core/remotes/docker/config/hosts.go``."""
