#!/bin/sh
# test.sh WORK_DIR: type check, lint, format and unit tests of the pages, with the packages that build.sh installed there.
set -eu
web=$(cd "$(dirname "$0")" && pwd)
work=$1
for item in src test eslint.config.js .prettierrc.json tsconfig.json vite.config.ts; do
  rm -rf "${work:?}/$item"
  cp -R "$web/$item" "$work/$item"
done
cd "$work"
node node_modules/typescript/bin/tsc --noEmit
node node_modules/eslint/bin/eslint.js src test
node node_modules/prettier/bin/prettier.cjs --check --log-level warn src test
node node_modules/vitest/vitest.mjs run
