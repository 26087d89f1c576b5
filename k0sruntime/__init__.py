"""What a vendor imports to write a provider, and nothing else.

Names are loaded when they are first used, so that ``k0sruntime --help`` stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from k0sruntime.__about__ import CONTRACT, __version__

if TYPE_CHECKING:
    from k0sruntime.binaries import Binary as Binary
    from k0sruntime.binaries import Download as Download
    from k0sruntime.binaries import VersionCheck as VersionCheck
    from k0sruntime.compose.foreign import ForeignFile as ForeignFile
    from k0sruntime.contributions import Check as Check
    from k0sruntime.contributions import ConfigFile as ConfigFile
    from k0sruntime.contributions import CRISocket as CRISocket
    from k0sruntime.contributions import DropIn as DropIn
    from k0sruntime.contributions import Host as Host
    from k0sruntime.contributions import HostsFile as HostsFile
    from k0sruntime.contributions import KubeletProfile as KubeletProfile
    from k0sruntime.contributions import RuntimeHandler as RuntimeHandler
    from k0sruntime.errors import CRIError as CRIError
    from k0sruntime.errors import Inactive as Inactive
    from k0sruntime.errors import K0sRuntimeError as K0sRuntimeError
    from k0sruntime.errors import Problem as Problem
    from k0sruntime.errors import Refused as Refused
    from k0sruntime.here import files_here as files_here
    from k0sruntime.here import this_node as this_node
    from k0sruntime.hookspecs import Provider as Provider
    from k0sruntime.hookspecs import RunningCRI as RunningCRI
    from k0sruntime.node import GPU as GPU
    from k0sruntime.node import Files as Files
    from k0sruntime.node import Node as Node
    from k0sruntime.node import Version as Version
    from k0sruntime.pulls import Resolution as Resolution
    from k0sruntime.pulls import ResolvedHost as ResolvedHost
    from k0sruntime.pulls import count_certificates as count_certificates
    from k0sruntime.pulls import has_private_key as has_private_key
    from k0sruntime.pulls import resolve_image as resolve_image
    from k0sruntime.pulls import resolve_registry as resolve_registry
    from k0sruntime.reach import Reached as Reached
    from k0sruntime.reach import ReachTarget as ReachTarget
    from k0sruntime.reach import client_certificate_fault as client_certificate_fault
    from k0sruntime.reach import reach_endpoints as reach_endpoints
    from k0sruntime.settings import Settings as Settings

_HOMES = {
    "Binary": "binaries",
    "CRIError": "errors",
    "CRISocket": "contributions",
    "Check": "contributions",
    "ConfigFile": "contributions",
    "Download": "binaries",
    "DropIn": "contributions",
    "Files": "node",
    "ForeignFile": "compose.foreign",
    "GPU": "node",
    "Host": "contributions",
    "HostsFile": "contributions",
    "Inactive": "errors",
    "K0sRuntimeError": "errors",
    "KubeletProfile": "contributions",
    "Node": "node",
    "Problem": "errors",
    "Provider": "hookspecs",
    "ReachTarget": "reach",
    "Reached": "reach",
    "Refused": "errors",
    "Resolution": "pulls",
    "ResolvedHost": "pulls",
    "RunningCRI": "hookspecs",
    "RuntimeHandler": "contributions",
    "Settings": "settings",
    "Version": "node",
    "VersionCheck": "binaries",
    "client_certificate_fault": "reach",
    "count_certificates": "pulls",
    "files_here": "here",
    "has_private_key": "pulls",
    "reach_endpoints": "reach",
    "resolve_image": "pulls",
    "resolve_registry": "pulls",
    "this_node": "here",
}

__all__ = ["CONTRACT", "__version__", *sorted(_HOMES)]  # noqa: PLE0604 - names, checked by a test


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'k0sruntime' has no attribute {name!r}")
    return getattr(importlib.import_module(f"k0sruntime.{_HOMES[name]}"), name)
