# shellcheck shell=bash
#
# dev-python.sh: which Python runs the benchmarks.  Sourced by ./dev.
#
# Their tests need numpy only; ./dev bench makes a virtual environment of its
# own, bench/.venv, with the packages of bench/requirements.txt.  What cannot be
# had (no wheel for this machine, no network) is left out and said once: the
# bench runs with what is there.

python=             # the interpreter to use

# Sets $python to one that has numpy.
ensure_python()
{
    for python in python3 /usr/bin/python3; do
        "$python" -c 'import numpy' 2>/dev/null && return
    done
    apt_install python3 python3-numpy
    python=/usr/bin/python3
}

# True for a Python that can make virtual environments and compile packages.
complete_python()
{
    "$1" -c '
import ensurepip, os, sys, sysconfig, venv
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null
}

# Sets $python to the one of bench/.venv, made anew when the requirements change.
ensure_bench_python()
{
    local venv=$root/bench/.venv
    if [ -n "${BENCH_PYTHON:-}" ]; then
        python=$BENCH_PYTHON
        return
    fi
    ensure_build_tools          # a package without a wheel is compiled
    if ! venv_is_complete; then
        find_complete_python
        say "making bench/.venv with the packages of bench/requirements.txt"
        patiently with_build_lock make_bench_venv || die "could not make $venv"
    fi
    python=$venv/bin/python
    "$python" -c 'import numpy' 2>/dev/null || ensure_python
}

# The copy of the requirements says that all of them were tried.
venv_is_complete() { cmp -s "$root/bench/requirements.txt" "$root/bench/.venv/requirements.txt"; }

find_complete_python()
{
    for python in python3 /usr/bin/python3; do
        complete_python "$python" && return
    done
    apt_install python3 python3-venv python3-dev
    python=/usr/bin/python3
}

# Package by package, so that one that fails does not keep out the others.
# Without numpy nothing was to be had, and the next run tries again.
make_bench_venv()
{
    local venv=$root/bench/.venv package
    ! venv_is_complete || return 0      # another ./dev was quicker
    "$python" -m venv --clear "$venv" || return 1
    for package in $(sed 's/#.*//' "$root/bench/requirements.txt"); do
        "$venv/bin/pip" install -q --disable-pip-version-check "$package" >"$venv/pip.log" 2>&1 ||
            say "not installed: $package: $(grep -m 1 '^ERROR' "$venv/pip.log" || tail -n 1 "$venv/pip.log")"
    done
    if "$venv/bin/python" -c 'import numpy' 2>/dev/null; then
        cp "$root/bench/requirements.txt" "$venv/requirements.txt"
    fi
}
