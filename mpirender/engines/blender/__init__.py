"""The Blender engine: .blend files, rendered by the Python module bpy or inside a Blender program.

``engine`` and ``inspect`` run outside Blender; ``scene``, ``scene_facts``, ``query`` and ``run_module`` run inside it.
"""

__all__ = ["engine"]
