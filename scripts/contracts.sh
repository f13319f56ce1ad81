#!/usr/bin/env bash
# Holds what this tree has published and stored against another version of it: contracts may only have grown, and no
# golden of a stored event may have changed.
#
#   scripts/contracts.sh [BASE]
#
# BASE is a commit. Without one it is where this change has left the trunk or, on the trunk itself, the commit before.
# Without a history, as in an unpacked archive, what contracts/released has recorded is all there is to compare with.
set -euo pipefail
cd "$(dirname "$0")/.."

left_trunk() {
  local head trunk base
  head=$(git rev-parse -q --verify HEAD) || return 0
  for trunk in origin/main main; do
    base=$(git merge-base HEAD "$trunk" 2>/dev/null) || continue
    if [ "$base" != "$head" ]; then
      echo "$base"
      return 0
    fi
  done
  git rev-parse -q --verify 'HEAD^' || true
}

base=${1:-}
if [ -z "$base" ] && [ -e .git ]; then
  git rev-parse --git-dir >/dev/null # which says why, where git does not read it
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    echo "the history is cut off (a shallow clone): fetch it, or name a BASE" >&2
  fi
fi
if [ -z "$base" ]; then
  base=$(left_trunk 2>/dev/null)
fi
if [ -z "$base" ]; then
  echo "no commit to compare with"
  exec go run ./scripts/contracts
fi

echo "compared with $(git log -1 --format='%h (%s)' "$base")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive "$base" contracts | tar -x -C "$work"
go run ./scripts/contracts --base "$work/contracts"

edited=$(git diff --name-only --no-renames --diff-filter=MDT "$base" -- 'services/*/internal/stored/testdata/*')
if [ -n "$edited" ]; then
  printf 'goldens of stored events are for ever, and these are not as they were:\n%s\n' "$edited" >&2
  exit 1
fi
