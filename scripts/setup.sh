#!/usr/bin/env bash
# Make a virtual environment and whatever OpenGL without a screen needs. Called by the Makefile; safe to repeat.
set -euo pipefail
: "${PYTHON:=python3}" "${VENV:=.venv}"

fail() { echo "render3d set-up: $*" >&2; exit 1; }

as_root() { # run a command as root, if that is allowed without asking
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

install_packages() { # apt packages, where apt is here and allowed
  command -v apt-get >/dev/null || return 1
  as_root apt-get install -y -qq "$@" >/dev/null 2>&1 && return
  as_root apt-get update -qq >/dev/null 2>&1 && as_root apt-get install -y -qq "$@" >/dev/null
}

command -v "$PYTHON" >/dev/null || fail "$PYTHON was not found. Install Python 3.11 or newer, or name one: make PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "Python 3.11 or newer is needed; $PYTHON is $("$PYTHON" --version). Name another: make PYTHON=python3.12 ..."

# The runtime packages themselves are asked for: development packages can make up for a missing one here and not elsewhere.
gl_packages="libegl1 libgl1 libgl1-mesa-dri libgles2"
gl_missing() {
  if command -v dpkg-query >/dev/null; then
    for package in $gl_packages; do
      dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || echo "$package"
    done
  else
    "$PYTHON" -c 'import ctypes.util as u; [print(n) for n in ("EGL", "GL") if not u.find_library(n)]'
  fi
}
missing=$(gl_missing | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "Installing $missing(OpenGL without a screen)"
  # shellcheck disable=SC2086  # a list of words
  install_packages $missing ||
    fail "OpenGL without a screen needs: $missing- install them (Debian: apt install $gl_packages) and run this again."
fi

# For Mitsuba's compiled variant, which some tests use: they skip without it.
llvm_is_here() { compgen -G '/usr/lib/*-linux-gnu/libLLVM*.so.1[7-9]*' >/dev/null || compgen -G '/usr/lib/*-linux-gnu/libLLVM-1[7-9].so*' >/dev/null; }
if command -v apt-get >/dev/null && ! llvm_is_here; then
  install_packages libllvm19 2>/dev/null || echo "No libllvm19 to be had: tests of Mitsuba's variant llvm_ad_rgb will be skipped"
fi

if [ ! -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
  options=()
  # A torch that is installed is kept: the environment sees the system's packages and pip adds only what is missing.
  if "$PYTHON" -c 'import torch' 2>/dev/null; then options+=(--system-site-packages); fi
  "$PYTHON" -m venv --clear ${options[@]+"${options[@]}"} "$VENV" 2>/dev/null || {
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    install_packages "python$version-venv" && "$PYTHON" -m venv --clear ${options[@]+"${options[@]}"} "$VENV"
  } || fail "python3 -m venv failed. Debian keeps it in a package of its own: apt install python3-venv"
fi

constraints=$(mktemp)
trap 'rm -f "$constraints"' EXIT
cp constraints.txt "$constraints"
if torch=$("$VENV/bin/python" -c 'import torch; print(torch.__version__)' 2>/dev/null); then
  echo "Keeping torch $torch"
  sed -i '/^torch==/d' "$constraints"
  echo "torch==$torch" >>"$constraints"
fi

echo "Installing render3d and what its tests and docs need into $VENV"
pip=("$VENV/bin/python" -m pip install -q --disable-pip-version-check -c "$constraints")
groups() { # the dependency groups of pyproject.toml, for any pip
  "$VENV/bin/python" -c 'import tomllib; g = tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]; print(*g["test"], *g["docs"], sep="\n")'
}
mapfile -t tools < <(groups)
"${pip[@]}" "${tools[@]}" || fail "pip could not install the tools; its message is above."
"${pip[@]}" --no-build-isolation -e ".[all]" || fail "pip could not install render3d; its message is above."
