"""The scheduler inside SGLang: `DYNASOR_SGLANG='{}' sglang serve ...`, by SGLang's own hooks for plug-ins.

The entry point `dynasor` of the group `sglang.srt.plugins` is `hooks.register`, which does nothing where that variable
is not set. SGLang is imported by `hooks` and `surroundings` alone, and only where it asks for the plug-in.
"""
