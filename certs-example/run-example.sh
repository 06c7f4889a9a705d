#!/bin/bash
# Serves an example configuration on a free unprivileged port with throw-away certificates, and says
# how to look at it. `make run` calls it. Ctrl-C ends it.
#
#   certs-example/run-example.sh PROGRAM CONFIG
set -euo pipefail

program=$1 config=$2
here=$(dirname "$0")
out=$here/out
mkdir -p "$out"
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT

# Every tenant of the configuration gets its certificate.
mapfile -t domains < <("$program" records -c "$config" --format bind |
    sed -n 's/^_mta-sts\.\([^ \t]*\)\.[ \t].*/\1/p')
[ "${#domains[@]}" -gt 0 ] || {
    echo "run-example.sh: no tenant in $config" >&2
    exit 1
}
"$here/make-certs.sh" "$out" "${domains[@]/#/mta-sts.}"

"$program" serve -c "$config" --ready-file "$state/ready" &
server=$!
trap 'kill -TERM "$server" 2>/dev/null || true' INT TERM HUP

until [ -s "$state/ready" ]; do
    kill -0 "$server" 2>/dev/null || {
        wait "$server" || exit $?
        exit 1
    }
    sleep 0.1
done

address=$(sed -n 's/^address //p; 1q' "$state/ready")
port=${address##*:} host=${address%:*} name=mta-sts.${domains[0]}
cat <<HINT

Serving ${#domains[@]} tenants on $address. In another terminal, fetch a policy:

  curl --cacert $out/ca.pem --resolve $name:$port:$host https://$name:$port/.well-known/mta-sts.txt

and see the DNS records to publish:

  $program records -c $config

Ctrl-C ends it.

HINT

# wait returns early when a signal is handled; the server then ends by itself.
status=0
while kill -0 "$server" 2>/dev/null; do
    wait "$server" && status=0 || status=$?
done
exit "$status"
