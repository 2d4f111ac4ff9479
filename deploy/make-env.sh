#!/bin/sh
# Makes .env from .env.example, with a random secret of 64 hexadecimal digits behind every `NAME=` that has no value.
# Refuses to replace one: PostgreSQL keeps the passwords that its volume was made with.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
  echo ".env is there already; nothing was changed" >&2
  exit 1
fi
umask 077
while IFS= read -r line; do
  case $line in
    '#'*) ;;
    *=) line=$line$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n') ;;
  esac
  printf '%s\n' "$line"
done < .env.example > .env
echo ".env is made"
