# The bundle $1 runs as the container that the DaemonSet makes of it, on a node and with a neighbour that are network
# namespaces: the daemon answers the probe $2, captures, and ends in order. The node's directories are beside the bundle.
set -euo pipefail

bundle=$1
probe=$2
place=$(dirname "$bundle")
name=capture-image-$$
node=$name-node
neighbour=$name-neighbour
state=$place/state

container() { runc --root "$place/runc" "$@"; }
agent() { container exec "$name" /usr/bin/capture-agent "$@"; }
# Also from where `eventually` drops the output.
exec 3>&2
no() {
    echo "image: $*; the daemon said: $(tail -n 20 "$place/log")" >&3
    exit 1
}
# eventually SECONDS COMMAND…
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || no "in vain: $*"
        sleep 0.2
    done
}
cleanup() {
    container delete --force "$name" > /dev/null 2>&1 || true
    for namespace in "$node" "$neighbour"; do ip netns del "$namespace" 2> /dev/null || true; done
}
trap cleanup EXIT

for namespace in "$node" "$neighbour"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
done
ip -n "$node" link add eth0 type veth peer name eth0 netns "$neighbour"
ip -n "$node" addr add 10.0.0.5/24 dev eth0
ip -n "$neighbour" addr add 10.0.0.9/24 dev eth0
for namespace in "$node" "$neighbour"; do ip -n "$namespace" link set eth0 up; done

jq --arg node "/run/netns/$node" '(.linux.namespaces[] | select(.type == "network")).path = $node' \
    "$bundle/config.json" > "$place/config.json"
mv "$place/config.json" "$bundle/config.json"
container run --bundle "$bundle" "$name" > "$place/log" 2>&1 < /dev/null &
running=$!
ready() { kill -0 "$running" || no "it does not run"; container exec "$name" $probe; }
eventually 60 ready

# No capability, but CAP_NET_ADMIN for filters of tc before 6.6, and nothing to gain.
case $(uname -r) in 5.* | 6.[0-5].*) kept=0000000000001000 ;; *) kept=0000000000000000 ;; esac
status=/proc/$(container state "$name" | jq .pid)/status
grep -q "^CapPrm:.$kept\$" "$status" || no "$(grep ^Cap "$status")"
grep -q '^NoNewPrivs:.1$' "$status" || no "it may gain privileges"

is_in() { agent task show "$2" -o json | grep -q "\"state\": *\"$1\""; }
agent task create --name pings -i eth0 --protocol icmp --duration 5m -q
eventually 20 is_in running pings
ip netns exec "$neighbour" ping -q -n -c 10 -i 0.1 10.0.0.5 > /dev/null
agent task stop pings
agent task show pings -o json > "$place/pings"
grep -q '"verdict": *"complete"' "$place/pings" || no "$(cat "$place/pings")"
file=$(find "$state/captures" -name '*.pcapng')
count=$(tcpdump -n -r "$file" icmp 2> /dev/null | wc -l)
[ "$count" -eq 20 ] || no "tcpdump finds $count packets, not 20"

agent task create --name last -i eth0 --duration 5m -q
eventually 20 is_in running last
container kill "$name" TERM
code=0
wait "$running" || code=$?
[ "$code" -eq 0 ] || no "it ended with $code"
[ -z "$(find "$state/captures" -name '*.part')" ] || no "it left a file that is not finished"
grep -q '"shutdown"' "$state"/captures/*/*.json || no "its last task did not end with it"
