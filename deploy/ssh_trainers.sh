# shellcheck shell=bash disable=SC2034,SC2154
# The part of ssh.sh for several trainers, of which this machine has the first. It uses the variables and functions there.

# On the host; its standard input ends when the trainer has to stop.
# Arguments: folder, URL, rank, number of trainers, address and port where they meet, program, its arguments.
# shellcheck disable=SC2016
REMOTE_TRAINER='
exec 3<&0
cd "$1" || exit 2
export LONGSHOT_CLUSTER="$2" RANK="$3" WORLD_SIZE="$4" MASTER_ADDR="$5" MASTER_PORT="$6"
shift 6
"$@" </dev/null 3<&- &
'$UNTIL_END

# trainer_on HOST RANK PORT ARGUMENTS: until it ends. If it fails, so does trainer 0, which then ends too.
trainer_on() {
  local host=$1 rank=$2 port=$3 log=$folder/trainer-$2.log code=0 feeder
  shift 3
  exec 7< <(exec cat <&6)
  feeder=$!
  # What ends this function ends the connection, and so the trainer.
  trap 'kill "$connection" "$feeder" 2>/dev/null' TERM
  "${ssh[@]}" "$host" "sh -c $(quoted "$REMOTE_TRAINER") longshot $(quoted "$PWD" "$LONGSHOT_CLUSTER" "$rank" \
    $((${#trainers[@]} + 1)) "$address" "$port" "$binary" trainer "$@")" <&7 >>"$log" 2>&1 &
  local connection=$!
  exec 7<&-
  wait "$connection" || code=$?
  kill "$feeder" 2>/dev/null
  [ $code = 0 ] || echo "trainer $rank on $host ended with code $code; see $log" >&2
}

# run_trainers ARGUMENTS: all trainers, and again all of them when one is lost. Sets `code`.
run_trainers() {
  local port rank others
  while true; do
    port=$((30000 + RANDOM % 2700))  # below the range from which systems take ports by themselves
    others=()
    for rank in $(seq ${#trainers[@]}); do
      trainer_on "${trainers[rank - 1]}" "$rank" "$port" "$@" 8>&- 9>&- </dev/null &
      others+=($!)
    done
    RANK=0 WORLD_SIZE=$((${#trainers[@]} + 1)) MASTER_ADDR=$address MASTER_PORT=$port \
      "$binary" trainer "$@" 8>&- 9>&- &
    coordinator=$!
    wait_for_coordinator
    # Those that have heard of the end need a moment; the others are lost or wait for trainer 0.
    for _ in {1..25}; do
      if ! jobs -rp | grep -qxF "$(printf '%s\n' "${others[@]}")"; then break; fi
      sleep 0.2
    done
    kill "${others[@]}" 2>/dev/null
    wait "${others[@]}" 2>/dev/null
    case $code in 0 | 2) return ;; esac
    [ -z "$stopping" ] || return
    echo "trainer 0 ended with code $code; all trainers start again in $pause s" >&2
    read -rt "$pause" -u 6 _
    [ -z "$stopping" ] || return
  done
}
