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
    from k0sruntime.cli.boundary import run_command as run_command
    from k0sruntime.cli.options import json_option as json_option
    from k0sruntime.cli.options import sandbox_option as sandbox_option
    from k0sruntime.compose.foreign import ForeignFile as ForeignFile
    from k0sruntime.contributions import Check as Check
    from k0sruntime.contributions import ConfigFile as ConfigFile
    from k0sruntime.contributions import CRISocket as CRISocket
    from k0sruntime.contributions import DropIn as DropIn
    from k0sruntime.contributions import HandlerExtension as HandlerExtension
    from k0sruntime.contributions import Host as Host
    from k0sruntime.contributions import HostsFile as HostsFile
    from k0sruntime.contributions import KubeletProfile as KubeletProfile
    from k0sruntime.contributions import RuntimeHandler as RuntimeHandler
    from k0sruntime.errors import CRIError as CRIError
    from k0sruntime.errors import ExitCode as ExitCode
    from k0sruntime.errors import Inactive as Inactive
    from k0sruntime.errors import K0sRuntimeError as K0sRuntimeError
    from k0sruntime.errors import Problem as Problem
    from k0sruntime.errors import Refused as Refused
    from k0sruntime.here import containerd_proxies as containerd_proxies
    from k0sruntime.here import files_here as files_here
    from k0sruntime.here import hosts_folders_here as hosts_folders_here
    from k0sruntime.here import this_node as this_node
    from k0sruntime.hookspecs import Provider as Provider
    from k0sruntime.hookspecs import RunningCRI as RunningCRI
    from k0sruntime.hosts_folders import HostsFolders as HostsFolders
    from k0sruntime.json_keys import JSONKeys as JSONKeys
    from k0sruntime.masking import masked_text as masked_text
    from k0sruntime.masking import masked_url as masked_url
    from k0sruntime.node import GPU as GPU
    from k0sruntime.node import Files as Files
    from k0sruntime.node import Node as Node
    from k0sruntime.node import OtherCRI as OtherCRI
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
    from k0sruntime.sockets import socket_fault as socket_fault
    from k0sruntime.units import UnitValue as UnitValue
    from k0sruntime.units import unit_command as unit_command
    from k0sruntime.units import unit_values as unit_values

_HOMES = {
    "Binary": "binaries",
    "CRIError": "errors",
    "CRISocket": "contributions",
    "Check": "contributions",
    "ConfigFile": "contributions",
    "Download": "binaries",
    "DropIn": "contributions",
    "ExitCode": "errors",
    "Files": "node",
    "ForeignFile": "compose.foreign",
    "GPU": "node",
    "OtherCRI": "node",
    "HandlerExtension": "contributions",
    "Host": "contributions",
    "HostsFile": "contributions",
    "HostsFolders": "hosts_folders",
    "Inactive": "errors",
    "JSONKeys": "json_keys",
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
    "UnitValue": "units",
    "Version": "node",
    "VersionCheck": "binaries",
    "client_certificate_fault": "reach",
    "containerd_proxies": "here",
    "count_certificates": "pulls",
    "files_here": "here",
    "has_private_key": "pulls",
    "hosts_folders_here": "here",
    "json_option": "cli.options",
    "masked_text": "masking",
    "masked_url": "masking",
    "reach_endpoints": "reach",
    "resolve_image": "pulls",
    "resolve_registry": "pulls",
    "run_command": "cli.boundary",
    "sandbox_option": "cli.options",
    "socket_fault": "sockets",
    "this_node": "here",
    "unit_command": "units",
    "unit_values": "units",
}

__all__ = ["CONTRACT", "__version__", *sorted(_HOMES)]  # noqa: PLE0604 - names, checked by a test


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'k0sruntime' has no attribute {name!r}")
    from k0sruntime import going

    going.used(name)
    return getattr(importlib.import_module(f"k0sruntime.{_HOMES[name]}"), name)
