"""The service that keeps ``up --foreground`` running: a systemd unit or an OpenRC script, as text.

Stopping or restarting the service must never stop pods, so only the main process is signalled
(``KillMode=process``), and shims stay in a delegated cgroup. What systemd calls sandboxing is left
out on purpose: containerd, and every container, would inherit its mount namespace, its system call
filters and ``NoNewPrivileges``. Sources: systemd.service(5), systemd.kill(5), systemd.exec(5),
containerd's and k0s's own units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from k0sruntime.errors import Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from k0sruntime.node import Files

Init = Literal["systemd", "openrc"]

PLACES: dict[Init, str] = {
    "systemd": "/etc/systemd/system/k0sruntime.service",
    "openrc": "/etc/init.d/k0sruntime",
}
MARK = "# Written by k0sruntime install-service."
ENABLED: dict[Init, str] = {
    "systemd": "/etc/systemd/system/multi-user.target.wants/k0sruntime.service",
    "openrc": "/etc/runlevels/default/k0sruntime",
}
"""The links that ``systemctl enable`` and ``rc-update add`` make."""
PROGRAMS = ("/usr/local/bin/k0sruntime", "/usr/bin/k0sruntime", "/opt/k0sruntime/bin/k0sruntime")
"""Where an image has k0sruntime; the last is where a bundle's ``install.sh`` puts it."""
NEXT: dict[Init, str] = {
    "systemd": "systemctl daemon-reload && systemctl enable --now k0sruntime",
    "openrc": "rc-update add k0sruntime && rc-service k0sruntime start",
}


def init_of(files: Files) -> Init:
    """Return the node's service manager.

    Raises:
        RefusedError: neither systemd nor OpenRC is there.
    """
    if files.exists("/run/systemd/system") or files.exists("/usr/lib/systemd/systemd"):
        return "systemd"
    if files.exists("/sbin/openrc-run"):
        return "openrc"
    raise RefusedError(
        Problem(
            "neither systemd nor OpenRC is on this node",
            remedy="Name one with --init, or run k0sruntime up --foreground under your own.",
        )
    )


def refuse(files: Files, place: str, *, sandbox: str) -> None:
    """Stop where the definition must not be written.

    Raises:
        RefusedError: for a sandbox, or over a file that we did not write.
    """
    if sandbox:
        raise RefusedError(
            Problem(
                "a sandbox has no service of its own on this machine",
                place=place,
                remedy="Take the text with --print, and install it under another name.",
            )
        )
    content = files.read(place)
    if content is not None and MARK.encode() not in content:
        raise RefusedError(
            Problem(
                "a service of this name is there, and we did not write it",
                place=place,
                culprit="a foreign file",
                remedy="Move it away, or take the text with --print.",
            )
        )


def installed(files: Files) -> str:
    """Return where a service that we wrote lies, or nothing."""
    for place in PLACES.values():
        if MARK.encode() in (files.read(place) or b""):
            return place
    return ""


def text(init: Init, command: Sequence[str]) -> str:
    """Return the service's definition for a command line."""
    return _unit(command) if init == "systemd" else _script(command)


def _unit(command: Sequence[str]) -> str:
    return f"""{MARK}
[Unit]
Description=containerd for k0s, composed and proved by k0sruntime
Documentation=https://github.com/k0sruntime/k0sruntime
Wants=network-online.target
After=network-online.target local-fs.target
Before=k0sworker.service k0scontroller.service
# A node that gave up stays down; it is tried again for ever, without haste.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStartPre=-/sbin/modprobe overlay
ExecStart={" ".join(_systemd_word(word) for word in command)}
# k0sruntime down ends the supervisor for good: only what failed is started again.
Restart=on-failure
RestartSec=30
RestartPreventExitStatus=2
TimeoutStartSec=900
TimeoutStopSec=60
# Only the supervisor is signalled: shims, and with them pods, live on.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999
UMask=0022

[Install]
WantedBy=multi-user.target
"""


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" \t'\";") else escaped


def _script(command: Sequence[str]) -> str:
    program, *arguments = command
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in arguments)
    return f"""#!/sbin/openrc-run
{MARK}

name="k0sruntime"
description="containerd for k0s, composed and proved by k0sruntime"
supervisor=supervise-daemon
command="{program}"
command_args="{quoted}"
output_log="/var/log/k0sruntime.log"
error_log="/var/log/k0sruntime.log"
respawn_delay=30
respawn_max=0
# Long enough for containerd to stop; supervise-daemon signals its own child alone.
retry="TERM/60/KILL/5"
umask=022
rc_ulimit="-n 1048576 -u unlimited -c unlimited"

depend() {{
    need cgroups localmount
    after net
    before k0sworker k0scontroller
}}

start_pre() {{
    modprobe overlay 2>/dev/null
    echo -999 >/proc/self/oom_score_adj 2>/dev/null || true
}}
"""
