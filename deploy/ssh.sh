#!/usr/bin/env bash
# Runs a coordinator on this machine and rollout workers on others, over plain ssh; other machines can also share the
# training. All of them end with this script, whatever ends it: each waits at a pipe whose only writer is this process.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=etcd.sh
. "$here/etcd.sh"

usage() {
  cat <<'TEXT'
usage: deploy/ssh.sh [options] HOSTS CONFIG [KEY=VALUE ...]
  HOSTS is a file with a line for each worker: a host as ssh takes it, then options of `longshot worker`:
      user@node2
      node3  --device cuda --slots 128
  --address ADDRESS  of this machine, as the hosts reach it; by default the first that `hostname -I` prints
  --trainer HOST     a host that trains together with this machine; may be repeated, for 1, 3, 7 ... hosts. It needs the
                     model, the data and the run folder under the same paths; trainer.lanes is at least the trainers
  --folder DIR       for logs, token and etcd's data; by default CONFIG's name + .ssh
  --limit SECONDS    ends the run when a host of --trainer has not started for that long (600)
  --pause SECONDS    before a worker that died, or a host that cannot be reached, is tried again (5)
environment:
  LONGSHOT_BIN       the program, on every host; by default build/release/bin/longshot of this checkout
  LONGSHOT_CLUSTER   etcd://HOST:PORT/NAME, if there is an etcd; otherwise one runs here
  LONGSHOT_SSH       the ssh command and its options (ssh)
TEXT
}

die() { echo "$0: $*" >&2; exit 2; }

# On a host, after it has started its process in the background: waits for its end, and ends it when 3, the pipe from
# this script, ends.
# shellcheck disable=SC2016
UNTIL_END='
child=$!
{ cat <&3; kill "$child"; sleep 10; kill -9 "$child"; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill "$watch"
exit $code
'

# shellcheck source=ssh_trainers.sh
. "$here/ssh_trainers.sh"

# On the host: the first line of standard input is the token; its end means that the worker has to stop.
# Arguments: URL, program, name, options of the worker.
# shellcheck disable=SC2016
REMOTE='
umask 077
token=$(mktemp) || exit 1
trap "rm -f \"$token\"" EXIT
IFS= read -r line && printf "%s\n" "$line" >"$token"
exec 3<&0
export LONGSHOT_CLUSTER="$1"
program=$2 name=$3
shift 3
address=$(set -- $SSH_CONNECTION && echo "$3")  # the one by which ssh has reached this host
case "$address" in *:*) address="[$address]" ;; esac
case " $* " in
  *" --listen"*) ;;
  *) set -- --listen "${address:-127.0.0.1}:0" "$@" ;;
esac
"$program" worker --name "$name" --token-file "$token" "$@" </dev/null 3<&- &
'$UNTIL_END

# Quotes words for the shell of a host.
quoted() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

# supervise NAME HOST [OPTIONS]: runs a worker there until the run is complete, and again when it dies.
supervise() {
  local name=$1 host=$2 log=$folder/$1.log code feeder
  shift 2
  while true; do
    code=0
    exec 7< <(exec cat "$folder/token" - <&6)
    feeder=$!
    "${ssh[@]}" "$host" "sh -c $(quoted "$REMOTE") longshot $(quoted "$LONGSHOT_CLUSTER" "$binary" "$name" "$@")" \
      <&7 >>"$log" 2>&1 || code=$?
    exec 7<&-
    kill "$feeder" 2>/dev/null
    case $code in
      0) return ;;
      2) echo "$name ends: $(tail -n 1 "$log")" >&2; return ;;
      255) echo "$host cannot be reached, or the connection broke: $(tail -n 1 "$log")" >&2 ;;
      *) echo "$name ended with code $code; see $log" >&2 ;;
    esac
    read -rt "$pause" -u 6 _
    [ $? -gt 128 ] || return  # the end of the pipe, not of the pause
  done
}

# end_with_this_script PROCESS
end_with_this_script() { { cat <&6; kill "$1"; } >/dev/null 2>&1 9>&- & }

stop() {
  stopping=1
  if [ -n "$coordinator" ]; then kill "$coordinator" 2>/dev/null; fi
}

# shellcheck disable=SC2317
finish() {
  exec 9>&-  # the end of the pipe: workers stop
  wait "${supervisors[@]}" 2>/dev/null
  stop_etcd
}

address='' folder='' limit=600 pause=5 stopping='' coordinator='' supervisors=() trainers=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) usage; exit 0 ;;
    --address | --folder | --limit | --pause)
      [ $# -ge 2 ] || die "$1 needs a value"
      declare "${1#--}=$2"
      shift 2
      ;;
    --trainer)
      [ $# -ge 2 ] || die "$1 needs a host"
      trainers+=("$2")
      shift 2
      ;;
    -*) usage >&2; die "unknown option '$1'" ;;
    *) break ;;
  esac
done
[ $# -ge 2 ] || { usage >&2; die "a file of hosts and a configuration are needed"; }
hosts=$1 config=$2
shift 2
[[ $limit =~ ^[0-9]+$ ]] || die "--limit takes whole seconds, not '$limit'"
[ -r "$hosts" ] || die "cannot read the file of hosts $hosts"
[ -r "$config" ] || die "cannot read the configuration file $config"
grep -q '^[^#]*[^#[:space:]]' "$hosts" || die "$hosts names no host"
binary=${LONGSHOT_BIN:-$here/../build/release/bin/longshot}
[ -x "$binary" ] || die "there is no program $binary; build longshot, or set LONGSHOT_BIN"
read -ra ssh <<<"${LONGSHOT_SSH:-ssh}"
ssh+=(-T -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3)
address=${address:-$(hostname -I | awk '{ print $1 }')}
[ -n "$address" ] || die "this machine has no address; give one with --address"

name=$(basename "$config" .toml)
mkdir -p "${folder:=$name.ssh}" || die "cannot make the folder $folder"
folder=$(cd "$folder" && pwd)
exec 8>"$folder/lock"
flock --nonblock 8 || die "a run with the folder $folder is active"
if [ ! -e "$folder/token" ]; then (umask 077 && head -c 24 /dev/urandom | base64 >"$folder/token"); fi
# Unique, because two runs of the same name on one host would share their weights.
[ -e "$folder/name" ] || echo "$name-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')" >"$folder/name"
mkfifo "$folder/pipe.$$"
exec 9<>"$folder/pipe.$$"  # nothing is written; 6 ends with 9, which every child closes
exec 6<"$folder/pipe.$$"
rm "$folder/pipe.$$"
trap stop INT TERM HUP
trap finish EXIT

if [ -z "${LONGSHOT_CLUSTER:-}" ]; then
  start_etcd "$address" $((20000 + $$ * 2 % 10000)) "$folder" "$(cat "$folder/name")" 8>&- 9>&- || exit 2
  end_with_this_script "$etcd"
fi
echo "$LONGSHOT_CLUSTER; logs in $folder; watch it: $binary top --cluster $LONGSHOT_CLUSTER --token-file $folder/token"

number=0
while read -ra words; do
  [[ ${words[0]:-#} == \#* ]] && continue
  number=$((number + 1))
  supervise "worker-$number" "${words[@]}" 8>&- 9>&- </dev/null &
  supervisors+=($!)
done <"$hosts"

# wait_for_coordinator: sets `code`.
wait_for_coordinator() {
  end_with_this_script "$coordinator"
  local watch=$!
  [ -z "$stopping" ] || stop  # the signal came before the coordinator
  code=0
  wait "$coordinator" 2>/dev/null || code=$?
  while kill -0 "$coordinator" 2>/dev/null; do  # a trap has ended `wait` early
    code=0
    wait "$coordinator" 2>/dev/null || code=$?
  done
  coordinator=''
  kill "$watch"
}

set -- "$config" "cluster.listen=$address:0" "cluster.weights_listen=$address:0" "cluster.token_file=$folder/token" "$@"
if [ ${#trainers[@]} -gt 0 ]; then
  run_trainers "$@"
else
  "$binary" train "$@" 8>&- 9>&- &
  coordinator=$!
  wait_for_coordinator
fi
# Workers hear of the end from the coordinator; those that have not ended after three seconds are stopped.
for _ in {1..15}; do
  if [ "$code" != 0 ] || ! jobs -rp | grep -qxF "$(printf '%s\n' "${supervisors[@]}")"; then break; fi
  sleep 0.2
done
exit "$code"
