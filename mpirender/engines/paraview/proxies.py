"""The type of ParaView's proxies."""

from typing import Any

PVObject = Any  # a proxy of ParaView or an object of VTK: their classes are made at run time and have no annotations
