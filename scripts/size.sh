#!/usr/bin/env bash
# Counts what there is to read: lines of Go, of tests, and the sizes of files.
set -euo pipefail
cd "$(dirname "$0")/.."
sizes() { find . -name '*.go' "$@" -not -path './bin/*' -print0 | xargs -0 wc -l | awk '$2 != "total" {print $1}' | sort -n; }
code=$(sizes -not -name '*_test.go' -not -path '*test/*')
tests=$(sizes \( -name '*_test.go' -o -path '*test/*' \))
sum() { awk '{s += $1} END {print s + 0}' <<<"$1"; }
at() { awk -v share="$2" '{line[NR] = $1} END {print line[int((NR - 1) * share) + 1]}' <<<"$1"; }
lines=$(sum "$code")
test_lines=$(sum "$tests")
all=$(sizes)
printf '%-34s %s\n' \
  "lines of code" "$lines" \
  "lines of tests" "$test_lines ($(awk -v a="$test_lines" -v b="$lines" 'BEGIN {printf "%.2f", a / b}') a line of code)" \
  "files" "$(wc -l <<<"$all")" \
  "median lines in a file" "$(at "$all" 0.5)" \
  "90th percentile of lines in a file" "$(at "$all" 0.9)" \
  "longest file" "$(at "$all" 1)" \
  "packages" "$(go list ./... | wc -l)"
