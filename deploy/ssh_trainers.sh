# shellcheck shell=bash disable=SC2034,SC2154
# The part of ssh.sh for several trainers, of which this machine has the first. It uses the variables and functions there.

# On the host; its standard input ends when the trainer has to stop.
# Arguments: folder, URL, rank, number of trainers, address and port where they meet, program, its arguments.
# shellcheck disable=SC2016
REMOTE_TRAINER='
exec 3<&0
cd "$1" || exit 2
echo "longshot-trainer-starts"
export LONGSHOT_CLUSTER="$2" RANK="$3" WORLD_SIZE="$4" MASTER_ADDR="$5" MASTER_PORT="$6"
shift 6
"$@" </dev/null 3<&- &
'$UNTIL_END

# trainer_on HOST RANK PORT ARGUMENTS: until it ends. If it fails, so does trainer 0, which then ends too.
trainer_on() {
  local host=$1 rank=$2 port=$3 log=$folder/trainer-$2.log code=0 feeder before ended=''
  shift 3
  before=$(wc -c 2>/dev/null <"$log")
  exec 7< <(exec cat <&6)
  feeder=$!
  # What ends this function ends the connection, and so the trainer.
  trap 'ended=1; kill "$connection" "$feeder" 2>/dev/null' TERM
  "${ssh[@]}" "$host" "sh -c $(quoted "$REMOTE_TRAINER") longshot $(quoted "$PWD" "$LONGSHOT_CLUSTER" "$rank" \
    $((${#trainers[@]} + 1)) "$address" "$port" "$binary" trainer "$@")" <&7 >>"$log" 2>&1 &
  local connection=$!
  exec 7<&-
  wait "$connection" || code=$?
  kill "$feeder" 2>/dev/null
  if [ $code = 0 ] || [ -n "$ended" ]; then return; fi
  echo "trainer $rank on $host ended with code $code; see $log" >&2
  # 126 and 127: the shell there cannot run the program.
  if [ $code = 126 ] || [ $code = 127 ] ||
    ! tail -c "+$((${before:-0} + 1))" "$log" | grep -qx longshot-trainer-starts; then
    echo "trainer $rank on $host has not started: $(tail -n 1 "$log" | tr -d '\r')" >"$folder/trainer-$rank.down"
  fi
}

# end_if_down PROCESS: ends trainer 0 when a host has not started. It would wait minutes for that host, and has
# nothing to save yet.
end_if_down() {
  local file
  while true; do
    for file in "$folder"/trainer-*.down; do
      if [ -e "$file" ]; then
        kill -9 "$1" 2>/dev/null
        return
      fi
    done
    read -rt 0.5 -u 6 _
    [ $? -gt 128 ] || return  # the end of the pipe, not of the pause
  done
}

# limit_reached: whether a host has not started for the limit, which it says. `down_since` is the second in which the
# first of its attempts in a row began.
limit_reached() {
  local rank file
  for rank in $(seq ${#trainers[@]}); do
    file=$folder/trainer-$rank.down
    if [ ! -e "$file" ]; then
      down_since[rank]=''
      continue
    fi
    down_since[rank]=${down_since[rank]:-$began}
    if [ $((SECONDS - down_since[rank])) -ge "$limit" ]; then
      echo "$(cat "$file"); it was tried for $((SECONDS - down_since[rank])) s (--limit). See $folder/trainer-$rank.log;" \
        "the same command continues the run when ${trainers[rank - 1]} can be reached and has the program" >&2
      return 0
    fi
  done
  return 1
}

# run_trainers ARGUMENTS: all trainers, and again all of them when one is lost. Sets `code`.
run_trainers() {
  local port rank others began watch down_since=()
  while true; do
    began=$SECONDS
    rm -f "$folder"/trainer-*.down
    port=$((30000 + RANDOM % 2700))  # below the range from which systems take ports by themselves
    others=()
    for rank in $(seq ${#trainers[@]}); do
      trainer_on "${trainers[rank - 1]}" "$rank" "$port" "$@" 8>&- 9>&- </dev/null &
      others+=($!)
    done
    RANK=0 WORLD_SIZE=$((${#trainers[@]} + 1)) MASTER_ADDR=$address MASTER_PORT=$port \
      "$binary" trainer "$@" 8>&- 9>&- &
    coordinator=$!
    end_if_down "$coordinator" 8>&- 9>&- &
    watch=$!
    wait_for_coordinator
    kill "$watch" 2>/dev/null
    # Those that have heard of the end need a moment; the others are lost or wait for trainer 0.
    for _ in {1..25}; do
      if compgen -G "$folder/trainer-*.down" >/dev/null; then break; fi
      if ! jobs -rp | grep -qxF "$(printf '%s\n' "${others[@]}")"; then break; fi
      sleep 0.2
    done
    kill "${others[@]}" 2>/dev/null
    wait "${others[@]}" 2>/dev/null
    case $code in 0 | 2) return ;; esac
    [ -z "$stopping" ] || return
    if limit_reached; then
      code=1
      return
    fi
    if ! cat "$folder"/trainer-*.down >&2 2>/dev/null; then echo "trainer 0 ended with code $code" >&2; fi
    echo "all trainers start again in $pause s" >&2
    read -rt "$pause" -u 6 _
    [ -z "$stopping" ] || return
  done
}
