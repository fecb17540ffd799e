"""Faults of system calls, by strace: is it here, and may it trace?"""

import shutil
import subprocess


def can_inject() -> bool:
    """Whether a process can be run under strace."""
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=none", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


NO_STRACE = "strace is not installed, or may not trace here"
