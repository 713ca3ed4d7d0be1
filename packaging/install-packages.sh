#!/usr/bin/env bash
# install-packages.sh FILE…: installs the Debian packages listed in FILEs that are missing, and a Node that can build the
# pages (into build/node, when the distribution's own is too old). Quiet when nothing is missing.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

missing=()
for package in $(cat "$@" | grep -v '^#'); do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
node_fits() { "$1" -e 'const [a,b]=process.versions.node.split(".").map(Number); process.exit(a>20||(a===20&&b>=19)?0:1)' 2>/dev/null; }
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then missing+=(nodejs npm); fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing: ${missing[*]}"
  # Debian starts the servers of some packages by itself where systemd runs; ours are started by hand, on loopback.
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if ! node_fits node && ! node_fits "$top/build/node/bin/node"; then
  echo "Installing Node 22 into build/node (the pages need 20.19 or newer)"
  mkdir -p "$top/build/node/bin"
  npm install --prefix "$top/build/node" --no-audit --no-fund --loglevel=error node@22
  ln -sf "$top/build/node/node_modules/node/bin/node" "$top/build/node/bin/node"
  ln -sf "$(command -v npm)" "$top/build/node/bin/npm"
fi
