#!/bin/sh
# embed.sh FILE...: writes SQL files as MIGRATION(number, "name", "text") lines of C to standard output.
set -eu
for file in "$@"; do
    name=$(basename "$file")
    number=$(echo "$name" | sed 's/^0*\([0-9]*\)_.*/\1/')
    printf 'MIGRATION(%s, "%s",\n' "$number" "$name"
    sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/    "&\\n"/' "$file"
    printf ')\n'
done
