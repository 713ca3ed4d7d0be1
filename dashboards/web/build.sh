#!/bin/sh
# build.sh WEB_DIR OUT_DIR: installs the locked packages, checks and builds the pages, embeds them. Called by CMake with
# NODE and NPM set. Works on a copy, so that several build folders of one checkout do not disturb each other.
set -eu
web=$1
out=$2
work=$out/web
mkdir -p "$work"
for item in src public index.html package.json package-lock.json tsconfig.json vite.config.ts embed.mjs; do
  rm -rf "${work:?}/$item"
  cp -R "$web/$item" "$work/$item"
done
cd "$work"
PATH=$(dirname "$NODE"):$PATH
export PATH
lock=$(cksum <package-lock.json)
if [ ! -d node_modules ] || [ "$(cat node_modules/.lock-sum 2>/dev/null)" != "$lock" ]; then
  "$NPM" ci --ignore-scripts --no-audit --no-fund --loglevel=error
  printf '%s' "$lock" >node_modules/.lock-sum
fi
node node_modules/typescript/bin/tsc --noEmit
node node_modules/vite/bin/vite.js build --logLevel warn
node embed.mjs dist "$out"
