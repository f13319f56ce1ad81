#!/usr/bin/env bash
# Runs the commands of a page: the blocks that begin with ```sh run, in their order, in one shell, on the embedded stack
# and on data of their own. A command that fails ends it.
#
#   scripts/readme.sh README.md
set -euo pipefail
page=${1:?which page}
work=$(mktemp -d)
export DATA="$work/data" STACK=embedded

finish() {
  code=$?
  if [ "$code" -ne 0 ] && [ -f "$DATA/orderflow.log" ]; then tail -n 30 "$DATA/orderflow.log" >&2; fi
  make --no-print-directory clean >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT

awk '/^```sh run$/ {on=1; n++; next} /^```/ {on=0} on' "$page" >"$work/commands"
if [ ! -s "$work/commands" ]; then
  echo "$page has no block that begins with \`\`\`sh run" >&2
  exit 1
fi
# -v shows each command as it is read.
bash -euo pipefail -v "$work/commands" </dev/null
echo "every command of $page worked"
